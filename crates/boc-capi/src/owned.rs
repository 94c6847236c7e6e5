//! What C hands over: a pointer, and what to do with it in the end.

use std::{ffi::c_void, mem::ManuallyDrop};

use crate::foreign;

/// Destroys what was handed over. Called once; possibly on another thread, inside of a behaviour or
/// between two, so it must not wait for behaviours. NULL stands for: nothing is to be done.
pub type boc_destroy_fn = Option<unsafe extern "C-unwind" fn(data: *mut c_void)>;

/// A pointer that the library has taken over. Dropping it calls the function.
pub(crate) struct Owned {
    data: *mut c_void,
    destroy: boc_destroy_fn,
}

// SAFETY: it may be used and destroyed on any thread; that is asked of whoever hands it over.
unsafe impl Send for Owned {}
// SAFETY: a shared one gives the address alone.
unsafe impl Sync for Owned {}

impl Owned {
    pub(crate) fn new(data: *mut c_void, destroy: boc_destroy_fn) -> Self {
        Self { data, destroy }
    }

    pub(crate) fn nothing() -> Self {
        Self::new(std::ptr::null_mut(), None)
    }

    pub(crate) fn data(&self) -> *mut c_void {
        self.data
    }

    /// The pointer, which now is somebody else's to destroy.
    pub(crate) fn into_data(self) -> *mut c_void {
        ManuallyDrop::new(self).data
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            let data = self.data;
            // SAFETY: it is what belongs to the pointer, and this is the only call.
            foreign::tell("a function that destroys a value", || unsafe { destroy(data) });
        }
    }
}
