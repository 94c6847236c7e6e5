//! Calls of Python code during which the interpreter, or the process, may end.
//!
//! # The interpreter ends
//!
//! Before 3.14 (and late releases of 3.13) the interpreter ends a daemon thread that wants to go on
//! after its end by `pthread_exit`, wherever in Python code that thread is. This unwinds the stack,
//! and the process is aborted where Rust does not expect that. So code that may take its time is
//! called from here, where it is expected: the thread stops for good, as it does from 3.14 on. It
//! is the innermost frame of Rust that counts: one that stops is never left, so what is below it on
//! the stack need not expect anything. No lock may be held around such a call.
//!
//! A finaliser is such code, so who gives up what may be the last reference to an object does it by
//! [`Kept`].
//!
//! What stays outside, because the call is made by PyO3: callbacks of weak references to a `Cown`
//! itself, when it ends on such a thread.
//!
//! # The process forks
//!
//! Code that a worker has called can return in a child as well as in the parent; see
//! [`orphan`](crate::orphan). So the outermost of these calls look for that.

use pyo3::{
    ffi::{self, PyObject},
    prelude::*,
    types::{PyList, PyType},
};
use std::{
    cell::Cell,
    mem::{self, ManuallyDrop},
    ops::Deref,
    ptr,
};

use crate::orphan;

unsafe extern "C-unwind" {
    fn PyObject_Vectorcall(
        callable: *mut PyObject,
        arguments: *const *mut PyObject,
        count: usize,
        keywords: *mut PyObject,
    ) -> *mut PyObject;
    fn Py_DecRef(object: *mut PyObject);
}

/// Stops the thread when it is dropped, which happens only if the stack is unwound.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

thread_local! {
    /// How many calls of [`guarded`] this thread is in.
    static NESTED: Cell<u32> = const { Cell::new(0) };
}

/// Calls `call`, which calls Python code by a function that may unwind, and does nothing else.
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> R {
    let nested = NESTED.get();
    NESTED.set(nested + 1);
    let guard = Guard;
    let result = call();
    mem::forget(guard);
    NESTED.set(nested);
    result
}

/// Whether no Python code that was called from here is running on this thread.
pub(crate) fn is_outermost() -> bool {
    NESTED.get() == 0
}

/// Calls an object.
///
/// # Safety
///
/// `callable` is a Python object; at `arguments` there are `count` pointers to more. All are alive
/// during the call.
pub(crate) unsafe fn vectorcall<'py>(
    py: Python<'py>,
    callable: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: passed on to the caller. The result is a new reference, or null with an exception set.
    unsafe {
        let returned = guarded(|| PyObject_Vectorcall(callable, arguments, count, ptr::null_mut()));
        Bound::from_owned_ptr_or_err(py, returned)
    }
}

/// Calls a function of a module.
pub(crate) fn call<'py, const COUNT: usize>(
    py: Python<'py>,
    module: &str,
    function: &str,
    arguments: [&Bound<'py, PyAny>; COUNT],
) -> PyResult<Bound<'py, PyAny>> {
    let function = py.import(module)?.getattr(function)?;
    let arguments = arguments.map(Bound::as_ptr);
    // SAFETY: all are borrowed for the call.
    unsafe { vectorcall(py, function.as_ptr(), arguments.as_ptr(), COUNT) }
}

/// What is in an iterable, as a list of its own.
pub(crate) fn list<'py>(iterable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = iterable.py();
    let class: Bound<'py, PyType> = py.get_type::<PyList>();
    // SAFETY: both are borrowed for the call.
    let list = unsafe { vectorcall(py, class.as_ptr(), &iterable.as_ptr(), 1) }?;
    Ok(list.cast_into()?)
}

/// A reference that may be the last one when it is given up.
#[repr(transparent)]
pub(crate) struct Kept<T = PyAny>(ManuallyDrop<Py<T>>);

impl<T> From<Py<T>> for Kept<T> {
    fn from(object: Py<T>) -> Self {
        Self(ManuallyDrop::new(object))
    }
}

impl<T> From<Kept<T>> for Py<T> {
    fn from(kept: Kept<T>) -> Self {
        let mut kept = ManuallyDrop::new(kept);
        // SAFETY: `kept` is not used any more, and not dropped.
        unsafe { ManuallyDrop::take(&mut kept.0) }
    }
}

impl<T> Deref for Kept<T> {
    type Target = Py<T>;

    fn deref(&self) -> &Py<T> {
        &self.0
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // SAFETY: not used any more.
        let object = unsafe { ManuallyDrop::take(&mut self.0) };
        // SAFETY: asks for nothing.
        if unsafe { ffi::compat::PyThreadState_GetUnchecked() }.is_null() {
            // PyO3 sees to it when it comes to be attached.
            return drop(object);
        }
        let object = object.into_ptr();
        // SAFETY: attached; the reference is ours, and not used any more.
        guarded(|| unsafe { Py_DecRef(object) });
        orphan::end_if_outermost();
    }
}
