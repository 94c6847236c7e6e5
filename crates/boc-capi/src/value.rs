//! What a cown of C holds, and how a behaviour ends.

use boc_core::{
    Panic,
    raw::{CownPtr, State},
};
use std::{
    ffi::{CStr, CString, c_void},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{
    border,
    complain::complain,
    owned::Owned,
    status::boc_status::{self, *},
};

/// The value of a cown that was made by C, or of a result.
pub(crate) struct Value {
    /// Belongs to who holds the cown. None if it was taken.
    pub(crate) held: Option<Owned>,
    /// Decided before the behaviour ends whose result this is. After that anybody may read it.
    pub(crate) ended: Ended,
    /// Whether somebody has asked how it ended.
    seen: AtomicBool,
}

/// How a behaviour ended.
pub(crate) enum Ended {
    NotYet,
    WithValue,
    Failed(CString),
    Cancelled,
    Broken,
}

impl Value {
    /// What a cown holds that is no result.
    pub(crate) fn of(owned: Owned) -> Self {
        Self { held: Some(owned), ended: Ended::WithValue, seen: AtomicBool::new(true) }
    }

    /// What the result of a behaviour holds that has not ended.
    pub(crate) fn pending() -> Self {
        Self { held: None, ended: Ended::NotYet, seen: AtomicBool::new(false) }
    }

    /// What a cown that was made by C holds: NULL if it was taken; `None` if it is another cown.
    ///
    /// # Safety
    ///
    /// The caller holds the cown.
    #[inline]
    pub(crate) unsafe fn pointer_in(cown: CownPtr) -> Option<*mut c_void> {
        // SAFETY: passed on to the caller; nobody changes what is in there.
        unsafe {
            cown.holds::<Self>().then(|| {
                let value: *const Self = cown.value();
                (*value).held.as_ref().map_or(std::ptr::null_mut(), Owned::data)
            })
        }
    }

    /// Whether it is as [`Value::pending`] made it.
    #[inline]
    pub(crate) fn is_untouched(&self) -> bool {
        self.held.is_none() && matches!(self.ended, Ended::NotYet)
    }

    /// The behaviour leaves this. Gives what it left before, which the caller drops when it does not use
    /// `self` any more: the function that destroys it may come here again.
    pub(crate) fn succeed(&mut self, owned: Owned) -> Option<Owned> {
        self.end(Ended::WithValue, Some(owned))
    }

    /// The behaviour has failed. Gives what it left before, as [`Value::succeed`] does.
    pub(crate) fn fail(&mut self, message: CString) -> Option<Owned> {
        self.end(Ended::Failed(message), None)
    }

    fn end(&mut self, ended: Ended, held: Option<Owned>) -> Option<Owned> {
        self.ended = ended;
        std::mem::replace(&mut self.held, held)
    }

    /// Whoever had to know how the behaviour ended does.
    pub(crate) fn forget(&mut self) {
        *self.seen.get_mut() = true;
    }

    /// How the behaviour ended, for somebody who takes note of it.
    ///
    /// # Safety
    ///
    /// `this` is alive, and the behaviour has ended; what it left may be somebody else's.
    pub(crate) unsafe fn look<'a>(this: *const Self) -> &'a Ended {
        // SAFETY: both are only read after the end, but for the flag, which is atomic.
        unsafe {
            (*this).seen.store(true, Relaxed);
            &(*this).ended
        }
    }
}

impl Ended {
    pub(crate) fn status(&self) -> boc_status {
        match self {
            Self::NotYet => BOC_PENDING,
            Self::WithValue => BOC_OK,
            Self::Failed(_) => BOC_FAILED,
            Self::Cancelled => BOC_CANCELLED,
            Self::Broken => BOC_BROKEN,
        }
    }

    pub(crate) fn message(&self) -> Option<&CStr> {
        match self {
            Self::NotYet | Self::WithValue => None,
            Self::Failed(message) => Some(message),
            Self::Cancelled => Some(c"the behaviour was cancelled before it started"),
            Self::Broken => Some(c"the promise was released before it was fulfilled"),
        }
    }
}

impl Drop for Value {
    #[inline]
    fn drop(&mut self) {
        if let Ended::Failed(message) = &self.ended
            && !*self.seen.get_mut()
        {
            report_unseen(message);
        }
    }
}

#[cold]
fn report_unseen(message: &CStr) {
    let message = message.to_string_lossy();
    complain(format_args!("a behaviour failed, and nobody looked at its result: {message}"));
}

impl State for Value {
    fn panicked(&mut self, panic: Panic) {
        self.fail(border::for_c(panic.message().unwrap_or("a panic without a message")));
    }

    fn cancelled(&mut self) {
        self.ended = Ended::Cancelled;
    }

    fn broken(&mut self) {
        self.ended = Ended::Broken;
    }
}
