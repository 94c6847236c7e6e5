//! Forks on a worker: the child has that thread, in the middle of a behaviour, and no other.
//!
//! There the thread is an *orphan*: a worker of a pool that does not exist. While the body goes on, it
//! is like a thread outside of behaviours, so that the child can use a pool of its own. When the body
//! returns, there is nothing in the child to return to: the rest of the behaviour, and those that
//! come next, are the parent's. So the child ends.
//!
//! The same holds for a finaliser behind a body. Where such code is called by PyO3, the child is
//! noticed a little later: before it runs another behaviour, or sleeps.

use boc_core::raw;
use pyo3::{prelude::*, types::PyNone};
use std::{cell::Cell, ffi::c_int};

use crate::ending;

thread_local! {
    static ORPHAN: Cell<bool> = const { Cell::new(false) };
}

/// Called in a child process, on the thread that forked.
#[pyfunction]
pub(crate) fn leave_pool_after_fork() {
    if raw::forget_worker() {
        ORPHAN.set(true);
    }
}

/// Ends the process if this thread is an orphan, and has returned from what it did as a worker.
pub(crate) fn end_if_outermost() {
    if ORPHAN.get() && ending::is_outermost() {
        Python::attach(|py| end(py, None));
    }
}

/// Ends the process if this thread is an orphan. To be called behind a body, with what it raised.
pub(crate) fn end_after_body<T>(py: Python<'_>, returned: PyResult<T>) -> PyResult<T> {
    if ORPHAN.get() {
        end(py, returned.err());
    }
    returned
}

fn end(py: Python<'_>, raised: Option<PyErr>) -> ! {
    unsafe extern "C" {
        safe fn _exit(status: c_int) -> !;
    }
    let raised = match raised {
        Some(error) => error.into_value(py).into_bound(py).into_any(),
        None => PyNone::get(py).to_owned().into_any(),
    };
    // Does not return, unless a signal's handler raises at its very beginning.
    let _ = ending::call(py, "boc._runtime", "end_child", [&raised]);
    _exit(1)
}
