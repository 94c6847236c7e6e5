//! Cowns that an extension has made, as Python sees them.

use boc_capi::binding;
use boc_core::raw::{AnyCown, CownPtr};
use boc_py_worker::{
    cown::Native,
    ending,
    error::{self, Raised, Result},
    object::Object,
};
use pyo3::ffi::{self, PyObject};
use std::{
    ffi::{c_int, c_void},
    mem::offset_of,
};

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
pub(crate) struct Pointer {
    cown: AnyCown,
    view: Option<&'static View>,
}

impl Pointer {
    pub(crate) fn new(cown: AnyCown, view: Option<&'static View>) -> Self {
        // One that is too short says nothing.
        let view = view.filter(|view| view.size >= offset_of!(View, set) + size_of::<usize>());
        Self { cown, view }
    }

    pub(crate) fn view(&self) -> Option<&'static View> {
        self.view
    }

    /// # Safety
    ///
    /// The calling thread holds the cown.
    unsafe fn pointer(&self) -> Result<*mut c_void> {
        // SAFETY: passed on to the caller.
        unsafe { binding::pointer_in(CownPtr::from(&self.cown)) }
            .ok_or_else(|| no_view("can be used by the extension that made it alone"))
    }
}

impl Native for Pointer {
    fn cown(&self) -> &AnyCown {
        &self.cown
    }

    unsafe fn get(&self) -> Result<Object> {
        let get = self.view.and_then(|view| view.get);
        let get =
            get.ok_or_else(|| no_view("is not shown to Python by the extension that made it"))?;
        // SAFETY: the extension gave the function for this value, which the thread holds. It gives a new
        // reference.
        unsafe {
            let pointer = self.pointer()?;
            Object::from_owned(ending::guarded(|| get(pointer))).map_err(raised)
        }
    }

    unsafe fn set(&self, value: &Object) -> Result<()> {
        let set = self.view.and_then(|view| view.set);
        let set = set
            .ok_or_else(|| no_view("cannot be set from Python, says the extension that made it"))?;
        // SAFETY: as in `get`; the object is borrowed for the call.
        let status = unsafe {
            let (pointer, object) = (self.pointer()?, value.as_ptr());
            ending::guarded(|| set(pointer, object))
        };
        if status == 0 { Ok(()) } else { Err(raised(Raised::already())) }
    }
}

/// What a function of an extension has raised that says it failed.
fn raised(raised: Raised) -> Raised {
    // SAFETY: attached.
    if unsafe { ffi::PyErr_Occurred() }.is_null() {
        return error::system_error("an extension failed without setting an exception");
    }
    raised
}

fn no_view(what: &str) -> Raised {
    error::runtime_error(format!("the value of this cown {what}"))
}
