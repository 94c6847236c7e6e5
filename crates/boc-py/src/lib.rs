//! The native half of the Python package `boc`: cowns and behaviours of Python objects.
//!
//! This is the *direct* backend: the workers are Python threads of the main interpreter, and a cown
//! holds the Python object itself.
//!
//! - [`cown`]: the class `Cown`, and who may look into it;
//! - [`contents`]: what a cown holds, and how a behaviour leaves its outcome there;
//! - [`behaviour`]: what a behaviour is made of, and its run;
//! - [`when`], [`signature`]: from the arguments of `when` to a behaviour;
//! - [`pool`]: the worker threads, and which pool is in use;
//! - [`travel`]: references that one thread makes and another one gives up;
//! - [`ending`]: calls of Python code during which the interpreter may end;
//! - [`orphan`]: forks on a worker;
//! - [`unseen`]: exceptions that nobody looked at;
//! - [`patience`]: waiting so that Ctrl-C is answered;
//! - [`extension`]: what extensions in C and C++ can do with all of this.

mod behaviour;
mod contents;
mod cown;
mod ending;
mod extension;
mod orphan;
mod patience;
mod pool;
mod signature;
mod travel;
mod unseen;
mod when;

use pyo3::{exceptions::PyImportError, ffi, prelude::*};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// The pool, and what is behind the class `Cown`, are there once for a process.
///
/// # Errors
///
/// If another interpreter has imported this before. Those with a GIL of their own are refused by Python.
fn check_interpreter(_attached: Python<'_>) -> PyResult<()> {
    const NONE: i64 = -1;
    static FIRST: AtomicI64 = AtomicI64::new(NONE);
    // SAFETY: attached.
    let this = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    match FIRST.compare_exchange(NONE, this, Relaxed, Relaxed) {
        Err(first) if first != this => Err(PyImportError::new_err(
            "boc is in use by another interpreter of this process, and can be used by one alone",
        )),
        _ => Ok(()),
    }
}

/// Implementation of the package `boc`; use that.
#[pymodule(gil_used = false)]
mod _boc {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        contents::cancelled,
        cown::Cown,
        extension::objects::{hold_objects, let_go_of_objects},
        orphan::leave_pool_after_fork,
        patience::check_timeout,
        pool::{Pool, inside_behaviour, raise_in_thread, set_exiting},
        unseen::{Raised, forget_after_fork, take_unseen},
        when::{when, whencall},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::check_interpreter(module.py())?;
        super::extension::add_capsule(module)
    }
}
