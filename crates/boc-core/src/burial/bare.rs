//! Without thread-locals: the ends on all threads are counted together.
//!
//! # Protocol
//!
//! Two words serve the whole program: `under_way` counts ends that destroy something, `put_off` is a
//! stack of cowns.
//!
//! 1. Who is to end a cown [enters](Undertaker::enter), and [leaves](Undertaker::leave) when it is
//!    through.
//! 2. Fewer than `NESTED` ends under way: there is *room*. The end is counted until it leaves; it
//!    destroys the cown at once, and then all that was put off.
//! 3. Otherwise the cown is [put off](Undertaker::put_off).
//! 4. Who leaves and finds room looks whether something was put off, and if so, enters anew.
//!
//! **The stack stays low.** Of the ends that are nested on one thread all but the innermost are
//! counted, so there are `NESTED` of them and one that puts off, at the most.
//!
//! **Nothing is forgotten.** Who puts off does so before it leaves. If it finds no room then, all those
//! who are counted leave after it, and look: they see what was put off, or somebody has taken that
//! already, to destroy it.
//!
//! **Nobody waits.** A thread that is interrupted in the middle of an end stops nobody else, so
//! interrupt handlers may drop cowns too, if the allocator lets them.
//!
//! So when the last handle to a cown is dropped, its value is gone when that returns, unless `NESTED`
//! ends are under way already. Then one of those destroys it: further out on the same thread, so
//! before the outermost of them returns, or on another thread, or in the interrupt handler where
//! that one takes place. Values are `Send`, so they may go there.
//!
//! A destructor that never returns keeps its room for ever. Nothing is done for ends that unwind:
//! without `std` a panic does not come back.

use core::{ptr, ptr::NonNull};

use super::{before, link};
use crate::{
    cown::Header,
    sync::atomic::{
        AtomicPtr, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// Sees to the ends of cowns.
struct Undertaker<const NESTED: usize> {
    /// How many ends have room. Never more than `NESTED`.
    under_way: AtomicUsize,
    /// The cown that was put off last.
    put_off: AtomicPtr<Header>,
}

#[cfg(not(feature = "std"))]
mod program {
    use super::{Header, NonNull, Undertaker};
    use crate::sync::Apart;

    /// So many ends may be nested. Values lie in between, so each can take some hundred bytes of
    /// stack, and without an operating system stacks are small.
    const NESTED: usize = 8;

    #[cfg(not(loom))]
    static UNDERTAKER: Apart<Undertaker<NESTED>> = Apart(Undertaker::new());
    #[cfg(loom)]
    loom::lazy_static! {
        static ref UNDERTAKER: Apart<Undertaker<NESTED>> = Apart(Undertaker::new());
    }

    /// Destroys a cown, now or a little later, possibly on another thread.
    ///
    /// # Safety
    ///
    /// No reference to it is left; the caller does not use it afterwards.
    pub(crate) unsafe fn destroy(cown: NonNull<Header>) {
        // SAFETY: passed on to the caller.
        unsafe { UNDERTAKER.destroy(cown) };
    }
}
#[cfg(not(feature = "std"))]
pub(crate) use program::destroy;

impl<const NESTED: usize> Undertaker<NESTED> {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self { under_way: AtomicUsize::new(0), put_off: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The checker's atomics cannot be made at compile time.
    #[cfg(loom)]
    fn new() -> Self {
        Self { under_way: AtomicUsize::new(0), put_off: AtomicPtr::new(ptr::null_mut()) }
    }

    /// # Safety
    ///
    /// No reference to the cown is left; the caller does not use it afterwards.
    unsafe fn destroy(&self, cown: NonNull<Header>) {
        let mut room = self.enter();
        // SAFETY: passed on to the caller.
        unsafe { if room { Header::destroy_now(cown) } else { self.put_off(cown) } };
        loop {
            if room {
                self.destroy_put_off();
            }
            if !self.leave(room) {
                return;
            }
            room = self.enter();
        }
    }

    /// Whether there is room for one more to destroy something; if so, it is counted.
    fn enter(&self) -> bool {
        // Relaxed: a thread sees its own ends in any case, which is what keeps its stack low. What
        // passes between threads passes in `leave`.
        let more = |ends| (ends < NESTED).then_some(ends + 1);
        self.under_way.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Takes the count back, if the caller was counted. Says whether something was put off that
    /// nobody else may see to.
    fn leave(&self, counted: bool) -> bool {
        let counted = usize::from(counted);
        // Who was not counted subtracts nothing, but has its place in the order of those who leave,
        // which a mere load would not have.
        // Release and Acquire: of two who leave, the later one sees what the earlier one has put off,
        // since the count is changed by reading and writing at once only.
        let left = self.under_way.fetch_sub(counted, AcqRel) - counted;
        // Relaxed: by the above it is not older than what has to be seen.
        left < NESTED && !self.put_off.load(Relaxed).is_null()
    }

    /// Leaves a cown to those who have room.
    ///
    /// # Safety
    ///
    /// As for `destroy`. The caller leaves afterwards.
    unsafe fn put_off(&self, cown: NonNull<Header>) {
        let mut last = self.put_off.load(Relaxed);
        loop {
            // SAFETY: passed on to the caller; it is not on the stack yet.
            unsafe { link(cown, last) };
            // Release: pairs with the Acquire in `destroy_put_off`, for the link and for the value.
            match self.put_off.compare_exchange_weak(last, cown.as_ptr(), Release, Relaxed) {
                Ok(_) => return,
                Err(now) => last = now,
            }
        }
    }

    /// Destroys all that was put off, also what is put off meanwhile. The caller has room.
    fn destroy_put_off(&self) {
        // A look first, since mostly there is nothing, and then nothing need be written.
        while !self.put_off.load(Relaxed).is_null() {
            // The whole stack at once: to take one cown only, one would have to read its link while
            // somebody else may take it and free it.
            // Acquire: pairs with the Release of all who put off what comes out.
            let mut last = self.put_off.swap(ptr::null_mut(), Acquire);
            while let Some(cown) = NonNull::new(last) {
                // SAFETY: who takes cowns off the stack has them to itself; each of them was given to
                // `destroy` to be destroyed.
                unsafe {
                    last = before(cown);
                    Header::destroy_now(cown);
                }
            }
        }
    }
}

#[cfg(test)]
mod chains {
    use super::*;
    use crate::{Cown, sync};
    use core::{cell::Cell, mem::ManuallyDrop};
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    sync::local! {
        static DEPTH: Cell<usize> = Cell::new(0);
    }

    /// What the ends of the cowns of a test have in common.
    pub(super) struct Ends<const NESTED: usize> {
        undertaker: Undertaker<NESTED>,
        /// Not one of the checker's atomics, so it orders nothing for it.
        ended: AtomicUsize,
        deepest: AtomicUsize,
    }

    /// The value of a cown that another one refers to. Ends by the undertaker of its test.
    struct Node<const NESTED: usize> {
        ends: Arc<Ends<NESTED>>,
        next: Option<NonNull<Header>>,
        #[cfg(loom)]
        watched: sync::Watched,
    }

    // SAFETY: it owns the next cown, whose value is a node too.
    unsafe impl<const NESTED: usize> Send for Node<NESTED> {}

    impl<const NESTED: usize> Drop for Node<NESTED> {
        fn drop(&mut self) {
            #[cfg(loom)]
            self.watched.see();
            let depth = DEPTH.with(Cell::get) + 1;
            self.ends.deepest.fetch_max(depth, SeqCst);
            DEPTH.with(|cell| cell.set(depth));
            if let Some(next) = self.next.take() {
                // SAFETY: this was the only reference to it.
                unsafe { self.ends.undertaker.destroy(next) };
            }
            DEPTH.with(|cell| cell.set(depth - 1));
            self.ends.ended.fetch_add(1, SeqCst);
        }
    }

    impl<const NESTED: usize> Ends<NESTED> {
        pub(super) fn new() -> Arc<Self> {
            let (ended, deepest) = Default::default();
            Arc::new(Self { undertaker: Undertaker::new(), ended, deepest })
        }

        /// Makes a chain of cowns and ends its first one, which ends the next one, and so on.
        pub(super) fn end_chain(self: &Arc<Self>, length: usize) {
            let mut next = None;
            for _ in 0..length {
                let ends = Arc::clone(self);
                let node = Node {
                    ends,
                    next,
                    #[cfg(loom)]
                    watched: sync::Watched::new(),
                };
                next = Some(ManuallyDrop::new(Cown::new(node)).header());
            }
            if let Some(first) = next {
                // SAFETY: its only handle was forgotten.
                unsafe { self.undertaker.destroy(first) };
            }
        }

        pub(super) fn ended(&self) -> usize {
            self.ended.load(SeqCst)
        }

        /// Checks that all is done, and was done on low stacks.
        pub(super) fn check(&self, ended: usize) {
            assert_eq!(self.ended(), ended);
            assert_eq!(self.undertaker.under_way.load(SeqCst), 0);
            assert!(self.undertaker.put_off.load(SeqCst).is_null());
            assert!(self.deepest.load(SeqCst) <= NESTED);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::chains::Ends;
    use std::thread;

    #[test]
    fn a_long_chain_has_ended_on_return() {
        let ends = Ends::<8>::new();
        ends.end_chain(300_000);
        ends.check(300_000);
    }

    #[test]
    fn many_threads_end_each_others_cowns() {
        const EACH: usize = 2_000;
        let ends = Ends::<3>::new();
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| (0..EACH).for_each(|n| ends.end_chain(n % 8)));
            }
        });
        ends.check(6 * (0..EACH).map(|n| n % 8).sum::<usize>());
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::chains::Ends;
    use loom::thread;
    use std::sync::Arc;

    /// Ends a chain on each of several threads.
    fn check<const NESTED: usize>(preemptions: Option<usize>, lengths: &'static [usize]) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || {
            let ends = Ends::<NESTED>::new();
            let end_chain = |length: &usize| {
                let (ends, length) = (Arc::clone(&ends), *length);
                thread::spawn(move || ends.end_chain(length))
            };
            let others: Vec<_> = lengths[1..].iter().map(end_chain).collect();
            ends.end_chain(lengths[0]);
            others.into_iter().for_each(|thread| thread.join().unwrap());
            ends.check(lengths.iter().sum());
        });
    }

    #[test]
    fn two_ends_and_room_for_one() {
        check::<1>(None, &[1, 1]);
    }

    #[test]
    fn two_chains_and_room_for_one() {
        check::<1>(Some(6), &[2, 2]);
    }

    #[test]
    fn two_chains_and_room_for_two() {
        check::<2>(Some(4), &[3, 2]);
    }

    #[test]
    fn three_ends_and_room_for_one() {
        check::<1>(Some(4), &[1, 1, 1]);
    }

    #[test]
    fn three_ends_and_room_for_two() {
        check::<2>(Some(3), &[2, 1, 1]);
    }
}
