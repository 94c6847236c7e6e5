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
//! - [`patience`]: waiting so that Ctrl-C is answered.

mod behaviour;
mod contents;
mod cown;
mod ending;
mod orphan;
mod patience;
mod pool;
mod signature;
mod travel;
mod unseen;
mod when;

use pyo3::prelude::*;

/// Implementation of the package `boc`; use that.
#[pymodule(gil_used = false)]
mod _boc {
    #[pymodule_export]
    use super::{
        contents::cancelled,
        cown::Cown,
        orphan::leave_pool_after_fork,
        patience::check_timeout,
        pool::{Pool, inside_behaviour, raise_in_thread, set_exiting},
        unseen::{Raised, forget_after_fork, take_unseen},
        when::{when, whencall},
    };
}

/// A behaviour is allocated by the thread that schedules it and freed by the worker that ran it; the
/// C library's allocator takes a lock for that which both want all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
