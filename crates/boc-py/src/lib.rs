//! The native half of the Python package `boc`, in the main interpreter.
//!
//! What workers with interpreters of their own need as well, cowns and behaviours, is in
//! [`boc_py_worker`]. Here is the rest:
//!
//! - [`pool`]: the worker threads;
//! - [`pinned`]: what the main thread runs;
//! - [`report`]: what they do, and who waits for whom;
//! - [`trace`]: what they have done, as a file;
//! - [`extension`]: what extensions in C and C++ can do;
//! - [`convert`]: between PyO3 and the crate that works without it.

mod convert;
mod extension;
mod pinned;
mod pool;
mod report;
mod trace;

use boc_py_worker::{interpreter, module, scope, unseen};
use pyo3::{exceptions::PyImportError, ffi, prelude::*, types::PyBool};
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
        extension::objects::{hold_objects, let_go_of_objects},
        pinned::{
            close_pinned, discard_pinned, forget_pinned_after_fork, is_main_thread, nudge_pinned,
            pump_pinned, set_main_thread, set_pinned_poll, wait_for_pinned, wait_for_starving,
            watch_pinned,
        },
        pool::{
            Pool, cancelled, check_timeout, clear_messages, clear_noticeboard,
            end_resting_interpreters, forget_after_fork, forget_callbacks_after_fork, free_nothing,
            inside_behaviour, leave_pool_after_fork, limit_noticeboard, needs_main_interpreter,
            open_scope, pause_interpreters, raise_in_thread, read_noticeboard, refuse_to_wait,
            resume_interpreters, set_callbacks_served, set_debug, set_exiting, settings_changed,
            take_callbacks, take_unseen, try_import, wait_for_callbacks, watch_settings,
        },
        trace::Trace,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::check_interpreter(module.py())?;
        super::fill(module)?;
        super::extension::add_capsule(module)
    }
}

/// Adds what the module has in every interpreter, and what it has in the main one alone.
fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    interpreter::enter_main();
    let module_object = module.as_ptr();
    let in_worker = convert::given(PyBool::new(module.py(), false).as_any());
    // SAFETY: attached to the main interpreter; this is the module `boc._boc`.
    let filled = unsafe {
        module::fill(module_object).and_then(|()| {
            let class = unseen::make_class(module_object)?;
            module::add(module_object, c"Raised", &class)?;
            module::add(module_object, c"Scope", &scope::make_class(module_object)?)?;
            module::add(module_object, c"SCOPE", &scope::make_variable()?)?;
            module::add(module_object, c"IN_WORKER", &in_worker)
        })
    };
    filled.map_err(|raised| convert::error(module.py(), raised))?;
    let names = module.index()?;
    [
        "Buffer",
        "Cown",
        "Definition",
        "IN_WORKER",
        "Parcel",
        "PinnedCown",
        "Raised",
        "SCOPE",
        "Scope",
        "TIMEOUT",
        "atomic",
        "drain",
        "notice_delete",
        "notice_read",
        "notice_seed",
        "notice_update",
        "notice_write",
        "noticeboard",
        "receive",
        "send",
        "set_tags",
        "when",
        "whencall",
    ]
    .into_iter()
    .try_for_each(|name| names.append(name))
}
