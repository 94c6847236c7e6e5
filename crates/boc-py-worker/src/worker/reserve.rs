//! Workers that have nothing to do at present, kept with their interpreters for the next pool.
//!
//! To make an interpreter takes tens of milliseconds, and CPython gives most of its memory back to nobody when it
//! ends, so they are not thrown away, also if the next pool needs fewer.

use std::{
    mem,
    num::NonZero,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use super::crew::Crew;
use crate::threads;

/// What a worker does next.
pub(super) enum Next {
    /// To be this one of a crew.
    Serve(Arc<Crew>, usize),
    End,
}

/// Those that rest, and what they are told.
pub(super) struct Reserve {
    /// How many rest, for whom there is no order yet.
    resting: usize,
    /// What those shall do, whoever of them is first.
    orders: Vec<Next>,
    /// How many shall end, and have not ended.
    ending: usize,
    /// For how many of these there is no order yet.
    later: usize,
    threads: Vec<JoinHandle<()>>,
}

static RESERVE: Mutex<Reserve> = Mutex::new(Reserve {
    resting: 0,
    orders: Vec::new(),
    ending: 0,
    later: 0,
    threads: Vec::new(),
});
static CHANGED: Condvar = Condvar::new();

pub(super) fn reserve() -> MutexGuard<'static, Reserve> {
    threads::locked(&RESERVE)
}

/// A worker comes to rest. To be said before it waits for its [`next`] order, so that nobody misses it.
pub(super) fn add() {
    reserve().resting += 1;
}

/// Waits for an order. On the thread of a worker that was [added](add), which is not attached.
pub(super) fn next() -> Next {
    let mut reserve = reserve();
    loop {
        if let Some(next) = reserve.orders.pop() {
            return next;
        }
        reserve = CHANGED.wait(reserve).unwrap_or_else(PoisonError::into_inner);
    }
}

/// A worker has ended.
pub(super) fn ended() {
    let mut reserve = reserve();
    reserve.ending -= 1;
    reserve.order_ends();
    CHANGED.notify_all();
}

/// Has up to `count` of those that rest serve in a crew, from the first place on. Says how many serve.
pub(super) fn call_up(crew: &Arc<Crew>, count: usize) -> usize {
    let mut reserve = reserve();
    let serve = reserve.resting.min(count);
    reserve.orders.extend((0..serve).map(|index| Next::Serve(Arc::clone(crew), index)));
    reserve.resting -= serve;
    CHANGED.notify_all();
    serve
}

/// Remembers the thread of a worker.
pub(super) fn remember(thread: JoinHandle<()>) {
    let mut reserve = reserve();
    reserve.threads.retain(|thread| !thread.is_finished());
    reserve.threads.push(thread);
}

/// Ends all that rest.
pub(super) fn end_all() {
    let mut reserve = reserve();
    let all = mem::take(&mut reserve.resting);
    reserve.ending += all;
    reserve.later += all;
    reserve.order_ends();
    CHANGED.notify_all();
}

impl Reserve {
    /// As many end at a time as there are processors, so that who waits sees one after the other end.
    fn order_ends(&mut self) {
        let at_a_time = thread::available_parallelism().map_or(1, NonZero::get);
        let now = at_a_time.saturating_sub(self.ending - self.later).min(self.later);
        self.orders.extend((0..now).map(|_| Next::End));
        self.later -= now;
    }
}

/// How many shall end, and have not ended.
pub(super) fn ending() -> usize {
    reserve().ending
}

/// Waits until those have ended that shall; says whether they have. Not attached.
pub(super) fn wait(until: Option<Instant>) -> bool {
    threads::wait_until(reserve(), &CHANGED, until, |reserve| reserve.ending == 0)
}

/// To be called in a child process, which has none of them.
pub(super) fn forget_after_fork() {
    let mut reserve = reserve();
    reserve.resting = 0;
    reserve.ending = 0;
    reserve.later = 0;
    mem::forget(mem::take(&mut reserve.orders));
    mem::forget(mem::take(&mut reserve.threads));
}
