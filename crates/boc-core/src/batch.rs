//! Batches: several behaviours scheduled as one step.

use alloc::vec::Vec;
use core::{fmt, ptr::NonNull};

use crate::{
    behaviour::Behaviour,
    conclusion,
    cown::Header,
    executor::ExecutorRef,
    handle::Handle,
    request::Request,
    schedule::{self, DuplicateCown},
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
/// The behaviours of a batch count as in flight from the moment they are added, so waiting for
/// quiescence, or for the end of the runtime, on the thread that has the batch does not return before
/// it is scheduled or dropped. Do not schedule over the handle of one of them *and* over one of its
/// cowns before the batch is scheduled: that behaviour would wait for the one in the batch, and stand
/// before it in the cown's queue.
///
/// A batch is not held back by a bound on what is in flight; see
/// [`Builder::max_in_flight`](crate::Builder::max_in_flight).
///
/// They run in the order in which they were added where they share a cown, and in parallel where they
/// do not. Dropping a batch that was not scheduled cancels its behaviours.
#[must_use = "the behaviours of a batch run after `schedule()`"]
pub struct Batch {
    executor: ExecutorRef,
    /// In no queue yet. A batch has a reference to each of their cowns.
    behaviours: Vec<NonNull<Behaviour>>,
}

// SAFETY: it owns the behaviours, whose closures and states are `Send`.
unsafe impl Send for Batch {}
// SAFETY: a shared batch gives access to nothing.
unsafe impl Sync for Batch {}

impl ExecutorRef {
    /// An empty batch of behaviours for this executor.
    pub fn batch(&self) -> Batch {
        Batch { executor: self.clone(), behaviours: Vec::new() }
    }
}

impl Batch {
    /// Adds a behaviour; see [`ExecutorRef::when`].
    ///
    /// # Panics
    ///
    /// If a cown is named twice in the request; see [`Batch::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&mut self, request: Q, body: F) -> Handle<R>
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
    pub fn try_when<Q, F, R>(&mut self, request: Q, body: F) -> Result<Handle<R>, DuplicateCown>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        // First, so that nothing can fail once the behaviour is there.
        self.behaviours.reserve(1);
        let (prepared, result) = schedule::prepare_request(&self.executor, &request, body);
        // SAFETY: it has entered no queue.
        unsafe { prepared.in_order(|_| ())? };
        if prepared.accepted {
            // SAFETY: `request` refers to the cowns; the batch gives its references up when it does
            // not have the behaviour any more.
            unsafe { cowns(prepared.behaviour).for_each(|cown| cown.as_ref().retain()) };
            self.behaviours.push(prepared.behaviour);
        }
        Ok(Handle::new(result))
    }

    /// Schedules all behaviours of the batch.
    pub fn schedule(mut self) {
        let behaviours = core::mem::take(&mut self.behaviours);
        // SAFETY: the behaviours are in no queue; the references are the batch's own. The list of
        // cowns is made before the behaviours can be gone.
        unsafe {
            let cowns: Vec<_> = behaviours.iter().copied().flat_map(|one| cowns(one)).collect();
            schedule::acquire_all(&behaviours);
            cowns.into_iter().for_each(|cown| conclusion::drop_references(cown, 1));
        }
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

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}
