//! Ending a body from outside.
//!
//! An exception can be raised in a thread, but not at a place of our choice. In a loop that is short it is often the
//! same place again and again (until 3.12 the one where the thread lets go of the interpreter's lock), and if that is
//! inside of a `try` that catches everything, the loop goes on for ever. So who insists raises at each line of the
//! body, its `except` and `finally` included, until it has ended.

use pyo3_ffi as ffi;
use std::{cell::Cell, ffi::c_ulong, ptr};

thread_local! {
    /// Whether this thread is in a body, so that nothing of our own is hit by what shall end that.
    static IN_BODY: Cell<bool> = const { Cell::new(false) };
}

/// Calls a body.
pub(crate) fn body<R>(call: impl FnOnce() -> R) -> R {
    IN_BODY.set(true);
    let result = call();
    IN_BODY.set(false);
    result
}

/// Raises `SystemExit` once in the thread with this identifier, which is one of the interpreter that the calling thread
/// is attached to.
pub(super) fn raise_in(ident: c_ulong) {
    // SAFETY: attached; classes of exceptions are the same in all interpreters.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, ffi::PyExc_SystemExit) };
}

/// Raises `SystemExit` in the body of the interpreter's worker from now on. The calling thread is attached to the
/// interpreter.
pub(super) fn insist() {
    #[cfg(Py_3_12)]
    // SAFETY: attached; the function can be called by any thread of any interpreter.
    unsafe {
        ffi::PyEval_SetTraceAllThreads(Some(raise_at_line), ptr::null_mut());
    }
}

/// Takes back what was to be raised in this thread, which is attached.
pub(super) fn take_back() {
    // SAFETY: attached; null takes back.
    unsafe {
        ffi::PyThreadState_SetAsyncExc(ffi::PyThread_get_thread_ident() as _, ptr::null_mut());
    }
}

#[cfg(Py_3_12)]
unsafe extern "C" fn raise_at_line(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyFrameObject,
    what: std::ffi::c_int,
    _: *mut ffi::PyObject,
) -> std::ffi::c_int {
    if what != ffi::PyTrace_LINE || !IN_BODY.get() {
        return 0;
    }
    // SAFETY: called by Python on an attached thread; -1 says that an exception was raised.
    unsafe { ffi::PyErr_SetNone(ffi::PyExc_SystemExit) };
    -1
}
