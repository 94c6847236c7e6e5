//! Forks: before one, all interpreters but the main one end, since no process with several survives it.

use std::{
    cell::RefCell,
    sync::{MutexGuard, Weak},
};

use super::{
    crew::{self, Crew},
    living, reserve,
};
use crate::threads;

/// What workers without an interpreter use, so that a child could find it locked by a thread that it does not have.
/// Threads of Python use the rest, and none of them runs while another one forks.
struct Held {
    _living: MutexGuard<'static, usize>,
    _reserve: MutexGuard<'static, reserve::Reserve>,
    _crews: MutexGuard<'static, Vec<Weak<Crew>>>,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// To be called before a fork. Ends all interpreters but the main one, and waits until they have ended, and so what
/// runs there; those of pools are made anew after the fork. No signal is handled meanwhile.
pub fn before_fork() {
    threads::detached(|| {
        living::pause(|| {
            reserve::end_all();
            crew::crews().iter().filter_map(Weak::upgrade).for_each(|crew| crew.wake());
        });
    });
    HELD.set(Some(Held {
        _living: living::living(),
        _reserve: reserve::reserve(),
        _crews: crew::crews(),
    }));
}

/// To be called after a fork, in the parent.
pub fn after_fork_in_parent() {
    HELD.set(None);
    living::resume();
}

/// To be called after a fork, in the child, which has no workers.
pub fn after_fork_in_child() {
    HELD.set(None);
    reserve::forget_after_fork();
    living::resume();
}
