//! Who sleeps, who searches, and whom to wake.
//!
//! A worker without work of its own *searches*: it looks into the other workers' rings and the
//! injector. If it finds nothing it *parks*. Who makes work available wakes one parked worker,
//! unless a worker is searching already: that one will find it, and when it has found something it
//! wakes the next, if there is more. So one piece of work wakes one worker.
//!
//! No wake-up is lost, by two pairs of "write, SeqCst fence, read":
//!
//! 1. *push against park.* The pusher makes the work visible, fences, reads `state`. The worker
//!    writes `state` (parked), fences, looks at all queues once more. At least one of them sees the
//!    other: either the pusher wakes the worker, or the worker finds the work.
//! 2. *push against the end of a search.* If the pusher saw a searcher, it wakes nobody. The last
//!    searcher to stop writes `state`, fences, looks at all queues once more, and wakes a worker if
//!    there is work left. A searcher that parks does the same as in 1.

use alloc::vec::Vec;

use crate::sync::{
    Mutex,
    atomic::{
        AtomicUsize,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
    lock,
};

pub(super) struct Idle {
    /// Number of parked workers, times [`PARKED`], plus number of searching workers.
    state: AtomicUsize,
    /// The parked workers. Changed together with their number in `state`.
    parked: Mutex<Vec<usize>>,
}

const PARKED: usize = 1 << 16;

fn searching(state: usize) -> usize {
    state % PARKED
}

fn parked(state: usize) -> usize {
    state / PARKED
}

impl Idle {
    pub(super) fn new() -> Self {
        Self { state: AtomicUsize::new(0), parked: Mutex::new(Vec::new()) }
    }

    /// Whom to wake for work that was just made visible. That worker counts as searching already.
    pub(super) fn worker_to_wake(&self) -> Option<usize> {
        // Pairs with the fences in `park` and `stop_searching`.
        fence(SeqCst);
        let state = self.state.load(Relaxed);
        if parked(state) == 0 || searching(state) > 0 {
            return None;
        }
        let mut workers = lock!(self.parked);
        if searching(self.state.load(Relaxed)) > 0 {
            return None;
        }
        let worker = workers.pop()?;
        self.state.fetch_sub(PARKED - 1, SeqCst);
        Some(worker)
    }

    /// All workers that are parked now. They count as searching already.
    pub(super) fn all_parked(&self) -> Vec<usize> {
        let mut workers = lock!(self.parked);
        self.state.fetch_sub(workers.len() * (PARKED - 1), SeqCst);
        core::mem::take(&mut *workers)
    }

    pub(super) fn start_searching(&self) {
        self.state.fetch_add(1, SeqCst);
    }

    /// Says whether the worker was the last one that searched. If so it has to look whether there
    /// is work left, and wake a worker for it.
    pub(super) fn stop_searching(&self) -> bool {
        let last = searching(self.state.fetch_sub(1, SeqCst)) == 1;
        if last {
            // Pairs with the fence in `worker_to_wake`.
            fence(SeqCst);
        }
        last
    }

    /// A searching worker becomes a parked one. It has to look at all queues before it sleeps.
    pub(super) fn park(&self, worker: usize) {
        let mut workers = lock!(self.parked);
        workers.push(worker);
        self.state.fetch_add(PARKED - 1, SeqCst);
        drop(workers);
        // Pairs with the fence in `worker_to_wake`.
        fence(SeqCst);
    }

    /// A parked worker becomes a searching one by its own decision. `false` if somebody has decided
    /// to wake it, so that a wake-up is on its way.
    pub(super) fn unpark(&self, worker: usize) -> bool {
        let mut workers = lock!(self.parked);
        let Some(position) = workers.iter().position(|parked| *parked == worker) else {
            return false;
        };
        workers.swap_remove(position);
        self.state.fetch_sub(PARKED - 1, SeqCst);
        true
    }
}
