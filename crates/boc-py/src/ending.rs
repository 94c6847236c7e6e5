//! Calls of Python code during which the interpreter may end.
//!
//! Before 3.14 the interpreter ends a daemon thread that wants to go on after its end by
//! `pthread_exit`, wherever in Python code that thread is. This unwinds the stack, and the process
//! is aborted where Rust does not expect that. So code that takes its time is called from here, where
//! it is expected: the thread stops for good, as it does from 3.14 on.

use pyo3::{ffi::PyObject, prelude::*};
use std::{mem, ptr};

unsafe extern "C-unwind" {
    fn PyObject_Vectorcall(
        callable: *mut PyObject,
        arguments: *const *mut PyObject,
        count: usize,
        keywords: *mut PyObject,
    ) -> *mut PyObject;
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
        let guard = Guard;
        let returned = PyObject_Vectorcall(callable, arguments, count, ptr::null_mut());
        mem::forget(guard);
        Bound::from_owned_ptr_or_err(py, returned)
    }
}

/// Calls a function of this package.
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
