//! Batches: several behaviours scheduled as one step.

use alloc::vec::Vec;
// Not those of the model checker: the counter below orders nothing.
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::{fmt, ptr::NonNull};

#[cfg(feature = "std")]
use crate::runtime::observe;
use crate::{
    behaviour::Behaviour,
    conclusion,
    cown::Header,
    executor::ExecutorRef,
    handle::Handle,
    outcome::Outcome,
    raw::ResultCown,
    request::Request,
    schedule::{self, DuplicateCown, Entry, Prepared},
    slot::Slot,
};

/// Behaviours that are scheduled as one step: in the queues of the cowns that they share with each
/// other or with others, nobody else's behaviour comes between them.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::Cown;
///
/// let log = Cown::new(Vec::new());
/// let mut batch = runtime.batch();
/// batch.when(&log, |log| log.push("begin"));
/// batch.when(&log, |log| log.push("end"));
/// batch.schedule();
/// // Whatever other threads schedule over `log`, it does not come between the two.
/// let log = runtime.when(&log, |log| log.clone()).wait().unwrap();
/// assert_eq!(log, ["begin", "end"]);
/// ```
///
/// They run in the order in which they were added where they share a cown, and in parallel where they
/// do not. Dropping a batch that was not scheduled cancels its behaviours.
///
/// Whoever wants to know the outcome keeps the [`Member`] that [`Batch::when`] gives, and has a
/// [`Handle`] for it as soon as the batch is scheduled:
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::Cown;
///
/// let (a, b) = (Cown::new(1), Cown::new(2));
/// let mut batch = runtime.batch();
/// let [one, other] = [&a, &b].map(|cown| batch.when(cown, |n| std::mem::take(n)));
/// let scheduled = batch.schedule();
/// let sum = runtime.when((&scheduled.handle(one), &scheduled.handle(other)), |(one, other)| {
///     one.take().unwrap() + other.take().unwrap()
/// });
/// assert_eq!(sum.wait().unwrap(), 3);
/// ```
///
/// The behaviours of a batch count as in flight from the moment they are added, so waiting for
/// quiescence, or for the end of the runtime, on the thread that has the batch does not return before
/// it is scheduled or dropped. A batch is not held back by a bound on what is in flight; see
/// [`Builder::max_in_flight`](crate::Builder::max_in_flight).
#[must_use = "the behaviours of a batch run after `schedule()`"]
pub struct Batch {
    executor: ExecutorRef,
    number: Number,
    /// In no queue yet. A batch has a reference to each of their cowns.
    behaviours: Vec<NonNull<Behaviour>>,
}

/// A behaviour that was added to a [`Batch`]. [`Scheduled::handle`] makes a [`Handle`] of it.
///
/// It is no handle yet. What is scheduled over the outcome of a behaviour comes behind that behaviour;
/// before the batch is scheduled, it could come before it on a cown of both, and then each would wait
/// for the other. So this cannot be scheduled over:
///
/// ```compile_fail,E0277
/// # use boc_core::{Cown, Pump};
/// # let pump = Pump::new();
/// let cown = Cown::new(1);
/// let mut batch = pump.executor().batch();
/// let member = batch.when(&cown, |n| *n);
/// pump.executor().when((&member, &cown), |_| ());
/// batch.schedule();
/// ```
///
/// nor waited for:
///
/// ```compile_fail,E0599
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let mut batch = runtime.batch();
/// let member = batch.when((), |()| 1);
/// member.wait();
/// ```
///
/// A later behaviour of the batch that needs what an earlier one gives gets it by a cown that both
/// name.
///
/// Dropping it lets the behaviour run all the same. It can be sent to other threads and be shared by
/// them if `R` is `Send`.
pub struct Member<R> {
    result: ResultCown<Outcome<R>>,
    batch: Number,
}

/// A [`Batch`] that was scheduled, as [`Batch::schedule`] returns it. Can be copied, and used on any
/// thread; there is nothing to be done with it if nobody wants to know an outcome.
#[derive(Clone, Copy)]
pub struct Scheduled {
    batch: Number,
}

/// What tells a batch from all others.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Number(usize);

impl Number {
    fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // Where it wraps around, four billion batches lie between two of the same number.
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

// SAFETY: it owns the behaviours, whose closures and states are `Send`.
unsafe impl Send for Batch {}
// SAFETY: a shared batch gives access to nothing.
unsafe impl Sync for Batch {}

impl ExecutorRef {
    /// An empty batch of behaviours for this executor.
    pub fn batch(&self) -> Batch {
        Batch { executor: self.clone(), number: Number::next(), behaviours: Vec::new() }
    }
}

impl Batch {
    /// Adds a behaviour; see [`ExecutorRef::when`].
    ///
    /// If the executor does not take behaviours any more, it is not added, and the handle that the
    /// [`Member`] becomes says [`Failure::Cancelled`](crate::Failure::Cancelled).
    ///
    /// # Panics
    ///
    /// If a cown is named twice in the request; see [`Batch::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&mut self, request: Q, body: F) -> Member<R>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        schedule::distinct(self.try_when(request, body))
    }

    /// [`Batch::when`] for requests whose cowns are not known to be distinct.
    ///
    /// # Errors
    ///
    /// [`DuplicateCown`] if a cown is named twice in the request, and not only to be read. Nothing was
    /// added, and `body` was dropped.
    #[track_caller]
    pub fn try_when<Q, F, R>(&mut self, request: Q, body: F) -> Result<Member<R>, DuplicateCown>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        let executor = self.make_room();
        let (prepared, result) =
            schedule::prepare_request(executor, &request, body, Entry::WithBatch);
        // SAFETY: it has entered no queue; `request` refers to the cowns.
        unsafe { self.add(prepared)? };
        Ok(Member { result, batch: self.number })
    }

    /// The executor for a behaviour that is going to be added, so that nothing can fail once it is there.
    pub(crate) fn make_room(&mut self) -> &ExecutorRef {
        self.behaviours.reserve(1);
        &self.executor
    }

    /// # Errors
    ///
    /// As for [`Batch::try_when`].
    ///
    /// # Safety
    ///
    /// The behaviour has entered no queue; its cowns are alive during the call.
    pub(crate) unsafe fn add(&mut self, prepared: Prepared) -> Result<(), DuplicateCown> {
        // SAFETY: it has entered no queue.
        unsafe { prepared.merge()? };
        if prepared.was_accepted() {
            // SAFETY: the caller keeps the cowns alive; the batch gives its references up when it does
            // not have the behaviour any more.
            unsafe { cowns(prepared.behaviour).for_each(|cown| cown.as_ref().retain()) };
            self.behaviours.push(prepared.behaviour);
        }
        Ok(())
    }

    /// Schedules all behaviours of the batch.
    pub fn schedule(mut self) -> Scheduled {
        let behaviours = core::mem::take(&mut self.behaviours);
        // SAFETY: the behaviours are in no queue; the references are the batch's own. The list of
        // cowns is made before the behaviours can be gone.
        unsafe {
            let cowns: Vec<_> = behaviours.iter().copied().flat_map(|one| cowns(one)).collect();
            #[cfg(feature = "std")]
            for one in &behaviours {
                if !one.as_ref().executor.is_that_of(&self.executor) {
                    observe::entering(*one);
                }
            }
            schedule::acquire_all(&behaviours);
            cowns.into_iter().for_each(|cown| conclusion::drop_references(cown, 1));
        }
        Scheduled { batch: self.number }
    }

    /// How many behaviours have been added.
    pub fn len(&self) -> usize {
        self.behaviours.len()
    }

    /// Whether none has been added.
    pub fn is_empty(&self) -> bool {
        self.behaviours.is_empty()
    }
}

/// The cowns of a behaviour, one for each slot.
///
/// # Safety
///
/// The behaviour is alive as long as the iterator is used.
unsafe fn cowns(behaviour: NonNull<Behaviour>) -> impl Iterator<Item = NonNull<Header>> {
    // SAFETY: passed on to the caller.
    unsafe { Behaviour::slots(behaviour).as_ref() }.iter().map(Slot::cown)
}

impl Drop for Batch {
    fn drop(&mut self) {
        for one in core::mem::take(&mut self.behaviours) {
            // SAFETY: the behaviour is in no queue; the references are the batch's own.
            unsafe {
                let cowns: Vec<_> = cowns(one).collect();
                conclusion::give_up(one);
                cowns.into_iter().for_each(|cown| conclusion::drop_references(cown, 1));
            }
        }
    }
}

impl Scheduled {
    /// The handle to one of the behaviours of the batch.
    ///
    /// # Panics
    ///
    /// If it is one of another batch, since that may not be scheduled yet.
    ///
    /// ```should_panic
    /// # let runtime = boc_core::Runtime::with_workers(1);
    /// let (mut one, mut other) = (runtime.batch(), runtime.batch());
    /// let member = one.when((), |()| 1);
    /// other.schedule().handle(member);
    /// ```
    #[track_caller]
    pub fn handle<R: Send + 'static>(self, member: Member<R>) -> Handle<R> {
        assert!(
            member.batch == self.batch,
            "a behaviour of another batch has its handle from where that batch was scheduled"
        );
        Handle::new(member.result)
    }
}

impl<R> fmt::Debug for Member<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("batch", &self.batch.0).finish_non_exhaustive()
    }
}

impl fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduled").field("batch", &self.batch.0).finish()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}
