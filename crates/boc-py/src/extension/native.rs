//! Cowns that an extension has made, as Python sees them.

use boc_capi::binding;
use boc_core::raw::{AnyCown, CownPtr};
use pyo3::{
    exceptions::{PyRuntimeError, PySystemError},
    ffi::PyObject,
    prelude::*,
};
use std::{
    ffi::{c_int, c_void},
    mem::offset_of,
};

use crate::ending;

/// How Python gets at the value of such a cown: `boc_python_view` of `boc_python.h`.
#[repr(C)]
pub(crate) struct View {
    /// The size of this, so that later versions can add fields.
    size: usize,
    /// A new reference; null with an exception set.
    get: Option<unsafe extern "C-unwind" fn(value: *mut c_void) -> *mut PyObject>,
    /// 0; -1 with an exception set.
    set: Option<unsafe extern "C-unwind" fn(value: *mut c_void, object: *mut PyObject) -> c_int>,
}

/// A cown whose value is a pointer.
pub(crate) struct Native {
    cown: AnyCown,
    view: Option<&'static View>,
}

impl Native {
    pub(crate) fn new(cown: AnyCown, view: Option<&'static View>) -> Self {
        // One that is too short says nothing.
        let view = view.filter(|view| view.size >= offset_of!(View, set) + size_of::<usize>());
        Self { cown, view }
    }

    pub(crate) fn cown(&self) -> &AnyCown {
        &self.cown
    }

    pub(crate) fn view(&self) -> Option<&'static View> {
        self.view
    }

    /// # Safety
    ///
    /// The calling thread holds the cown.
    unsafe fn pointer(&self) -> PyResult<*mut c_void> {
        // SAFETY: passed on to the caller.
        unsafe { binding::pointer_in(CownPtr::from(&self.cown)) }
            .ok_or_else(|| no_view("can be used by the extension that made it alone"))
    }

    /// The value as the extension shows it.
    ///
    /// # Safety
    ///
    /// The calling thread holds the cown.
    pub(crate) unsafe fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let get = self.view.and_then(|view| view.get);
        let get =
            get.ok_or_else(|| no_view("is not shown to Python by the extension that made it"))?;
        // SAFETY: the extension gave the function for this value, which the thread holds. It gives a new
        // reference.
        unsafe {
            let pointer = self.pointer()?;
            let object = ending::guarded(|| get(pointer));
            Bound::from_owned_ptr_or_opt(py, object).map(Bound::unbind).ok_or_else(|| raised(py))
        }
    }

    /// Has the extension take a value from Python.
    ///
    /// # Safety
    ///
    /// As for [`Native::get`].
    pub(crate) unsafe fn set(&self, py: Python<'_>, value: &Py<PyAny>) -> PyResult<()> {
        let set = self.view.and_then(|view| view.set);
        let set = set
            .ok_or_else(|| no_view("cannot be set from Python, says the extension that made it"))?;
        // SAFETY: as in `get`; the object is borrowed for the call.
        let status = unsafe {
            let (pointer, object) = (self.pointer()?, value.as_ptr());
            ending::guarded(|| set(pointer, object))
        };
        if status == 0 { Ok(()) } else { Err(raised(py)) }
    }
}

/// What a function of an extension has raised that says it failed.
fn raised(py: Python<'_>) -> PyErr {
    let silent = || PySystemError::new_err("an extension failed without setting an exception");
    PyErr::take(py).unwrap_or_else(silent)
}

fn no_view(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!("the value of this cown {what}"))
}
