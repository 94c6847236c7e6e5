//! A worker's own queue: first in, first out; the owner pushes, everybody takes.
//!
//! A ring of atomics. `head` and `tail` only grow; the entry of position *p* is `p % CAPACITY`.
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
        if tail - self.head.load(Acquire) == CAPACITY {
            return Err(ready);
        }
        self.entry(tail).store(ready.into_inner().as_ptr(), Relaxed);
        // Release: pairs with the Acquire of who takes, for the entry and the behaviour.
        self.tail.store(tail + 1, Release);
        Ok(())
    }

    /// Takes the oldest behaviour.
    pub(super) fn pop(&self) -> Option<Ready> {
        let mut taken = None;
        self.take(|_| 1, |ready| taken = Some(ready));
        taken
    }

    /// Takes half of what is there, rounded up: returns the first, and the rest goes to `other`,
    /// which is empty and the caller's own.
    pub(super) fn steal_into(&self, other: &Ring) -> Option<(Ready, usize)> {
        let mut first = None;
        let taken = self.take(
            |available| available - available / 2,
            |ready| {
                if first.is_none() {
                    first = Some(ready);
                } else if let Err(ready) = other.push(ready) {
                    unreachable!("half of a ring fits into an empty one: {ready:?}");
                }
            },
        );
        first.map(|ready| (ready, taken))
    }

    /// Takes as many as `amount` says of the number available, and gives each to `sink`. Returns how
    /// many it took.
    fn take(&self, amount: impl Fn(usize) -> usize, mut sink: impl FnMut(Ready)) -> usize {
        let mut head = self.head.load(Acquire);
        loop {
            // Acquire: pairs with the Release of `push`.
            let available = self.tail.load(Acquire) - head;
            if available == 0 {
                return 0;
            }
            if available > CAPACITY {
                // `head` is old: others took, and the owner went on, between the two loads.
                head = self.head.load(Acquire);
                continue;
            }
            let count = amount(available);
            let mut read = [ptr::null_mut(); CAPACITY];
            for (offset, entry) in read[..count].iter_mut().enumerate() {
                *entry = self.entry(head + offset).load(Relaxed);
            }
            // Release: pairs with the Acquire in `push`, see there.
            match self.head.compare_exchange(head, head + count, Release, Acquire) {
                Ok(_) => {
                    for entry in &read[..count] {
                        // SAFETY: an entry that was claimed is a behaviour that `push` was given,
                        // and nobody else claimed it.
                        sink(unsafe { Ready::new(NonNull::new_unchecked(*entry)) });
                    }
                    return count;
                }
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
