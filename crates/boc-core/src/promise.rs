//! Promises: outcomes that come from outside of all behaviours.

use core::{fmt, marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use crate::{
    behaviour::{Behaviour, Promised},
    conclusion,
    cown::Cown,
    executor::Seat,
    handle::Handle,
    outcome::Outcome,
    raw::ResultCown,
    sync::atomic::Ordering::Relaxed,
    work::Once,
};

/// The other end of a [`Handle`] whose outcome does not come from a behaviour, but from a timer, from
/// input and output, from another runtime.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::Promise;
///
/// let (promise, line) = Promise::new();
/// let length = runtime.when(&line, |line| line.take().map(|line: String| line.len()));
/// // On any thread, at any time:
/// promise.fulfil(String::from("behaviour")).unwrap();
/// assert_eq!(length.wait().unwrap().unwrap(), 9);
/// ```
///
/// Dropping a promise breaks it: the outcome is [`Failure::Broken`](crate::Failure::Broken).
///
/// A runtime whose behaviours wait for a promise does not end before that is fulfilled or dropped. So a
/// thread that has a promise, and drops the runtime while it has it, waits for itself: declare the
/// runtime first, or fulfil what is left before its end.
#[must_use = "a promise that is dropped is broken"]
pub struct Promise<R> {
    /// It has no cowns, belongs to no executor, and its closure is never called; this is its run.
    behaviour: NonNull<Behaviour>,
    result: PhantomData<R>,
}

// SAFETY: it owns the behaviour's run, whose outcome is `Send`.
unsafe impl<R: Send> Send for Promise<R> {}
// SAFETY: a shared promise gives access to nothing but an atomic.
unsafe impl<R: Send> Sync for Promise<R> {}

impl<R: Send + 'static> Promise<R> {
    /// A promise, and the handle to what it will be fulfilled with.
    pub fn new() -> (Self, Handle<R>) {
        let never = Once(|_: &[_], _: &mut Outcome<R>| ());
        let state = Outcome::pending();
        let behaviour =
            Behaviour::allocate::<Promised<_>, _>(Seat::nobody(), state, never, 0, |_| ());
        // SAFETY: it was just allocated. It waits for nothing: whoever fulfils it decides when it
        // runs. Relaxed: nobody else knows it yet.
        let handle = unsafe {
            behaviour.as_ref().pending.store(0, Relaxed);
            Handle::new(ResultCown::of(behaviour))
        };
        (Self { behaviour, result: PhantomData }, handle)
    }

    /// Gives the value.
    ///
    /// # Errors
    ///
    /// The value, if the handle was cancelled before.
    pub fn fulfil(self, value: R) -> Result<(), R> {
        let mut value = Some(value);
        let set = |outcome: &mut Outcome<R>| {
            if let Some(value) = value.take() {
                outcome.set(value);
            }
        };
        // SAFETY: the promise is not dropped, and gone after this.
        unsafe { ManuallyDrop::new(self).settle(set) };
        value.map_or(Ok(()), Err)
    }

    /// Whether the handle was cancelled, so that nobody wants the value any more.
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: the promise's share of the behaviour keeps it alive.
        unsafe { self.behaviour.as_ref() }.was_cancelled()
    }
}

impl<R> Promise<R> {
    /// Decides the outcome by `f`, unless it was cancelled, and ends the behaviour.
    ///
    /// # Safety
    ///
    /// Called once, and the promise is not used afterwards.
    unsafe fn settle(&mut self, f: impl FnOnce(&mut Outcome<R>)) {
        // SAFETY: this is the behaviour's run: who claims it holds the result, and concludes it. The
        // result is alive until then.
        unsafe {
            let conclude = match Behaviour::claim(self.behaviour) {
                Ok(()) => {
                    let result = Behaviour::promise(self.behaviour).expect("it has a result").1;
                    f(&mut *Cown::value_in(result.cast()));
                    true
                }
                Err(conclude) => conclude,
            };
            if conclude {
                conclusion::conclude(self.behaviour);
            }
        }
    }
}

impl<R> Drop for Promise<R> {
    fn drop(&mut self) {
        // SAFETY: it is dropped once, and not at all if it was fulfilled.
        unsafe { self.settle(Outcome::break_promise) };
    }
}

impl<R> fmt::Debug for Promise<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}
