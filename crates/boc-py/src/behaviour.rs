//! What a behaviour of Python is made of, and its run.

use pyo3::prelude::*;
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

use crate::{
    contents::Contents,
    cown::{self, Cown},
    ending::{self, Kept},
    orphan,
};

/// The cowns of a behaviour, each once.
pub(crate) type Cowns = SmallVec<[Py<Cown>; 2]>;

/// A function and the cowns it needs.
pub(crate) struct Body {
    pub(crate) function: Kept,
    pub(crate) cowns: Cowns,
    /// The arguments, if they are anything else than the cowns in their order.
    pub(crate) arguments: Option<Box<[Kept]>>,
}

impl Body {
    /// Calls the function. The caller holds the cowns, and the result.
    pub(crate) fn run(self, result: &mut Contents) {
        orphan::end_if_outermost();
        Python::attach(|py| {
            let thread = cown::this_thread();
            for cown in &self.cowns {
                cown.get().holder.store(thread, Relaxed);
            }
            let returned = orphan::end_after_body(py, self.call(py));
            for cown in &self.cowns {
                cown.get().holder.store(cown::NOBODY, Relaxed);
            }
            result.finish(py, returned);
            drop(self);
        });
    }

    fn call(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (arguments, count) = match &self.arguments {
            None => (self.cowns.as_ptr().cast(), self.cowns.len()),
            Some(arguments) => (arguments.as_ptr().cast(), arguments.len()),
        };
        // SAFETY: `Py<T>` and `Kept` are transparent pointers to a Python object, so both are arrays
        // of such pointers; objects and arrays outlive the call.
        unsafe { ending::vectorcall(py, self.function.as_ptr(), arguments, count) }
            .map(Bound::unbind)
    }
}
