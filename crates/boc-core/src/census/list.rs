//! The list of tallies, and how they are added up.

use alloc::boxed::Box;
use core::ptr;

use crate::sync::{
    Apart,
    atomic::{
        AtomicBool, AtomicPtr, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// A list of tallies.
pub(super) struct Census {
    newest: AtomicPtr<Apart<Tally>>,
}

/// What one thread has counted, and those that had the tally before.
pub(super) struct Tally {
    made: AtomicUsize,
    destroyed: AtomicUsize,
    /// Whether a thread has it.
    taken: AtomicBool,
    older: *const Apart<Tally>,
}

impl Tally {
    /// Counts a cown that was made. For the thread that has the tally.
    pub(super) fn make(&self) {
        // Relaxed: who hears of the destruction of a cown has heard of its making.
        self.made.store(self.made.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Counts a cown that is destroyed. For the thread that has the tally.
    pub(super) fn destroy(&self) {
        // Release: pairs with the Acquire in `alive`. The making of the cown happened before.
        self.destroyed.store(self.destroyed.load(Relaxed).wrapping_add(1), Release);
    }

    /// The thread that has the tally ends.
    pub(super) fn leave(&self) {
        // Release: pairs with the Acquire of who takes it next, for the counts.
        self.taken.store(false, Release);
    }
}

impl Census {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// A tally for the calling thread, up to its [`leave`](Tally::leave).
    pub(super) fn join(&self) -> &Tally {
        let take =
            |tally: &&Tally| tally.taken.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        self.tallies().find(take).unwrap_or_else(|| self.add())
    }

    /// A new tally, which the calling thread has.
    fn add(&self) -> &Tally {
        let mut older = self.newest.load(Acquire);
        let tally = Box::into_raw(Box::new(Apart(Tally {
            made: AtomicUsize::new(0),
            destroyed: AtomicUsize::new(0),
            taken: AtomicBool::new(true),
            older,
        })));
        // Release: pairs with the Acquire in `tallies`, for what is in it. Acquire: for what is in the
        // older ones, which are reached by way of this one then.
        while let Err(now) = self.newest.compare_exchange(older, tally, Release, Acquire) {
            older = now;
            // SAFETY: nobody else knows it yet.
            unsafe { (*tally).0.older = older };
        }
        // SAFETY: tallies stay as long as the census.
        unsafe { &*tally }
    }

    fn tallies(&self) -> impl Iterator<Item = &Tally> {
        let mut next = self.newest.load(Acquire).cast_const();
        core::iter::from_fn(move || {
            // SAFETY: tallies stay as long as the census, and `older` does not change any more.
            let tally: &Tally = unsafe { next.as_ref() }?;
            next = tally.older;
            Some(tally)
        })
    }

    /// How many cowns there are. Those that are made or destroyed during the call may be counted or
    /// not.
    pub(super) fn alive(&self) -> usize {
        // In this order: of a cown whose destruction is counted, the making is, too.
        let destroyed = self.tallies().map(|tally| tally.destroyed.load(Acquire));
        let destroyed = destroyed.fold(0, usize::wrapping_add);
        let made = self.tallies().map(|tally| tally.made.load(Relaxed));
        made.fold(0, usize::wrapping_add).wrapping_sub(destroyed)
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::sync::Arc;
    use loom::thread;

    impl Census {
        fn empty() -> Arc<Self> {
            Arc::new(Self { newest: AtomicPtr::new(ptr::null_mut()) })
        }
    }

    impl Drop for Census {
        fn drop(&mut self) {
            let mut next = self.newest.load(Relaxed);
            while !next.is_null() {
                // SAFETY: nobody uses the census any more.
                next = unsafe { Box::from_raw(next) }.older.cast_mut();
            }
        }
    }

    /// A cown is made by one thread and destroyed by another, while a third one counts: there is one or
    /// none, never fewer.
    ///
    /// The checker lets the first thread run as long as it can, and then looks for what could have come
    /// before a *store*. So that is the one that stores.
    #[test]
    fn counting_against_making_and_destroying() {
        loom::model(|| {
            let census = Census::empty();
            let (counting, destroying) = (Arc::clone(&census), Arc::clone(&census));
            let counter = thread::spawn(move || counting.alive());
            let tally = census.join();
            tally.make();
            let destroyer = thread::spawn(move || {
                let tally = destroying.join();
                tally.destroy();
                tally.leave();
            });
            tally.leave();
            destroyer.join().unwrap();
            let counted = counter.join().unwrap();
            assert!(counted <= 1, "{counted}");
            assert_eq!(census.alive(), 0);
        });
    }

    /// Threads come and go: each has a tally to itself, and nothing that was counted is lost.
    #[test]
    fn joining_against_leaving() {
        loom::model(|| {
            let census = Census::empty();
            let threads = [(), ()].map(|()| {
                let census = Arc::clone(&census);
                thread::spawn(move || {
                    let tally = census.join();
                    tally.make();
                    tally.leave();
                })
            });
            let tally = census.join();
            tally.make();
            tally.leave();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(census.alive(), 3);
            assert!(census.tallies().count() <= 3);
        });
    }
}
