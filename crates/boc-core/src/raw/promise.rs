//! Promises with a state of their own.

use core::{fmt, marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use super::{ResultCown, State};
use crate::{
    behaviour::{Behaviour, Promised},
    conclusion,
    cown::Cown,
    executor::Seat,
    outcome,
    sync::atomic::Ordering::Relaxed,
    work::Once,
};

/// The other end of a result that does not come from a behaviour; see
/// [`boc_core::Promise`](crate::Promise).
///
/// Dropping it leaves the state [broken](State::broken).
#[must_use = "a promise that is dropped is broken"]
pub struct Promise<S: State> {
    /// It has no cowns, belongs to no executor, and its closure is never called; this is its run.
    behaviour: NonNull<Behaviour>,
    state: PhantomData<S>,
}

// SAFETY: it owns the behaviour's run, whose state is `Send`.
unsafe impl<S: State> Send for Promise<S> {}
// SAFETY: a shared promise gives access to nothing but an atomic.
unsafe impl<S: State> Sync for Promise<S> {}

impl<S: State> Promise<S> {
    /// A promise, and the result that it holds until it is fulfilled.
    pub fn new(state: S) -> (Self, ResultCown<S>) {
        let never = Once(|_: &[_], _: &mut S| ());
        let behaviour =
            Behaviour::allocate::<Promised<_>, _>(Seat::nobody(), state, never, 0, |_| ());
        // SAFETY: it was just allocated. It waits for nothing: whoever fulfils it decides when it
        // runs. Relaxed: nobody else knows it yet.
        let result = unsafe {
            behaviour.as_ref().pending.store(0, Relaxed);
            ResultCown::of(behaviour)
        };
        (Self { behaviour, state: PhantomData }, result)
    }

    /// Decides the state by `f`, and releases the result; unless it was cancelled before, when `f` is
    /// dropped uncalled.
    pub fn fulfil(self, f: impl FnOnce(&mut S)) {
        // SAFETY: the promise is not dropped, and gone after this.
        unsafe { ManuallyDrop::new(self).settle(f) };
    }

    /// Whether the result was cancelled, so that nobody wants it any more.
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: the promise's share of the behaviour keeps it alive.
        unsafe { self.behaviour.as_ref() }.was_cancelled()
    }

    /// Decides the state by `f`, unless it was cancelled, and ends the behaviour.
    ///
    /// # Safety
    ///
    /// Called once, and the promise is not used afterwards.
    unsafe fn settle(&mut self, f: impl FnOnce(&mut S)) {
        // SAFETY: this is the behaviour's run: who claims it holds the result, and concludes it. The
        // result is alive until then.
        let settle = || unsafe {
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
        };
        // Who is told of it is told where it must not wait.
        outcome::as_behaviour(settle);
    }
}

impl<S: State> Drop for Promise<S> {
    fn drop(&mut self) {
        // SAFETY: it is dropped once, and not at all if it was fulfilled.
        unsafe { self.settle(S::broken) };
    }
}

impl<S: State> fmt::Debug for Promise<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}
