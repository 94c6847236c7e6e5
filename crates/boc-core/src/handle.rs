//! Handles: waiting for a behaviour, and scheduling over its outcome.

use core::fmt;

use crate::{cown::Cown, outcome::Outcome, raw::ResultCown};

/// The outcome of a behaviour: to be waited for, or scheduled over.
///
/// The outcome is a cown that the behaviour holds from the moment it is scheduled. So a behaviour
/// over the handle (`when(&handle, …)`) runs after it, and sees an [`Outcome`].
///
/// Dropping a handle lets the behaviour run all the same.
pub struct Handle<R> {
    result: ResultCown<Outcome<R>>,
    /// Set at the end of the behaviour, once somebody has waited for that.
    #[cfg(feature = "std")]
    ended: std::sync::OnceLock<crate::sync::Arc<crate::raw::Signal>>,
}

impl<R: Send + 'static> Handle<R> {
    pub(crate) fn new(result: ResultCown<Outcome<R>>) -> Self {
        Self {
            result,
            #[cfg(feature = "std")]
            ended: std::sync::OnceLock::new(),
        }
    }

    /// The cown of the outcome.
    pub fn cown(&self) -> &Cown<Outcome<R>> {
        self.result.cown()
    }

    /// Cancels the behaviour, unless it has started; says whether it did.
    ///
    /// Its closure is dropped and its outcome is [`Failure::Cancelled`](crate::Failure::Cancelled) at
    /// once, also for behaviours that were scheduled over this handle. Its places in the queues of its
    /// cowns are given up when it is their turn.
    ///
    /// ```
    /// use boc_core::{Cown, Failure, Pump};
    ///
    /// let pump = Pump::new();
    /// let handle = pump.executor().when(&Cown::new(1), |n| *n += 1);
    /// assert!(handle.cancel());
    /// assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    /// ```
    pub fn cancel(&self) -> bool {
        self.result.cancel()
    }

    /// Whether the behaviour has ended, or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.result.is_finished()
    }
}

#[cfg(feature = "std")]
mod waiting {
    use super::{Handle, Outcome};
    use crate::{
        outcome::{self, Failure},
        raw::{self, Access},
        signal::Signal,
        sync::Arc,
    };
    use std::time::{Duration, Instant};

    impl<R: Send + 'static> Handle<R> {
        /// Waits for the behaviour, and takes its value.
        ///
        /// If other behaviours were scheduled over this handle, it waits for those too.
        ///
        /// # Errors
        ///
        /// The [`Failure`] of a behaviour that gave no value.
        ///
        /// # Panics
        ///
        /// Inside of a behaviour, where waiting could deadlock: schedule over the handle instead.
        pub fn wait(self) -> Result<R, Failure> {
            match self.wait_until(None) {
                Ok(outcome) => outcome,
                Err(_) => unreachable!("without a deadline there is nothing but an outcome"),
            }
        }

        /// [`Handle::wait`] for `timeout` at the most.
        ///
        /// # Errors
        ///
        /// The handle itself if the time ran out before there was an outcome.
        ///
        /// # Panics
        ///
        /// Inside of a behaviour.
        pub fn wait_timeout(self, timeout: Duration) -> Result<Result<R, Failure>, Self> {
            // A deadline that the clock cannot express is never reached.
            self.wait_until(Instant::now().checked_add(timeout))
        }

        fn wait_until(self, deadline: Option<Instant>) -> Result<Result<R, Failure>, Self> {
            assert!(
                !outcome::inside(),
                "waiting for a behaviour inside of a behaviour could deadlock: schedule over the \
                 handle instead, `when(&handle, …)`"
            );
            if !self.is_finished() {
                let ended = self.ended.get_or_init(|| {
                    let signal = Arc::new(Signal::new());
                    let set = Arc::clone(&signal);
                    self.result.on_finished(move || set.set());
                    signal
                });
                if !ended.wait(deadline) {
                    return Err(self);
                }
            }
            let cown = self.cown();
            // SAFETY: `self` keeps the cown alive.
            let claim =
                unsafe { raw::claim(&[Access::from(cown)]) }.expect("one cown has no duplicate");
            if !claim.wait(deadline) {
                return Err(self);
            }
            let outcome: *mut Outcome<R> = raw::value_ptr(cown);
            // SAFETY: the claim holds the cown.
            Ok(unsafe { (*outcome).take() })
        }
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.result.cown()).finish()
    }
}
