//! A worker's own queue: first in, first out; the owner pushes, everybody takes.
//!
//! A ring of atomics. `head` and `tail` only grow (and wrap); the entry of position *p* is `p % CAPACITY`.
//!
//! 1. Only the owner writes entries and `tail`, and only at positions that are free
//!    (`tail - head < CAPACITY`).
//! 2. Who takes, owner or thief, reads the entries first and then claims them by moving `head` from
//!    the position it read at. If the exchange succeeds nobody took them meanwhile, and the owner
//!    cannot have overwritten them, since they were not free. If it fails, what was read is
//!    forgotten.

use core::{array, ptr, ptr::NonNull};

use crate::{
    behaviour::Behaviour,
    executor::Ready,
    sync::atomic::{
        AtomicPtr, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// How many behaviours a ring takes. A power of two.
pub(super) const CAPACITY: usize = if cfg!(loom) { 4 } else { 256 };

pub(super) struct Ring {
    head: AtomicUsize,
    tail: AtomicUsize,
    entries: [AtomicPtr<Behaviour>; CAPACITY],
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            entries: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    fn entry(&self, position: usize) -> &AtomicPtr<Behaviour> {
        &self.entries[position % CAPACITY]
    }

    /// Whether it is empty at this moment.
    pub(super) fn is_empty(&self) -> bool {
        // `head` first: it never passes `tail`, so a `tail` read later is not behind it.
        let head = self.head.load(Acquire);
        self.tail.load(Acquire) == head
    }

    /// Appends a behaviour, or gives it back if the ring is full. Only the owner may call this.
    pub(super) fn push(&self, ready: Ready) -> Result<(), Ready> {
        let tail = self.tail.load(Relaxed);
        // Acquire: pairs with the Release of who claimed the entry, whose read of it came before.
        if tail.wrapping_sub(self.head.load(Acquire)) == CAPACITY {
            return Err(ready);
        }
        self.entry(tail).store(ready.into_inner().as_ptr(), Relaxed);
        // Release: pairs with the Acquire of who takes, for the entry and the behaviour.
        self.tail.store(tail.wrapping_add(1), Release);
        Ok(())
    }

    /// Takes the oldest behaviour.
    pub(super) fn pop(&self) -> Option<Ready> {
        let mut entry = [ptr::null_mut()];
        let taken = self.take(&mut entry, |_| 1);
        // SAFETY: see `take`.
        (taken > 0).then(|| unsafe { Ready::new(NonNull::new_unchecked(entry[0])) })
    }

    /// [`Ring::pop`] where nobody else takes anything.
    ///
    /// # Safety
    ///
    /// Only the owner takes from this ring, ever.
    pub(super) unsafe fn pop_alone(&self) -> Option<Ready> {
        let head = self.head.load(Relaxed);
        if self.tail.load(Relaxed) == head {
            return None;
        }
        let entry = self.entry(head).load(Relaxed);
        // Release: for who asks whether it is empty.
        self.head.store(head.wrapping_add(1), Release);
        // SAFETY: the entry was pushed, and taken by nobody else.
        Some(unsafe { Ready::new(NonNull::new_unchecked(entry)) })
    }

    /// Takes half of what is there, rounded up: returns the first and how many it took; the rest
    /// goes to `other`, which is empty and the caller's own.
    pub(super) fn steal_into(&self, other: &Ring) -> Option<(Ready, usize)> {
        let mut entries = [ptr::null_mut(); CAPACITY / 2];
        let taken = self.take(&mut entries, |available| available - available / 2);
        // SAFETY: see `take`.
        let mut stolen = entries[..taken]
            .iter()
            .map(|entry| unsafe { Ready::new(NonNull::new_unchecked(*entry)) });
        let first = stolen.next()?;
        for ready in stolen {
            if let Err(ready) = other.push(ready) {
                unreachable!("half of a ring fits into an empty one: {ready:?}");
            }
        }
        Some((first, taken))
    }

    /// Takes as many behaviours as `amount` says of the number available, oldest first, but not more
    /// than `into` has room for. Returns how many it took; these belong to the caller.
    fn take(&self, into: &mut [*mut Behaviour], amount: impl Fn(usize) -> usize) -> usize {
        let mut head = self.head.load(Acquire);
        loop {
            // Acquire: pairs with the Release of `push`.
            let available = self.tail.load(Acquire).wrapping_sub(head);
            if available == 0 {
                return 0;
            }
            let count = amount(available).min(into.len());
            for (offset, entry) in into[..count].iter_mut().enumerate() {
                *entry = self.entry(head.wrapping_add(offset)).load(Relaxed);
            }
            // If `head` was old, `available` may have been too much, but then this fails.
            // Release: pairs with the Acquire in `push`, see there.
            match self.head.compare_exchange(head, head.wrapping_add(count), Release, Acquire) {
                Ok(_) => return count,
                Err(now) => head = now,
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while let Some(ready) = self.pop() {
            drop(ready);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::{
        ExecutorRef, raw,
        sync::{Arc, Watched},
    };
    use loom::thread;

    type Seen = std::sync::Arc<std::sync::Mutex<Vec<u32>>>;

    fn ready(n: u32, seen: &Seen) -> Ready {
        let (seen, watched) = (Seen::clone(seen), Watched::new());
        raw::ready(&ExecutorRef::inline(), move || {
            watched.see();
            seen.lock().unwrap().push(n);
        })
    }

    fn push(ring: &Ring, n: u32, seen: &Seen) {
        ring.push(ready(n, seen)).expect("there is room");
    }

    /// Steals as a worker does, and runs all of it.
    fn steal(ring: &Ring) {
        let own = Ring::new();
        if let Some((first, taken)) = ring.steal_into(&own) {
            first.run();
            let rest = core::iter::from_fn(|| own.pop()).map(Ready::run).count();
            assert_eq!(taken, 1 + rest);
        }
    }

    fn check(preemptions: Option<usize>, program: fn(Arc<Ring>, &Seen)) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || program(Arc::new(Ring::new()), &Seen::default()));
    }

    fn assert_each_once(ring: &Ring, seen: &Seen, count: u32) {
        core::iter::from_fn(|| ring.pop()).for_each(Ready::run);
        assert!(ring.is_empty());
        let mut seen = seen.lock().unwrap();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..count), "{seen:?}");
    }

    #[test]
    fn popping_against_stealing() {
        check(None, |ring, seen| {
            let thief = Arc::clone(&ring);
            let thief = thread::spawn(move || steal(&thief));
            push(&ring, 0, seen);
            push(&ring, 1, seen);
            ring.pop().into_iter().for_each(Ready::run);
            thief.join().unwrap();
            assert_each_once(&ring, seen, 2);
        });
    }

    #[test]
    fn two_thieves() {
        check(Some(3), |ring, seen| {
            (0..3).for_each(|n| push(&ring, n, seen));
            let thieves = [(), ()].map(|()| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || steal(&ring))
            });
            ring.pop().into_iter().for_each(Ready::run);
            thieves.into_iter().for_each(|thread| thread.join().unwrap());
            assert_each_once(&ring, seen, 3);
        });
    }

    /// A thief whose view of the ring is older than that of the one who was faster.
    #[test]
    fn a_slow_thief() {
        check(Some(3), |ring, seen| {
            let thieves = [2, 1].map(|times| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || (0..times).for_each(|_| steal(&ring)))
            });
            (0..2).for_each(|n| push(&ring, n, seen));
            thieves.into_iter().for_each(|thread| thread.join().unwrap());
            assert_each_once(&ring, seen, 2);
        });
    }

    /// The owner goes once around the ring while the thief reads: what it read is not claimed.
    #[test]
    fn pushing_around_the_ring_against_stealing() {
        check(Some(3), |ring, seen| {
            (0..CAPACITY as u32).for_each(|n| push(&ring, n, seen));
            let thief = Arc::clone(&ring);
            let thief = thread::spawn(move || steal(&thief));
            for n in CAPACITY as u32..CAPACITY as u32 + 3 {
                ring.pop().into_iter().for_each(Ready::run);
                push(&ring, n, seen);
            }
            thief.join().unwrap();
            assert_each_once(&ring, seen, CAPACITY as u32 + 3);
        });
    }

    /// A full ring has room again when a thief has been there, who has read what is overwritten.
    #[test]
    fn pushing_into_a_full_ring_against_stealing() {
        check(Some(3), |ring, seen| {
            (0..CAPACITY as u32).for_each(|n| push(&ring, n, seen));
            let thief = Arc::clone(&ring);
            let thief = thread::spawn(move || steal(&thief));
            if let Err(late) = ring.push(ready(CAPACITY as u32, seen)) {
                late.run();
            }
            thief.join().unwrap();
            assert_each_once(&ring, seen, CAPACITY as u32 + 1);
        });
    }
}
