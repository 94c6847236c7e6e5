//! What is to be called when behaviours have ended.
//!
//! A behaviour ends on a worker, which has other things to do, and may have no interpreter in which the
//! callback could run. So the worker leaves it here, for a thread of the main interpreter.

use std::{
    mem, ptr,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicPtr,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
};

use crate::{error::Result, kept::Kept, object, patience, threads};

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

/// A pointer, so that a child process can put a new desk in the place of one that another thread had locked when the
/// process forked. One that was published is never freed.
static DESK: AtomicPtr<Desk> = AtomicPtr::new(ptr::null_mut());

/// Whether the thread that serves the desk was started.
static SERVED: AtomicBool = AtomicBool::new(false);

fn desk() -> &'static Desk {
    let mut current = DESK.load(Acquire);
    if current.is_null() {
        let fresh = Box::into_raw(Box::<Desk>::default());
        current = match DESK.compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire) {
            Ok(_) => fresh,
            Err(theirs) => {
                // SAFETY: `fresh` was not published.
                drop(unsafe { Box::from_raw(fresh) });
                theirs
            }
        };
    }
    // SAFETY: a desk that was published is never freed.
    unsafe { &*current }
}

impl Desk {
    /// Nothing that runs Python code, or waits for anything, is done while this is locked.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the callback called. On any thread.
pub(crate) fn post(due: Due) {
    let desk = desk();
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
        let desk = desk();
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
        let desk = desk();
        threads::wait_until(desk.content(), &desk.changed, until, called)
    })
}

/// To be called after a fork, in the child, where what the parent had to do is not its business.
pub fn forget_after_fork() {
    let old = DESK.swap(ptr::null_mut(), AcqRel);
    set_served(false);
    if !old.is_null()
        // SAFETY: a desk that was published is never freed.
        && let Ok(mut content) = unsafe { &*old }.content.try_lock()
    {
        let due = mem::take(&mut content.due);
        drop(content);
        drop(due);
    }
}
