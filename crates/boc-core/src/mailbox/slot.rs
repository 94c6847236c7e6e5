//! The messages under one tag, and who waits for them.

use alloc::boxed::Box;
use core::{fmt, ptr::NonNull};
use std::collections::VecDeque;

use crate::{
    backoff::Backoff,
    mpsc::{Consumer, Link, Links},
    parker::Parker,
    sync::{
        Apart, Arc, Mutex, MutexGuard,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
            fence,
        },
        lock,
    },
};

/// How many messages a slot has room for, if nobody says anything else.
pub const DEFAULT_LIMIT: usize = 16_384;

/// The messages under one tag, in the order in which they were sent.
pub struct Slot<T> {
    links: Links,
    /// What only those who send write.
    sending: Apart<Sending>,
    /// How many messages were taken out. Written by who takes one, while nobody else does.
    taken: Apart<AtomicUsize>,
    limit: AtomicUsize,
    /// How many are in the list below, for who does not want to lock it.
    waiting: AtomicUsize,
    /// Nothing waits, or runs foreign code, while this is locked.
    waiters: Mutex<VecDeque<Arc<Parker>>>,
    messages: core::marker::PhantomData<T>,
}

struct Sending {
    /// How many messages were put in, or are going to be.
    reserved: AtomicUsize,
    /// What `taken` was when somebody looked, so that not everybody has to fetch it.
    taken: AtomicUsize,
}

/// A message in the queue.
#[repr(C)]
struct Node<T> {
    link: Link,
    message: T,
}

/// The slot has no room for another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many messages it has room for.
    pub limit: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are {} messages, and there is no room for more", self.limit)
    }
}

impl core::error::Error for Full {}

/// Room for one message, until it is sent or this is dropped.
#[must_use = "the room is given back when this is dropped"]
pub struct Place<'a, T> {
    slot: &'a Slot<T>,
}

impl<T> Slot<T> {
    pub(super) fn new(limit: usize) -> Self {
        let sending = Sending { reserved: AtomicUsize::new(0), taken: AtomicUsize::new(0) };
        Self {
            links: Links::new(),
            sending: Apart(sending),
            taken: Apart(AtomicUsize::new(0)),
            limit: AtomicUsize::new(clamped(limit)),
            waiting: AtomicUsize::new(0),
            waiters: Mutex::new(VecDeque::new()),
            messages: core::marker::PhantomData,
        }
    }

    /// Makes sure of room for a message, before it is made.
    ///
    /// # Errors
    ///
    /// [`Full`] if there are as many messages as there is room for.
    pub fn reserve(&self) -> Result<Place<'_, T>, Full> {
        // All of them relaxed: they count, and nobody concludes from a number what can be read.
        let limit = self.limit.load(Relaxed);
        let Sending { reserved, taken } = &*self.sending;
        let mut known = reserved.load(Relaxed);
        loop {
            // Signed, since more may have been taken by now than were reserved when this was read.
            let are_more = |taken: usize| known.wrapping_sub(taken) as isize >= limit as isize;
            if are_more(taken.load(Relaxed)) {
                let now = self.taken.load(Relaxed);
                taken.store(now, Relaxed);
                if are_more(now) {
                    return Err(Full { limit });
                }
            }
            let next = known.wrapping_add(1);
            match reserved.compare_exchange_weak(known, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(Place { slot: self }),
                Err(now) => known = now,
            }
        }
    }

    /// Takes the oldest message out, if there is one. One that was sent before this was called is found.
    pub fn take(&self) -> Option<T> {
        let mut backoff = Backoff::new();
        loop {
            match self.try_take() {
                // The way to a message is not there yet: another one has begun to push before it, and has two
                // instructions to go. It may have been pre-empted for so long that others would find nothing
                // thousands of times.
                None if !self.is_empty() => backoff.snooze(),
                found => return found,
            }
        }
    }

    /// [`take`](Self::take), but gives up if the way to the message is not there yet.
    pub(super) fn try_take(&self) -> Option<T> {
        let link = self.take_link()?;
        // SAFETY: it is that of a message, which is this thread's now.
        let node = unsafe { Box::from_raw(link.cast::<Node<T>>().as_ptr()) };
        Some(node.message)
    }

    fn take_link(&self) -> Option<NonNull<Link>> {
        let mut consumer = self.consumer();
        let link = consumer.pop()?;
        // Nobody else writes it, as long as there is a consumer.
        self.taken.store(self.taken.load(Relaxed).wrapping_add(1), Relaxed);
        Some(link)
    }

    fn consumer(&self) -> Consumer<'_> {
        let mut backoff = Backoff::new();
        loop {
            // Another one takes a message, or finds that there is none, in a few instructions.
            match self.links.try_consume() {
                Some(consumer) => return consumer,
                None => backoff.snooze(),
            }
        }
    }

    /// Drops the messages that were sent before this was called; says how many there were.
    pub fn drain(&self) -> usize {
        // No more than these, so that this ends although others go on sending.
        let there = self.sending.reserved.load(Relaxed).wrapping_sub(self.taken.load(Relaxed));
        (0..there as isize).map_while(|_| self.take()).count()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// How many messages there is room for.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(clamped(limit), Relaxed);
    }

    fn waiters(&self) -> MutexGuard<'_, VecDeque<Arc<Parker>>> {
        lock!(self.waiters)
    }

    /// From now on `waiter` is called when there is a message: the first of two steps, see the top of the
    /// module. Who enters looks whether there is one, behind [`entered`].
    pub(super) fn enter(&self, waiter: &Arc<Parker>) {
        let mut waiters = self.waiters();
        waiters.push_back(Arc::clone(waiter));
        self.waiting.store(waiters.len(), Relaxed);
    }

    /// `waiter` will not be called any more. If it has been, and there is a message, another one is.
    pub(super) fn leave(&self, waiter: &Arc<Parker>) {
        let mut waiters = self.waiters();
        let before = waiters.len();
        waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        self.waiting.store(waiters.len(), Relaxed);
        let was_called = waiters.len() == before;
        drop(waiters);
        // The push for which it was called is visible here, since the list was locked after it. So there is a message
        // that can be taken, unless somebody has taken it, or a push before that has not ended.
        if was_called && self.consumer().can_pop() {
            self.call_if_awaited();
        }
    }

    /// To be called after a message was put in, or left.
    pub(super) fn call_if_awaited(&self) {
        // Pairs with that in `entered`. If that came first, the waiter is seen here; else it finds the
        // message, the link to which was written before (or by somebody whom this thread has heard of).
        fence(SeqCst);
        if self.waiting.load(Relaxed) != 0 {
            self.call();
        }
    }

    #[cold]
    fn call(&self) {
        let mut waiters = self.waiters();
        let waiter = waiters.pop_front();
        self.waiting.store(waiters.len(), Relaxed);
        drop(waiters);
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }
}

/// To be called between [`Slot::enter`] and a look into the queue.
pub(super) fn entered() {
    // Pairs with that in `Slot::call_if_awaited`.
    fence(SeqCst);
}

/// So that a difference of two counts can be compared with it, as a signed number.
fn clamped(limit: usize) -> usize {
    limit.min(isize::MAX as usize)
}

impl<T: Send> Slot<T> {
    /// Puts a message in.
    ///
    /// # Errors
    ///
    /// [`Full`] if there are as many messages as there is room for; then this one is dropped.
    pub fn send(&self, message: T) -> Result<(), Full> {
        self.reserve()?.send(message);
        Ok(())
    }
}

impl<T: Send> Place<'_, T> {
    /// Puts a message in.
    pub fn send(self, message: T) {
        let slot = self.slot;
        // The place is used.
        core::mem::forget(self);
        let node = Box::new(Node { link: Link::new(), message });
        let link = NonNull::from(Box::leak(node)).cast::<Link>();
        // SAFETY: the node is new, and stays where it is until it is taken; a link is its first field. Any
        // thread can have the message.
        unsafe { slot.links.push(link, link) };
        slot.call_if_awaited();
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.slot.sending.reserved.fetch_sub(1, Relaxed);
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        while self.take().is_some() {}
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("limit", &self.limit()).finish_non_exhaustive()
    }
}

// SAFETY: messages come out on any thread, and nobody ever sees one that is inside.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Slot<T> {}
