//! References to objects of the main interpreter that any thread can give up.

use pyo3_ffi::PyObject;
use std::{mem::ManuallyDrop, ptr::NonNull};

use crate::{
    ending::{self, Py_DecRef},
    interpreter::{self, where_now},
    object::Object,
    orphan,
};

/// A reference to an object of the main interpreter, which may be the last one when it is given up.
#[repr(transparent)]
pub struct Kept(NonNull<PyObject>);

// SAFETY: the object is used by threads that are attached to its interpreter alone, as any object is;
// the reference can be given up by others too, see `drop`.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    /// Keeps an object, of a thread that is attached to the main interpreter.
    pub fn new(object: Object) -> Self {
        debug_assert!(interpreter::here().is_main());
        Self(NonNull::new(object.into_ptr()).expect("objects are not null"))
    }

    /// Keeps an object for another thread to give it up.
    ///
    /// On a free-threaded build an object has two reference counts: one that only the thread which made
    /// the object touches, without atomics, and one that all others share. When another thread gives up
    /// a reference that the first one has counted in its own, the shared count becomes negative, and
    /// the object is queued for its thread to settle that, under a lock, by interrupting it. This
    /// happens for each object in each behaviour that is scheduled on one thread and runs on another.
    ///
    /// So a reference that is going to be given up elsewhere is counted as shared from the start.
    ///
    /// # Safety
    ///
    /// The thread is attached to the main interpreter, and the object alive.
    pub unsafe fn for_others(object: *mut PyObject) -> Self {
        #[cfg(Py_GIL_DISABLED)]
        // SAFETY: this is what `Py_INCREF`, which is compiled into every extension, does on a thread
        // that has not made the object; the object is alive.
        unsafe {
            use std::sync::atomic::Ordering::Relaxed;
            /// The count is in the bits above two flags.
            const ONE: isize = 1 << 2;
            // Objects that never die have no counts.
            if (*object).ob_ref_local.load(Relaxed) != u32::MAX {
                (*object).ob_ref_shared.fetch_add(ONE, Relaxed);
            }
            Self(NonNull::new_unchecked(object))
        }
        #[cfg(not(Py_GIL_DISABLED))]
        // SAFETY: passed on to the caller.
        unsafe {
            pyo3_ffi::Py_INCREF(object);
            Self(NonNull::new_unchecked(object))
        }
    }

    /// Borrowed.
    pub fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Another reference, of a thread that is attached to the main interpreter.
    pub fn object(&self) -> Object {
        debug_assert!(interpreter::here().is_main());
        // SAFETY: `self` keeps it alive; the caller is attached.
        unsafe { Object::from_borrowed(self.as_ptr()) }
    }

    /// The reference itself, of a thread that is attached to the main interpreter.
    pub fn into_object(self) -> Object {
        debug_assert!(interpreter::here().is_main());
        let object = ManuallyDrop::new(self).as_ptr();
        // SAFETY: the reference was ours, and the object is alive.
        unsafe { Object::from_owned(object) }.expect("objects are not null")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !where_now().is_main() {
            return interpreter::main().give_up(self.0.as_ptr());
        }
        let object = self.0.as_ptr();
        // SAFETY: attached to the object's interpreter; the reference is ours, and not used any more.
        ending::guarded(|| unsafe { Py_DecRef(object) });
        orphan::end_if_outermost();
    }
}
