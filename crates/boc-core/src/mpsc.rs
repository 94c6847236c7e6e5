//! An intrusive queue that many threads push to and one at a time pops from.
//!
//! Vyukov's queue (1024cores.net, "Intrusive MPSC node-based queue"): pushing is one exchange and
//! one store, for any number of behaviours. Between these two the queue is *split*: what was pushed
//! later is not reachable yet, and [`Consumer::pop`] says that there is nothing. Who pushes wakes the
//! consumer after the store, so nothing is forgotten.

use alloc::boxed::Box;
use core::{ptr, ptr::NonNull};

#[cfg(feature = "std")]
use crate::row::Row;
use crate::{
    behaviour::Behaviour,
    executor::Ready,
    sync::{
        Apart,
        atomic::{
            AtomicBool, AtomicPtr,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

/// The link of a list or queue, the first field of what is queued.
#[repr(C)]
pub(crate) struct Link {
    next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()) }
    }

    /// For lists that one thread owns.
    pub(crate) fn set(&self, next: Option<NonNull<Link>>) {
        self.next.store(next.map_or(ptr::null_mut(), NonNull::as_ptr), Relaxed);
    }

    /// For lists that one thread owns.
    pub(crate) fn take(&self) -> Option<NonNull<Link>> {
        let next = NonNull::new(self.next.load(Relaxed));
        self.set(None);
        next
    }
}

/// What was linked, in the order in which it was pushed.
pub(crate) struct Links {
    /// Where the next one is appended.
    newest: Apart<AtomicPtr<Link>>,
    /// Where the next one is taken. Written by the consumer only.
    oldest: Apart<AtomicPtr<Link>>,
    /// Set while a thread is the consumer.
    consumed: Apart<AtomicBool>,
    /// A link of nothing, which keeps the queue from ever having no end to append to. From a
    /// `Box`, since the queue may move and the stub may not.
    stub: NonNull<Link>,
}

// SAFETY: it is used through atomics; whoever pushes says that others can have what is behind the links.
unsafe impl Send for Links {}
// SAFETY: as above.
unsafe impl Sync for Links {}

impl Links {
    pub(crate) fn new() -> Self {
        let stub = NonNull::from(Box::leak(Box::new(Link::new())));
        Self {
            newest: Apart(AtomicPtr::new(stub.as_ptr())),
            oldest: Apart(AtomicPtr::new(stub.as_ptr())),
            consumed: Apart(AtomicBool::new(false)),
            stub,
        }
    }

    /// Appends links that lead from the first to the last, where they end.
    ///
    /// # Safety
    ///
    /// They are alive, nobody else has them, and they stay where they are until they are popped. What is
    /// behind them can be used by any thread.
    pub(crate) unsafe fn push(&self, first: NonNull<Link>, last: NonNull<Link>) {
        // Release: who gets `last` as its predecessor sees it reset.
        // Acquire: see the predecessor's link reset, before it is set below.
        let before = self.newest.swap(last.as_ptr(), AcqRel);
        // Release: pairs with the Acquire in `Consumer::pop`, for the links between the two, and all
        // that is behind them.
        // SAFETY: a link is not popped before its successor is there (or the stub was pushed behind
        // it, which is a successor too), so the predecessor is still in the queue.
        unsafe { (*before).next.store(first.as_ptr(), Release) };
    }

    /// Whether nothing is in the queue. After a push that happened before the call, the answer is
    /// `false` until what was pushed has been popped.
    pub(crate) fn is_empty(&self) -> bool {
        // `newest` first. If it is the stub although something was pushed before, then a consumer has
        // put the stub behind that, after it had moved `oldest` past the stub. Acquire: so that move
        // is visible here, and `oldest` is not the stub until all was popped.
        let stub = self.stub.as_ptr();
        self.newest.load(Acquire) == stub && self.oldest.load(Acquire) == stub
    }

    /// Becomes the consumer, unless another thread is.
    pub(crate) fn try_consume(&self) -> Option<Consumer<'_>> {
        // Acquire: pairs with the Release of the last consumer, for `oldest`.
        // Not a swap: one that comes too late has nothing to write.
        let free = !self.consumed.load(Relaxed)
            && self.consumed.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        // Not `then_some`, which makes a `Consumer` in any case, the drop of which would let another
        // thread in.
        free.then(|| Consumer { queue: self })
    }
}

/// The right to pop from a queue.
pub(crate) struct Consumer<'a> {
    queue: &'a Links,
}

impl Consumer<'_> {
    /// Takes the oldest one out. `None` if there is none, or if the next one is not reachable yet because
    /// its push has not ended.
    pub(crate) fn pop(&mut self) -> Option<NonNull<Link>> {
        let queue = self.queue;
        let stub = queue.stub;
        // Relaxed: written by consumers only, and `consumed` orders them.
        let mut oldest = queue.oldest.load(Relaxed);
        // SAFETY: links in the queue are alive; the consumer takes them out.
        let mut next = unsafe { (*oldest).next.load(Acquire) };
        if oldest == stub.as_ptr() {
            if next.is_null() {
                return None;
            }
            queue.oldest.store(next, Release);
            oldest = next;
            // SAFETY: as above.
            next = unsafe { (*oldest).next.load(Acquire) };
        }
        if next.is_null() {
            if oldest != queue.newest.load(Acquire) {
                return None;
            }
            // It is the last one: put the stub behind it, so that it can be taken out.
            // SAFETY: the stub is not in the queue, since the consumer has passed it.
            unsafe {
                stub.as_ref().set(None);
                queue.push(stub, stub);
            }
            // SAFETY: as above.
            next = unsafe { (*oldest).next.load(Acquire) };
            if next.is_null() {
                return None;
            }
        }
        queue.oldest.store(next, Release);
        // SAFETY: links in the queue are alive, and not null.
        Some(unsafe {
            (*oldest).next.store(ptr::null_mut(), Relaxed);
            NonNull::new_unchecked(oldest)
        })
    }
}

impl Consumer<'_> {
    /// Whether [`Self::pop`] would give something now. If not, and there is something, then a push is under way.
    #[cfg(feature = "std")]
    pub(crate) fn can_pop(&self) -> bool {
        let queue = self.queue;
        // As in `pop`.
        let oldest = queue.oldest.load(Relaxed);
        // SAFETY: links in the queue are alive; the consumer takes them out.
        let has_next = !unsafe { (*oldest).next.load(Acquire) }.is_null();
        has_next || oldest != queue.stub.as_ptr() && oldest == queue.newest.load(Acquire)
    }
}

impl Drop for Consumer<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next consumer.
        self.queue.consumed.store(false, Release);
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // SAFETY: nobody else has the queue; whose links it had has taken them out.
        drop(unsafe { Box::from_raw(self.stub.as_ptr()) });
    }
}

/// Behaviours that are ready, in the order in which they were pushed.
pub(crate) struct Queue(Links);

impl Queue {
    pub(crate) fn new() -> Self {
        Self(Links::new())
    }

    /// Appends a behaviour. From any thread.
    pub(crate) fn push(&self, ready: Ready) {
        let link = ready.into_inner().cast::<Link>();
        // SAFETY: the behaviour is the caller's, and from now on the queue's.
        unsafe { link.as_ref() }.set(None);
        // SAFETY: as above.
        unsafe { self.0.push(link, link) };
    }

    /// Appends behaviours in one step: nobody else's come between them. From any thread.
    #[cfg(feature = "std")]
    pub(crate) fn push_all(&self, row: Row) {
        if let Some((first, last)) = row.into_ends() {
            // SAFETY: a row owns its behaviours, which any thread can run.
            unsafe { self.0.push(first, last) };
        }
    }

    /// See [`Links::is_empty`].
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Becomes the consumer, unless another thread is.
    pub(crate) fn try_consume(&self) -> Option<ReadyConsumer<'_>> {
        self.0.try_consume().map(ReadyConsumer)
    }
}

/// The right to pop behaviours from a queue.
pub(crate) struct ReadyConsumer<'a>(Consumer<'a>);

impl ReadyConsumer<'_> {
    /// See [`Consumer::pop`].
    pub(crate) fn pop(&mut self) -> Option<Ready> {
        let link = self.0.pop()?;
        // SAFETY: every link here is that of a behaviour that the queue owned.
        Some(unsafe { Ready::new(link.cast::<Behaviour>()) })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Nobody pushes any more, so no push is halfway and `pop` finds all there is.
        while let Some(ready) = self.try_consume().and_then(|mut consumer| consumer.pop()) {
            drop(ready);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Pump, raw};
    use std::{sync::Arc, thread};

    /// A behaviour that is ready, and what it returns when it runs.
    fn ready(n: usize, seen: &Arc<std::sync::Mutex<Vec<usize>>>) -> Ready {
        let seen = Arc::clone(seen);
        let pump = Pump::new();
        raw::ready(pump.executor(), move || seen.lock().unwrap().push(n))
    }

    #[test]
    fn pops_in_the_order_of_pushing() {
        let seen = Arc::default();
        let queue = Queue::new();
        assert!(queue.is_empty());
        (0..3).for_each(|n| queue.push(ready(n, &seen)));
        let mut consumer = queue.try_consume().unwrap();
        assert!(queue.try_consume().is_none());
        while let Some(ready) = consumer.pop() {
            ready.run();
        }
        assert!(queue.is_empty());
        drop(consumer);
        assert!(queue.try_consume().is_some());
        assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn keeps_the_order_of_each_of_many_producers() {
        const EACH: usize = 2_000;
        let seen = Arc::default();
        let queue = Queue::new();
        thread::scope(|scope| {
            for producer in 0..3 {
                let (queue, seen) = (&queue, &seen);
                scope.spawn(move || {
                    for n in 0..EACH {
                        queue.push(ready(producer * EACH + n, seen));
                    }
                });
            }
            let mut popped = 0;
            while popped < 3 * EACH {
                if let Some(mut consumer) = queue.try_consume() {
                    while let Some(ready) = consumer.pop() {
                        ready.run();
                        popped += 1;
                    }
                }
                thread::yield_now();
            }
        });
        let seen = seen.lock().unwrap();
        for producer in 0..3 {
            let of_one: Vec<_> = seen.iter().filter(|n| *n / EACH == producer).collect();
            assert!(of_one.is_sorted());
            assert_eq!(of_one.len(), EACH);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::{
        ExecutorRef, raw,
        sync::{self, Arc},
    };
    use loom::thread;

    type Seen = std::sync::Arc<std::sync::Mutex<Vec<u32>>>;

    fn ready(n: u32, seen: &Seen) -> Ready {
        let seen = Seen::clone(seen);
        let watched = sync::Watched::new();
        raw::ready(&ExecutorRef::inline(), move || {
            watched.see();
            seen.lock().unwrap().push(n);
        })
    }

    fn check(preemptions: Option<usize>, program: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(program);
    }

    /// One of two producers pushes 1 and 2 in this way, and the other one 3.
    fn two_producers_against_the_consumer(push_two: fn(&Queue, [Ready; 2])) {
        check(Some(3), move || {
            let (queue, seen) = (Arc::new(Queue::new()), Seen::default());
            let others = [1, 3].map(|n| {
                let (queue, seen) = (Arc::clone(&queue), Seen::clone(&seen));
                thread::spawn(move || match n {
                    1 => push_two(&queue, [1, 2].map(|n| ready(n, &seen))),
                    n => queue.push(ready(n, &seen)),
                })
            });
            let mut popped = 0;
            while popped < 3 {
                match queue.try_consume().unwrap().pop() {
                    Some(ready) => {
                        ready.run();
                        popped += 1;
                    }
                    None => sync::yield_thread(),
                }
            }
            others.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(queue.is_empty());
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), 3);
            assert!(seen.iter().filter(|n| **n < 3).is_sorted(), "{seen:?}");
        });
    }

    #[test]
    fn one_after_the_other() {
        two_producers_against_the_consumer(|queue, two| {
            two.into_iter().for_each(|ready| queue.push(ready));
        });
    }

    #[test]
    fn a_row() {
        two_producers_against_the_consumer(|queue, two| {
            let mut row = Row::new();
            two.into_iter().for_each(|ready| row.push(ready));
            queue.push_all(row);
        });
    }

    #[test]
    fn two_consumers() {
        check(None, || {
            let (queue, seen) = (Arc::new(Queue::new()), Seen::default());
            queue.push(ready(1, &seen));
            queue.push(ready(2, &seen));
            let consume = |queue: &Queue| {
                if let Some(mut consumer) = queue.try_consume() {
                    consumer.pop().into_iter().for_each(Ready::run);
                }
            };
            let other = Arc::clone(&queue);
            let other = thread::spawn(move || (0..2).for_each(|_| consume(&other)));
            consume(&queue);
            other.join().unwrap();
            while !queue.is_empty() {
                consume(&queue);
            }
            assert_eq!(*seen.lock().unwrap(), [1, 2]);
        });
    }

    /// What was pushed before is seen, also while a consumer finds nothing because another push is
    /// under way.
    #[test]
    fn emptiness_against_a_push_and_a_pop() {
        check(None, || {
            let (queue, seen) = (Arc::new(Queue::new()), Seen::default());
            queue.push(ready(1, &seen));
            let producer = {
                let (queue, seen) = (Arc::clone(&queue), Seen::clone(&seen));
                thread::spawn(move || queue.push(ready(2, &seen)))
            };
            let consumer = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.try_consume().unwrap().pop().map(Ready::run).is_some())
            };
            let empty = queue.is_empty();
            producer.join().unwrap();
            let popped = consumer.join().unwrap();
            assert!(popped || !empty);
        });
    }
}
