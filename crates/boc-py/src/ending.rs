//! Calls of Python code during which the interpreter may end.
//!
//! Before 3.14 the interpreter ends a daemon thread that wants to go on after its end by
//! `pthread_exit`, wherever in Python code that thread is. This unwinds the stack, and the process
//! is aborted where Rust does not expect that. So code that takes its time is called from here, where
//! it is expected: the thread stops for good, as it does from 3.14 on.

use pyo3::{Borrowed, ffi::PyObject, prelude::*};
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

/// Calls a function.
pub(crate) fn call<'py>(
    py: Python<'py>,
    function: Borrowed<'_, 'py, PyAny>,
    arguments: &[Borrowed<'_, 'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `Borrowed` is a pointer to a Python object, and a marker, so the slice is an array of
    // such pointers. Objects and array outlive the call, which gives a new reference, or null with
    // an exception set.
    unsafe {
        let guard = Guard;
        let returned = PyObject_Vectorcall(
            function.as_ptr(),
            arguments.as_ptr().cast(),
            arguments.len(),
            ptr::null_mut(),
        );
        mem::forget(guard);
        Bound::from_owned_ptr_or_err(py, returned)
    }
}
