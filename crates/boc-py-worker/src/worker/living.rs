//! The interpreters that exist, and pauses in which there are none.
//!
//! No process with more than one interpreter survives a fork, so there must be none but the main one while it
//! forks.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::threads;

/// How many interpreters of workers there are.
static LIVING: Mutex<usize> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();

/// Whether there has been one.
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether there shall be none. Set and taken back under the lock.
static PAUSED: AtomicBool = AtomicBool::new(false);

pub(super) fn living() -> MutexGuard<'static, usize> {
    threads::locked(&LIVING)
}

/// An interpreter is going to be made, when the pause is over, if there is one.
pub(super) fn add() {
    let mut living = living();
    while PAUSED.load(Relaxed) {
        living = CHANGED.wait(living).unwrap_or_else(PoisonError::into_inner);
    }
    *living += 1;
    ANY.store(true, Relaxed);
}

/// Whether there has been an interpreter of a worker in this process.
#[cfg(all(Py_3_12, not(Py_3_13)))]
pub(super) fn were_any() -> bool {
    ANY.load(Relaxed)
}

/// An interpreter has ended.
pub(super) fn remove() {
    *living() -= 1;
    CHANGED.notify_all();
}

/// Whether workers shall give up their interpreters.
pub(super) fn is_paused() -> bool {
    PAUSED.load(Relaxed)
}

/// Has the workers give up their interpreters, and waits until there are none. `tell` lets them know, and is
/// called again and again, since a worker may be missed that is about to sleep. So is said that there is a pause, since
/// somebody else's may end meanwhile.
pub(super) fn pause(tell: impl Fn()) {
    const A_MOMENT: Duration = Duration::from_millis(5);
    loop {
        let living = living();
        PAUSED.store(true, Relaxed);
        drop(living);
        tell();
        let living = self::living();
        let waited = CHANGED.wait_timeout_while(living, A_MOMENT, |living| *living > 0);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 == 0 {
            return;
        }
    }
}

/// The pause is over.
pub(super) fn resume() {
    let living = living();
    PAUSED.store(false, Relaxed);
    drop(living);
    CHANGED.notify_all();
}
