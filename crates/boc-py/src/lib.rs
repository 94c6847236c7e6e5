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

use pyo3::prelude::*;

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
        super::extension::add_capsule(module)
    }
}
