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

/// The protocol of waking, with a count of pieces of work in place of the queues. If a wake-up is
/// lost, a worker sleeps for ever, and the checker reports a deadlock.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::{parker::Parker, raw::Signal, sync::Arc};
    use loom::{sync::atomic::Ordering::Release, thread};

    /// Work at this place keeps its worker until that at the next place was done, by another one.
    const WAITS: usize = 2;
    const WAITED_FOR: usize = 3;

    struct Shared {
        idle: Idle,
        parkers: Vec<Parker>,
        /// Work that is visible, at places that are not looked at in one instant.
        work: [AtomicUsize; 4],
        waited_for: Signal,
        /// Work that was done.
        done: AtomicUsize,
        /// No more work will come.
        closed: AtomicUsize,
    }

    impl Shared {
        fn new(workers: usize) -> Arc<Self> {
            Arc::new(Self {
                idle: Idle::new(),
                parkers: (0..workers).map(|_| Parker::new()).collect(),
                work: [(); 4].map(|()| AtomicUsize::new(0)),
                waited_for: Signal::new(),
                done: AtomicUsize::new(0),
                closed: AtomicUsize::new(0),
            })
        }

        fn notify(&self) {
            if let Some(worker) = self.idle.worker_to_wake() {
                self.parkers[worker].unpark();
            }
        }

        fn push(&self, place: usize) {
            self.work[place].fetch_add(1, Release);
            self.notify();
        }

        fn has_work(&self) -> bool {
            self.work.iter().any(|place| place.load(Relaxed) > 0)
        }

        /// Takes a piece of work, and says where.
        fn take(&self) -> Option<usize> {
            let take = |place: &AtomicUsize| {
                place.fetch_update(SeqCst, Relaxed, |count| count.checked_sub(1)).is_ok()
            };
            self.work.iter().position(take)
        }

        /// As a worker searches and parks. `None` when there is nothing to come any more.
        fn search(&self, worker: usize) -> Option<usize> {
            self.idle.start_searching();
            loop {
                if let Some(place) = self.take() {
                    if self.idle.stop_searching() && self.has_work() {
                        self.notify();
                    }
                    return Some(place);
                }
                self.idle.park(worker);
                let closed = || self.closed.load(SeqCst) > 0;
                if !(self.has_work() || closed()) || !self.idle.unpark(worker) {
                    self.parkers[worker].park();
                }
                if closed() && !self.has_work() {
                    self.idle.stop_searching();
                    return None;
                }
            }
        }

        fn work(&self, worker: usize, total: usize) {
            while let Some(place) = self.search(worker) {
                match place {
                    WAITS => assert!(self.waited_for.wait(None)),
                    WAITED_FOR => self.waited_for.set(),
                    _ => (),
                }
                if self.done.fetch_add(1, SeqCst) + 1 == total {
                    self.closed.store(1, SeqCst);
                    fence(SeqCst);
                    self.idle
                        .all_parked()
                        .into_iter()
                        .for_each(|worker| self.parkers[worker].unpark());
                }
            }
        }
    }

    fn check(preemptions: Option<usize>, workers: usize, pushes: &'static [&[usize]]) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.max_branches = 10_000;
        model.check(move || {
            let shared = Shared::new(workers);
            let total = pushes.iter().map(|places| places.len()).sum();
            let workers: Vec<_> = (0..workers)
                .map(|worker| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.work(worker, total))
                })
                .collect();
            let pushers: Vec<_> = pushes[1..]
                .iter()
                .map(|places| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || places.iter().for_each(|place| shared.push(*place)))
                })
                .collect();
            pushes[0].iter().for_each(|place| shared.push(*place));
            pushers.into_iter().chain(workers).for_each(|thread| thread.join().unwrap());
            assert_eq!(shared.idle.state.load(SeqCst), 0, "nobody searches, nobody is parked");
        });
    }

    #[test]
    fn pushing_against_parking() {
        check(None, 1, &[&[0]]);
    }

    #[test]
    fn pushing_twice_against_parking() {
        check(Some(3), 1, &[&[0, 0]]);
    }

    #[test]
    fn two_pushers_against_parking() {
        check(Some(3), 1, &[&[0], &[1]]);
    }

    /// Who pushes relies on a searcher that has just found something else, and stops; the other
    /// worker is needed.
    #[test]
    fn pushing_against_the_last_searcher() {
        check(Some(2), 2, &[&[WAITS, WAITED_FOR]]);
    }
}
