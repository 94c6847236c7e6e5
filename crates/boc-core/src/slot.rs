//! The queue of a cown: slots, their states, and the transitions between them.
//!
//! Every cown has a queue of the behaviours that hold it or wait for it, in scheduling order. It
//! is a list in the manner of the MCS lock: the cown knows the *last* slot only (`tail`, null when
//! the cown is free), and each slot learns of its successor. The first slot in the queue belongs to
//! the behaviour that holds the cown.
//!
//! # Participants
//!
//! - the *owner*: the behaviour that a slot is part of, on the thread that schedules it, later on
//!   the thread that runs it;
//! - the *successor*: the behaviour whose slot comes next in this cown's queue, on the thread that
//!   schedules it.
//!
//! # States of a slot
//!
//! ```text
//!            publish (owner)          link (successor)
//!    WAIT ───────────────────▶ READY ──────────────────▶ NEXT(successor)
//! ```
//!
//! 1. **WAIT**: the owner is still acquiring its places in the queues of its cowns. Only the owner
//!    may change the state. A successor that finds WAIT spins, and that is what makes scheduling
//!    atomic: nobody passes a behaviour that has not got all its places yet, so behaviours that
//!    share several cowns stand in the same order in the queue of each.
//! 2. **READY**: the owner has all its places. Only the successor may change the state.
//! 3. **NEXT**: the successor waits for the owner to release the cown. Nobody changes it any more.
//!
//! # Lifetime
//!
//! A slot lives until its owner has released it. The owner's release is not complete before either
//! `tail` was set back to null (so no successor can have seen the slot) or the successor's link was
//! seen, which is the successor's last access to the slot.

use core::ptr::{self, NonNull};

use crate::{
    backoff::Backoff,
    behaviour::Behaviour,
    cown::Header,
    sync::atomic::{
        AtomicPtr,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// A behaviour's place in the queue of one of its cowns.
#[repr(C)]
pub(crate) struct Slot {
    /// The cown whose queue this is. The slot owns one strong reference to it, except where it is
    /// the slot of a behaviour's own result.
    pub(crate) cown: NonNull<Header>,
    /// WAIT, READY, or the successor.
    status: AtomicPtr<Behaviour>,
}

/// The owner is still acquiring its places.
const WAIT: *mut Behaviour = ptr::null_mut();
/// The owner has all its places. No behaviour lives at this address.
const READY: *mut Behaviour = ptr::without_provenance_mut(1);

impl Slot {
    /// A slot in state WAIT, in no queue yet.
    pub(crate) fn new(cown: NonNull<Header>) -> Self {
        Self { cown, status: AtomicPtr::new(WAIT) }
    }

    /// The slot of a behaviour in the queue of its own result, which it holds from the start.
    ///
    /// READY from birth: the result is fresh, so nobody else can be in its queue, and nobody can
    /// learn of it before the behaviour has been scheduled.
    pub(crate) fn holding(cown: NonNull<Header>) -> Self {
        Self { cown, status: AtomicPtr::new(READY) }
    }

    /// Enters the queue of the cown. Returns the predecessor, or `None` if the cown was free.
    ///
    /// This exchange is the linearisation point: the order of the exchanges on a cown's tail is the
    /// order in which its behaviours run.
    ///
    /// # Safety
    ///
    /// `this` is in state WAIT and in no queue; it stays where it is until it was released.
    pub(crate) unsafe fn enqueue(this: NonNull<Slot>) -> Option<NonNull<Slot>> {
        // SAFETY: the slot is valid, and it holds its cown's memory by a strong reference.
        let cown = unsafe { this.as_ref().cown.as_ref() };
        // Release: whoever gets this slot as its predecessor sees it initialised.
        // Acquire: pairs with that Release of the predecessor, and with the Release of `release`
        // that set the tail to null, so that this behaviour sees what the last holder wrote.
        NonNull::new(cown.tail.swap(this.as_ptr(), AcqRel))
    }

    /// Waits until the owner of this slot has published it, then makes `successor` its successor.
    ///
    /// # Safety
    ///
    /// `predecessor` came out of `enqueue` of a slot of `successor`, and this is the only call for
    /// it. The caller does not touch the predecessor afterwards.
    pub(crate) unsafe fn link(predecessor: NonNull<Slot>, successor: NonNull<Behaviour>) {
        // SAFETY: the owner's release waits for the link that is made below, so the slot is alive.
        let slot = unsafe { predecessor.as_ref() };
        let mut backoff = Backoff::new();
        // Acquire: pairs with the Release of `publish`. The predecessor's exchanges on the tails of
        // its other cowns happened before it, so this behaviour's exchanges there come after them.
        while slot.status.load(Acquire) == WAIT {
            backoff.snooze();
        }
        // Release: pairs with the Acquire in `release`; the owner may start the successor, so it
        // has to see it initialised.
        slot.status.store(successor.as_ptr(), Release);
    }

    /// WAIT → READY: the owner has entered all its queues.
    pub(crate) fn publish(&self) {
        // Release: pairs with the Acquire in `link`. A plain store suffices: nobody else writes
        // the status of a slot that is in WAIT.
        self.status.store(READY, Release);
    }

    /// Leaves the queue. Returns the successor that now holds this cown, or `None` if there is
    /// none and the cown is free.
    ///
    /// # Safety
    ///
    /// The owner holds the cown, and calls this once. The cown is alive.
    pub(crate) unsafe fn release(this: NonNull<Slot>) -> Option<NonNull<Behaviour>> {
        // SAFETY: the slot is its owner's, who is the caller.
        let slot = unsafe { this.as_ref() };
        // Acquire: pairs with the Release of `link`.
        let mut next = slot.status.load(Acquire);
        if next == READY {
            // SAFETY: the caller keeps the cown alive.
            let cown = unsafe { slot.cown.as_ref() };
            // Release: pairs with the Acquire of the `enqueue` that finds the cown free.
            // If a successor exchanged the tail before this, the exchange fails and its link is
            // on its way; if it comes after, it finds null and holds the cown at once.
            if cown.tail.compare_exchange(this.as_ptr(), ptr::null_mut(), Release, Relaxed).is_ok()
            {
                return None;
            }
            let mut backoff = Backoff::new();
            loop {
                next = slot.status.load(Acquire);
                if next != READY {
                    break;
                }
                backoff.snooze();
            }
        }
        NonNull::new(next)
    }
}

/// The queues alone, without the counting of references around them, so that all interleavings can
/// be explored. [`crate::schedule`] and [`crate::behaviour`] do the same steps.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::sync::{Arc, atomic::AtomicU32};
    use loom::{cell::UnsafeCell, thread};

    struct Cown {
        header: Header,
        log: UnsafeCell<Vec<usize>>,
    }

    impl Cown {
        fn new() -> Self {
            let header = Header::new(ptr::null_mut(), 1, |_| ());
            Self { header, log: UnsafeCell::new(Vec::new()) }
        }
    }

    /// A behaviour over some of the cowns.
    struct Request {
        name: usize,
        cowns: Vec<Arc<Cown>>,
        slots: Vec<Slot>,
        pending: AtomicU32,
    }

    impl Request {
        fn new(name: usize, cowns: Vec<Arc<Cown>>) -> Self {
            Self {
                name,
                slots: cowns.iter().map(|cown| Slot::new(NonNull::from(&cown.header))).collect(),
                pending: AtomicU32::new(cowns.len() as u32 + 1),
                cowns,
            }
        }

        fn schedule(&self) {
            let mut obtained = 1;
            for slot in &self.slots {
                // SAFETY: each slot enters its queue once, and stays until the threads are joined.
                match unsafe { Slot::enqueue(NonNull::from(slot)) } {
                    None => obtained += 1,
                    // SAFETY: the predecessor came out of `enqueue`. The pointer is never used as
                    // one to a behaviour.
                    Some(before) => unsafe { Slot::link(before, NonNull::from(self).cast()) },
                }
            }
            self.slots.iter().for_each(Slot::publish);
            self.resolve(obtained);
        }

        fn resolve(&self, count: u32) {
            if self.pending.fetch_sub(count, AcqRel) != count {
                return;
            }
            for cown in &self.cowns {
                // SAFETY: the request holds the cown.
                cown.log.with_mut(|log| unsafe { (*log).push(self.name) });
            }
            for slot in &self.slots {
                // SAFETY: the request holds the cown.
                if let Some(next) = unsafe { Slot::release(NonNull::from(slot)) } {
                    // SAFETY: `schedule` passed a request, which lives until the threads are joined.
                    unsafe { next.cast::<Request>().as_ref() }.resolve(1);
                }
            }
        }
    }

    /// Schedules each request on a thread of its own. Returns the logs of the cowns.
    fn run(
        preemptions: Option<usize>,
        cowns: usize,
        requests: &'static [&[usize]],
        check: fn(&[Vec<usize>]),
    ) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || {
            let cowns: Vec<_> = (0..cowns).map(|_| Arc::new(Cown::new())).collect();
            let requests: Vec<_> = requests
                .iter()
                .enumerate()
                .map(|(name, wanted)| {
                    let wanted: Vec<_> =
                        wanted.iter().map(|cown| Arc::clone(&cowns[*cown])).collect();
                    Arc::new(Request::new(name, wanted))
                })
                .collect();
            let schedule = |request: &Arc<Request>| {
                let request = Arc::clone(request);
                thread::spawn(move || request.schedule())
            };
            let others: Vec<_> = requests[1..].iter().map(schedule).collect();
            requests[0].schedule();
            others.into_iter().for_each(|thread| thread.join().unwrap());
            // SAFETY: all threads have ended.
            let log = |cown: &Arc<Cown>| cown.log.with(|log| unsafe { (*log).clone() });
            check(&cowns.iter().map(log).collect::<Vec<_>>());
        });
    }

    #[test]
    fn two_requests_over_two_cowns() {
        run(None, 2, &[&[0, 1], &[0, 1]], |logs| {
            assert_eq!(logs[0].len(), 2);
            assert_eq!(logs[0], logs[1]);
        });
    }

    #[test]
    fn two_requests_that_share_one_of_their_cowns() {
        run(None, 3, &[&[0, 1], &[1, 2]], |logs| assert_eq!(logs[1].len(), 2));
    }

    /// Three behaviours, each of which shares one cown with each of the others. Were they ordered in
    /// a circle, one could hold what the next one needs.
    #[test]
    fn overlapping_pairs() {
        run(Some(3), 3, &[&[0, 1], &[1, 2], &[0, 2]], |logs| {
            assert!(logs.iter().all(|log| log.len() == 2));
            let before = |cown: usize, a: usize, b: usize| logs[cown] == [a, b];
            let circle = before(1, 0, 1) && before(2, 1, 2) && before(0, 2, 0);
            let other = before(0, 0, 2) && before(2, 2, 1) && before(1, 1, 0);
            assert!(!circle && !other, "{logs:?}");
        });
    }

    #[test]
    fn three_requests_over_one_cown() {
        run(Some(3), 1, &[&[0], &[0], &[0]], |logs| assert_eq!(logs[0].len(), 3));
    }
}
