//! From a `Buffer` into a passage.

use pyo3_ffi::PyObject;
use std::{
    mem,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
};

use super::{
    class::{Content, Lease, MOVED, content, lease, moved},
    passage::{Passage, Use},
    source,
};
use crate::error::{Raised, Result, buffer_error};

/// A `Buffer` whose block is being taken out. Unless it is, nothing has happened to it.
pub(crate) struct Moving(*const Content);

impl Moving {
    /// Whether a `Buffer` could move now. If it only can be read, it does not have to: then a copy goes, in the
    /// passage that is returned.
    ///
    /// # Safety
    ///
    /// The thread is attached. `object` is a `Buffer`, which is alive.
    pub(crate) unsafe fn look(object: *mut PyObject) -> Result<Option<Arc<Passage>>> {
        // SAFETY: passed on to the caller.
        let (lease, buffer) = unsafe { (lease(object)?, content(object)) };
        if lease.held().usage == Use::Read {
            return copy_of(&lease).map(Some);
        }
        // One of them is the lease.
        if buffer.views.load(Relaxed) > 1 { Err(in_view()) } else { Ok(None) }
    }

    /// A passage with a copy of the memory, of which nothing moves.
    ///
    /// # Safety
    ///
    /// As for [`Self::look`].
    pub(crate) unsafe fn copy(object: *mut PyObject) -> Result<Arc<Passage>> {
        // SAFETY: passed on to the caller.
        copy_of(&unsafe { lease(object) }?)
    }

    /// From now on the `Buffer` is empty for all others.
    ///
    /// # Safety
    ///
    /// The thread is attached. `object` is a `Buffer` that can be written, and alive as long as what is returned.
    pub(crate) unsafe fn start(object: *mut PyObject) -> Result<Self> {
        // SAFETY: passed on to the caller.
        let buffer = unsafe { content(object) };
        // `Acquire` pairs with the `Release` of those who gave up their views: what they wrote goes along with the
        // block.
        match buffer.views.compare_exchange(0, MOVED, Acquire, Relaxed) {
            Ok(_) => Ok(Self(buffer)),
            Err(MOVED) => Err(moved()),
            Err(_) => Err(in_view()),
        }
    }

    /// Takes the block out, and puts it into a passage.
    pub(crate) fn finish(self, passage: &Passage) {
        // SAFETY: `held` belongs to this, see `class`, and is there.
        let held = unsafe { (*(*self.0).held.get()).take().expect("it was not moved before") };
        mem::forget(self);
        if let Some(origin) = held.origin {
            origin.leave();
        }
        passage.arrive(held.block);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        // SAFETY: the object is alive. What belonged to this belongs to all again.
        unsafe { (*self.0).views.store(0, Release) };
    }
}

/// Who has a lease is attached.
fn copy_of(lease: &Lease<'_>) -> Result<Arc<Passage>> {
    // SAFETY: as above.
    let copy = lease.held().block.copy().ok_or_else(|| unsafe { source::no_memory() })?;
    Ok(Arc::new(Passage::resting(Arc::new(copy))))
}

#[cold]
fn in_view() -> Raised {
    buffer_error(
        "cannot send a Buffer while a memoryview of it, or an array over it, exists; \
         release that first, as by \"with memoryview(buffer) as view:\"",
    )
}
