//! Results: cowns that a behaviour, or a promise, holds until it has ended.

use alloc::boxed::Box;
use core::{fmt, ptr::NonNull};

use super::CownPtr;
use crate::{
    behaviour::{Behaviour, Promise, promise_offset, result_offset},
    completion::Completion,
    conclusion,
    cown::{Body, Cown},
};

/// The cown that is the result of a behaviour, and its completion.
///
/// The behaviour holds the cown from the start, so whoever else comes to hold it finds the state
/// that the behaviour left.
pub struct ResultCown<S> {
    cown: Cown<S>,
}

impl<S> Clone for ResultCown<S> {
    fn clone(&self) -> Self {
        Self { cown: self.cown.clone() }
    }
}

impl<S> ResultCown<S> {
    /// # Safety
    ///
    /// The behaviour has a state of type `S`; the caller gives up the reference to its result.
    pub(crate) unsafe fn of(behaviour: NonNull<Behaviour>) -> Self {
        // SAFETY: the result lies at this offset in every behaviour with a state of this type.
        unsafe {
            let body = behaviour.byte_add(result_offset::<S>()).cast::<Body<S>>();
            Self { cown: Cown::from_body(body) }
        }
    }

    /// The cown.
    pub fn cown(&self) -> &Cown<S> {
        &self.cown
    }

    /// The cown alone.
    pub fn into_cown(self) -> Cown<S> {
        self.cown
    }

    fn behaviour(&self) -> NonNull<Behaviour> {
        // SAFETY: `self.cown` lies in a behaviour, and its reference keeps the whole alive.
        unsafe { self.cown.header().byte_sub(result_offset::<S>()).cast() }
    }

    fn completion(&self) -> &Completion {
        // SAFETY: as for `behaviour`.
        let promise: &Promise =
            unsafe { self.behaviour().byte_add(promise_offset::<S>()).cast().as_ref() };
        &promise.completion
    }

    /// Whether the behaviour has ended. If so, all that it did happened before.
    pub fn is_finished(&self) -> bool {
        self.completion().is_done()
    }

    /// Cancels the behaviour, unless it has started; says whether it did. See
    /// [`Handle::cancel`](crate::Handle::cancel).
    pub fn cancel(&self) -> bool {
        // SAFETY: `self` is a reference to the result.
        unsafe { conclusion::cancel(self.behaviour()) }
    }

    /// Calls `callback` when the behaviour has ended: at once if it has, else on the thread that
    /// ends it, where it must not block.
    pub fn on_finished(&self, callback: impl FnOnce() + Send + 'static) {
        self.completion().subscribe(Box::new(callback));
    }
}

/// A cown that is the result of a behaviour.
impl<S> TryFrom<Cown<S>> for ResultCown<S> {
    type Error = Cown<S>;

    /// # Errors
    ///
    /// The cown itself if it is no result.
    fn try_from(cown: Cown<S>) -> Result<Self, Cown<S>> {
        // SAFETY: `cown` is alive.
        if unsafe { CownPtr::from(&cown).is_result() } { Ok(Self { cown }) } else { Err(cown) }
    }
}

impl<S> fmt::Debug for ResultCown<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResultCown").field(&self.cown).finish()
    }
}
