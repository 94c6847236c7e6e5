//! What a behaviour of Python is made of, and its run.

use pyo3::prelude::*;
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

use crate::{
    contents::Contents,
    cown::{self, Cown},
};

/// The cowns of a behaviour, each once.
pub(crate) type Cowns = SmallVec<[Py<Cown>; 2]>;

/// A function and the cowns it needs.
pub(crate) struct Body {
    pub(crate) function: Py<PyAny>,
    pub(crate) cowns: Cowns,
    /// The arguments, if they are anything else than the cowns in their order.
    pub(crate) arguments: Option<Box<[Py<PyAny>]>>,
}

impl Body {
    /// Calls the function. The caller holds the cowns, and the result.
    pub(crate) fn run(self, result: &mut Contents) {
        Python::attach(|py| {
            let thread = cown::this_thread();
            for cown in &self.cowns {
                cown.get().holder.store(thread, Relaxed);
            }
            let returned = self.call(py);
            for cown in &self.cowns {
                cown.get().holder.store(cown::NOBODY, Relaxed);
            }
            result.finish(py, returned);
            drop(self);
        });
    }

    fn call(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        // SAFETY: `Py<T>` is a transparent pointer to a Python object, so both are arrays of
        // such pointers; objects and arrays outlive the call. The result is a new reference, or
        // null with an exception set.
        unsafe {
            let (arguments, count) = match &self.arguments {
                None => (self.cowns.as_ptr().cast(), self.cowns.len()),
                Some(arguments) => (arguments.as_ptr().cast(), arguments.len()),
            };
            let function = self.function.as_ptr();
            let ended = last_call::Guard;
            let returned =
                last_call::PyObject_Vectorcall(function, arguments, count, std::ptr::null_mut());
            std::mem::forget(ended);
            Bound::from_owned_ptr_or_err(py, returned).map(Bound::unbind)
        }
    }
}

/// Calls during which the interpreter may end.
///
/// Before 3.14 the interpreter ends a daemon thread that wants to go on after its end by
/// `pthread_exit`, wherever in Python code that thread is. This unwinds the stack, and the process is
/// aborted where Rust does not expect that. So it is expected here, and the thread stops for good,
/// as it does from 3.14 on.
mod last_call {
    use pyo3::ffi::PyObject;

    unsafe extern "C-unwind" {
        pub(super) fn PyObject_Vectorcall(
            callable: *mut PyObject,
            arguments: *const *mut PyObject,
            count: usize,
            keywords: *mut PyObject,
        ) -> *mut PyObject;
    }

    /// Stops the thread when it is dropped, which happens only if the stack is unwound.
    pub(super) struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            loop {
                std::thread::park();
            }
        }
    }
}
