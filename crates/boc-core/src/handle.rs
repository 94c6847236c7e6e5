//! Handles: waiting for a behaviour, and scheduling over its outcome.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crate::{
    cown::Cown,
    executor::ExecutorRef,
    outcome::{Failure, Outcome},
    place::Place,
    raw::{Access, ResultCown},
};

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
    /// A place in the queue of the outcome, once somebody has polled for that.
    place: Option<Place>,
}

impl<R: Send + 'static> Handle<R> {
    pub(crate) fn new(result: ResultCown<Outcome<R>>) -> Self {
        Self {
            result,
            #[cfg(feature = "std")]
            ended: std::sync::OnceLock::new(),
            place: None,
        }
    }

    /// The cown of the outcome.
    pub fn cown(&self) -> &Cown<Outcome<R>> {
        self.result.cown()
    }

    /// Cancels the behaviour, unless it has started; says whether it did.
    ///
    /// Its closure is dropped and its outcome is [`Failure::Cancelled`] at once, also for behaviours
    /// that were scheduled over this handle. Its places in the queues of its cowns are given up when it
    /// is their turn.
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

impl<R: Send + 'static> Handle<R> {
    /// Schedules `body` on `executor`, to be called with the value, or with why there is none.
    ///
    /// ```
    /// # let runtime = boc_core::Runtime::new();
    /// let length = runtime
    ///     .when((), |()| "cown")
    ///     .then(runtime.executor(), |word| word.map_or(0, str::len));
    /// assert_eq!(length.wait().unwrap(), 4);
    /// ```
    ///
    /// To see the value and leave it to others, schedule over the handle: `when(&handle, …)`.
    #[track_caller]
    pub fn then<F, U>(self, executor: &ExecutorRef, body: F) -> Handle<U>
    where
        F: FnOnce(Result<R, Failure>) -> U + Send + 'static,
        U: Send + 'static,
    {
        executor.when(&self, move |outcome| body(outcome.take()))
    }

    /// Takes the value, if it is there and nobody else who was scheduled over this handle holds it or
    /// waits for it.
    pub fn try_take(&mut self) -> Option<Result<R, Failure>> {
        if !self.is_finished() {
            return None;
        }
        let outcome = self.poll_outcome(&mut Context::from_waker(Waker::noop()));
        // A place that was not free must not be in the way of others until somebody asks again.
        self.place = None;
        match outcome {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Result<R, Failure>> {
        let cown = self.result.cown();
        // SAFETY: `self` keeps the cown alive.
        let take = || unsafe { Place::take(&[Access::from(cown)]) }.expect("it is named once");
        let place = self.place.get_or_insert_with(take);
        if !place.poll(context) {
            return Poll::Pending;
        }
        // SAFETY: the place holds the cown.
        let outcome = unsafe { (*cown.value_ptr()).take() };
        self.place = None;
        Poll::Ready(outcome)
    }
}

/// Waits for the behaviour, and takes its value, on any async runtime.
///
/// From the first poll on, the future stands in the queue of the outcome; behaviours that are
/// scheduled over the handle later come behind it.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     use std::{pin::pin, sync::Arc, task::{Context, Poll, Wake}, thread::{self, Thread}};
/// #     struct Unpark(Thread);
/// #     impl Wake for Unpark {
/// #         fn wake(self: Arc<Self>) {
/// #             self.0.unpark();
/// #         }
/// #     }
/// #     let waker = Arc::new(Unpark(thread::current())).into();
/// #     let mut future = pin!(future);
/// #     loop {
/// #         if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
/// #             return value;
/// #         }
/// #         thread::park();
/// #     }
/// # }
/// let answer = runtime.when((), |()| 42);
/// assert_eq!(block_on(async { answer.await.unwrap() }), 42);
/// ```
impl<R: Send + 'static> Future for Handle<R> {
    type Output = Result<R, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R, Failure>> {
        self.get_mut().poll_outcome(context)
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
        /// If other behaviours were scheduled over this handle, it waits for those too; if one of them has
        /// taken the value, instead of looking at it, there is none left.
        ///
        /// # Errors
        ///
        /// The [`Failure`] of a behaviour that gave no value.
        ///
        /// # Panics
        ///
        /// Inside of a behaviour, where waiting could deadlock: schedule over the handle instead.
        #[track_caller]
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
        #[track_caller]
        pub fn wait_timeout(self, timeout: Duration) -> Result<Result<R, Failure>, Self> {
            // A deadline that the clock cannot express is never reached.
            self.wait_until(Instant::now().checked_add(timeout))
        }

        #[track_caller]
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
            let claim = unsafe { raw::claim(&[Access::from(cown)]) }.expect("it is named once");
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
