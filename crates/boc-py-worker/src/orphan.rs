//! Forks on a worker: the child has that thread, in the middle of a behaviour, and no other.
//!
//! There the thread is an *orphan*: a worker of a pool that does not exist. While the body goes on, it
//! is like a thread outside of behaviours, so that the child can use a pool of its own. When the body
//! returns, there is nothing in the child to return to: the rest of the behaviour, and those that
//! come next, are the parent's. So the child ends. So does that of the main thread, if that forks while it runs a
//! behaviour that is pinned to it.
//!
//! The same holds for a finaliser behind a body. Where such code is called by others, the child is
//! noticed a little later: before it runs another behaviour, or sleeps.

use boc_core::raw;
use std::{cell::Cell, ffi::c_int};

use crate::{
    ending,
    error::Result,
    object::{self, Object},
    pinned, threads,
};

thread_local! {
    static ORPHAN: Cell<bool> = const { Cell::new(false) };
}

/// To be called in a child process, on the thread that forked.
pub fn leave_pool_after_fork() {
    // The main thread can be in the middle of one, too.
    if pinned::leave_after_fork() | raw::forget_worker() {
        ORPHAN.set(true);
    }
}

/// Says whether this thread is an orphan, which it is not while it runs behaviours of its own; says whether it was.
pub(crate) fn replace(orphan: bool) -> bool {
    ORPHAN.replace(orphan)
}

/// Ends the process if this thread is an orphan, and has returned from what it did as a worker.
pub fn end_if_outermost() {
    if ORPHAN.get() && ending::is_outermost() {
        threads::attached(|| end(None));
    }
}

/// Ends the process if this thread is an orphan. To be called behind a body, with what it raised.
pub fn end_after_body<T>(returned: Result<T>) -> Result<T> {
    if ORPHAN.get() {
        end(returned.err().map(|raised| raised.take()));
    }
    returned
}

fn end(raised: Option<Object>) -> ! {
    unsafe extern "C" {
        safe fn _exit(status: c_int) -> !;
    }
    let raised = raised.unwrap_or_else(Object::none);
    // Does not return, unless a signal's handler raises at its very beginning.
    if let Err(raised) = object::call("boc._runtime", c"end_child", [&raised]) {
        raised.clear();
    }
    _exit(1)
}
