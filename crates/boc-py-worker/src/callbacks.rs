//! What is to be called when behaviours have ended.
//!
//! A behaviour ends on a worker, which has other things to do, and may have no interpreter in which the
//! callback could run. So the worker leaves it here, for a thread of the main interpreter.

use std::{
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
};

use crate::{error::Result, kept::Kept, object, patience, per_process::PerProcess, threads};

/// A callback, and the result that it gets.
pub struct Due {
    /// What is called.
    pub callback: Kept,
    /// The object of the result.
    pub result: Kept,
}

#[derive(Default)]
struct Desk {
    content: Mutex<Content>,
    /// Told when there is something on the desk, and when all was called.
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    due: Vec<Due>,
    /// Whether the thread that serves the desk has taken something that it may not have called yet.
    calling: bool,
}

static DESK: PerProcess<Desk> = PerProcess::new();

/// Whether the thread that serves the desk was started.
static SERVED: AtomicBool = AtomicBool::new(false);

impl Desk {
    /// Nothing that runs Python code, or waits for anything, is done while this is locked.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the callback called. On any thread.
pub(crate) fn post(due: Due) {
    let desk = DESK.get();
    desk.content().due.push(due);
    desk.changed.notify_all();
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

/// Waits, detached, until there is something to call. What was taken before was called.
pub fn take() -> Vec<Due> {
    threads::detached(|| {
        let desk = DESK.get();
        let mut content = desk.content();
        content.calling = false;
        desk.changed.notify_all();
        let mut content = desk
            .changed
            .wait_while(content, |content| content.due.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        content.calling = true;
        mem::take(&mut content.due)
    })
}

/// Waits until all callbacks have been called whose behaviours have ended; says whether they have.
///
/// Others can come later, also at the end of the program, so there is always somebody who calls them.
pub fn wait_called(timeout: Option<f64>) -> Result<bool> {
    let called = |content: &Content| content.due.is_empty() && !content.calling;
    patience::wait(patience::deadline(timeout), |until| {
        let desk = DESK.get();
        threads::wait_until(desk.content(), &desk.changed, until, called)
    })
}

/// To be called after a fork, in the child, where what the parent had to do is not its business.
pub fn forget_after_fork() {
    let old = DESK.forget();
    set_served(false);
    // Another thread may have locked it when the process forked.
    if let Some(Ok(mut content)) = old.map(|desk| desk.content.try_lock()) {
        let due = mem::take(&mut content.due);
        drop(content);
        drop(due);
    }
}
