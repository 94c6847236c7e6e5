//! Calls of Python code during which the interpreter may end.
//!
//! Before 3.14 (and late releases of 3.13) the interpreter ends a daemon thread that wants to go on
//! after its end by `pthread_exit`, wherever in Python code that thread is. This unwinds the stack,
//! and the process is aborted where Rust does not expect that. So code that may take its time is
//! called from here, where it is expected: the thread stops for good, as it does from 3.14 on. It
//! is the innermost frame of Rust that counts: one that stops is never left, so what is below it on
//! the stack need not expect anything. No lock may be held around such a call.
//!
//! A finaliser is such code, so who gives up what may be the last reference to an object does it
//! from here as well.

use pyo3_ffi::PyObject;
use std::{
    cell::Cell,
    ffi::{c_char, c_int},
    mem,
};

// As in `pyo3_ffi`, which says that they do not unwind. Those of its functions that may run Python code for a
// while must not be used.
unsafe extern "C-unwind" {
    /// With no names of keyword arguments, since these come in another form where it has another name.
    #[cfg_attr(not(Py_3_11), link_name = "PyObject_VectorcallDict")]
    pub(crate) fn PyObject_Vectorcall(
        callable: *mut PyObject,
        arguments: *const *mut PyObject,
        count: usize,
        keywords: *mut PyObject,
    ) -> *mut PyObject;
    pub(crate) fn Py_DecRef(object: *mut PyObject);
    pub(crate) fn PyObject_GetAttrString(
        object: *mut PyObject,
        name: *const c_char,
    ) -> *mut PyObject;
    pub(crate) fn PyObject_Str(object: *mut PyObject) -> *mut PyObject;
    pub(crate) fn PyObject_Repr(object: *mut PyObject) -> *mut PyObject;
    pub(crate) fn PyObject_GetIter(object: *mut PyObject) -> *mut PyObject;
    pub(crate) fn PyObject_IsInstance(object: *mut PyObject, class: *mut PyObject) -> c_int;
    pub(crate) fn PyObject_ClearWeakRefs(object: *mut PyObject);
    pub(crate) fn PySequence_List(iterable: *mut PyObject) -> *mut PyObject;
    pub(crate) fn PyImport_ImportModule(name: *const c_char) -> *mut PyObject;
    pub(crate) fn PyErr_Clear();
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
pub fn guarded<R>(call: impl FnOnce() -> R) -> R {
    let nested = NESTED.get();
    NESTED.set(nested + 1);
    let guard = Guard;
    let result = call();
    mem::forget(guard);
    NESTED.set(nested);
    result
}

/// Whether no Python code that was called from here is running on this thread.
pub fn is_outermost() -> bool {
    NESTED.get() == 0
}
