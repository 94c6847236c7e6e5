//! What there is once in a process, for all interpreters.
//!
//! A child begins with another one, since in the parent's some thread may have been in the middle of something when the
//! process forked.

use std::{
    ptr,
    sync::atomic::{
        AtomicPtr,
        Ordering::{AcqRel, Acquire},
    },
};

/// A place for one `T`, which is made when somebody first asks for it, and never freed.
pub(crate) struct PerProcess<T>(AtomicPtr<T>);

impl<T: Default + Send + Sync + 'static> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> &'static T {
        // Acquire: pairs with the exchange below, for what is in it.
        let mut current = self.0.load(Acquire);
        if current.is_null() {
            let fresh = Box::into_raw(Box::<T>::default());
            current = match self.0.compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire) {
                Ok(_) => fresh,
                Err(theirs) => {
                    // SAFETY: `fresh` was not published.
                    drop(unsafe { Box::from_raw(fresh) });
                    theirs
                }
            };
        }
        // SAFETY: what was published is never freed.
        unsafe { &*current }
    }

    /// To be called in a child process, where the next one to ask gets a new one. Gives the parent's, if there was one.
    pub(crate) fn forget(&self) -> Option<&'static T> {
        let old = self.0.swap(ptr::null_mut(), AcqRel);
        // SAFETY: as above; or null.
        unsafe { old.as_ref() }
    }
}
