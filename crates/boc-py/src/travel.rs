//! References that one thread makes and another one gives up.
//!
//! On a free-threaded build an object has two reference counts: one that only the thread which made
//! the object touches, without atomics, and one that all others share. When another thread gives up
//! a reference that the first one has counted in its own, the shared count becomes negative, and
//! the object is queued for its thread to settle that, under a lock, by interrupting it. This
//! happens for each object in each behaviour that is scheduled on one thread and runs on another.
//!
//! So a reference that is going to be given up elsewhere is counted as shared from the start.

use pyo3::{PyTypeCheck, prelude::*};

/// A new reference to an object, to be given up by another thread.
#[cfg(Py_GIL_DISABLED)]
pub(crate) fn reference<T: PyTypeCheck>(object: &Bound<'_, T>) -> Py<T> {
    use std::sync::atomic::Ordering::Relaxed;

    /// The count is in the bits above two flags.
    const ONE: isize = 1 << 2;
    let (py, object) = (object.py(), object.as_ptr());
    // SAFETY: this is what `Py_INCREF`, which is compiled into every extension, does on a thread
    // that has not made the object; the object is alive. The new reference goes to the `Py`, and
    // the object has the type that it had before.
    unsafe {
        // Objects that never die have no counts.
        if (*object).ob_ref_local.load(Relaxed) != u32::MAX {
            (*object).ob_ref_shared.fetch_add(ONE, Relaxed);
        }
        Bound::from_owned_ptr(py, object).cast_into_unchecked().unbind()
    }
}

/// A new reference to an object, to be given up by another thread.
#[cfg(not(Py_GIL_DISABLED))]
pub(crate) fn reference<T: PyTypeCheck>(object: &Bound<'_, T>) -> Py<T> {
    object.clone().unbind()
}
