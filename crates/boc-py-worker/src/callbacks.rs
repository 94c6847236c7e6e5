//! What is to be called when behaviours have ended.
//!
//! A behaviour ends on a worker, which has other things to do, and may have no interpreter in which the
//! callback could run. So the worker leaves it here, for a thread of the main interpreter.

use std::{
    cell::RefCell,
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
};

use crate::{error::Result, kept::Kept, object, threads};

/// A callback, and the result that it gets.
pub struct Due {
    /// What is called.
    pub callback: Kept,
    /// The object of the result.
    pub result: Kept,
}

struct Desk {
    due: Vec<Due>,
    closed: bool,
}

static DESK: Mutex<Desk> = Mutex::new(Desk { due: Vec::new(), closed: false });

/// Told when there is something on the desk, or it is closed.
static CHANGED: Condvar = Condvar::new();

/// Whether the thread that serves the desk was started.
static SERVED: AtomicBool = AtomicBool::new(false);

/// Nothing that runs Python code, or waits, is done while this is locked; except for a fork.
fn desk() -> MutexGuard<'static, Desk> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the callback called. On any thread.
pub(crate) fn post(due: Due) {
    desk().due.push(due);
    CHANGED.notify_one();
}

/// Sees to it that somebody calls the callbacks.
pub(crate) fn serve() -> Result<()> {
    // Pairs with `set_served`.
    if !SERVED.load(Acquire) {
        object::call("boc._callbacks", c"serve", [])?;
    }
    Ok(())
}

/// Says whether there is a thread that calls the callbacks.
pub fn set_served(served: bool) {
    // Pairs with `serve`: who sees it finds the thread started.
    SERVED.store(served, Release);
}

/// Waits, detached, until there is something to call; `None` if the desk is closed, and all was called.
pub fn take() -> Option<Vec<Due>> {
    threads::detached(|| {
        let mut desk = CHANGED
            .wait_while(desk(), |desk| desk.due.is_empty() && !desk.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let due = mem::take(&mut desk.due);
        (!due.is_empty()).then_some(due)
    })
}

/// Has the thread that calls the callbacks end when it has called them.
pub fn close() {
    desk().closed = true;
    CHANGED.notify_one();
}

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, Desk>>> = const { RefCell::new(None) };
}

/// To be called before a fork, so that the child does not find the desk locked by a thread that is not there.
pub fn hold() {
    HELD.set(Some(threads::detached(desk)));
}

/// To be called after a fork, in the parent.
pub fn let_go() {
    HELD.set(None);
}

/// To be called after a fork, in the child, where what the parent had to do is not its business.
pub fn let_go_in_child() {
    let due = HELD.with_borrow_mut(|held| {
        held.as_mut().map(|desk| {
            desk.closed = false;
            mem::take(&mut desk.due)
        })
    });
    HELD.set(None);
    set_served(false);
    drop(due);
}
