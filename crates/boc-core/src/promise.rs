//! Promises: outcomes that come from outside of all behaviours.

use core::fmt;

use crate::{handle::Handle, outcome::Outcome, raw};

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
pub struct Promise<R: Send + 'static>(raw::Promise<Outcome<R>>);

impl<R: Send + 'static> Promise<R> {
    /// A promise, and the handle to what it will be fulfilled with.
    pub fn new() -> (Self, Handle<R>) {
        let (promise, result) = raw::Promise::new(Outcome::pending());
        (Self(promise), Handle::new(result))
    }

    /// Gives the value.
    ///
    /// # Errors
    ///
    /// The value, if the handle was cancelled before.
    pub fn fulfil(self, value: R) -> Result<(), R> {
        let mut value = Some(value);
        self.0.fulfil(|outcome| {
            if let Some(value) = value.take() {
                outcome.set(value);
            }
        });
        value.map_or(Ok(()), Err)
    }

    /// Whether the handle was cancelled, so that nobody wants the value any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl<R: Send + 'static> fmt::Debug for Promise<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}
