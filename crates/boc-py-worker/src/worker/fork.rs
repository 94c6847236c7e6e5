//! Forks: before one, all interpreters but the main one end, since no process with several survives it.

use std::{
    cell::RefCell,
    sync::{MutexGuard, Weak},
};

use super::{
    crew::{self, Crew},
    living, reserve,
};
use crate::{mail, threads};

/// What workers without an interpreter use, so that a child could find it locked by a thread that it does not have.
/// Threads of Python use the rest, and none of them runs at the very moment of the fork. Until then other functions can
/// be called, by which they do; so nobody who is attached waits for one of these locks.
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
    loop {
        threads::detached(|| {
            living::pause(|| {
                reserve::end_all();
                crew::crews().iter().filter_map(Weak::upgrade).for_each(|crew| crew.wake());
            });
        });
        let living = living::living();
        // Else another thread has forked since, and its pause, which was this one's as well, is over.
        if living::is_paused() && *living == 0 {
            let (reserve, crews) = (reserve::reserve(), crew::crews());
            mail::hold();
            return HELD.set(Some(Held { _living: living, _reserve: reserve, _crews: crews }));
        }
    }
}

/// To be called after a fork, in the parent.
pub fn after_fork_in_parent() {
    mail::let_go();
    HELD.set(None);
    living::resume();
}

/// To be called after a fork, in the child, which has no workers.
pub fn after_fork_in_child() {
    mail::let_go_in_child();
    HELD.set(None);
    reserve::forget_after_fork();
    living::resume();
}
