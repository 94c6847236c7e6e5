//! From a `Buffer` into a parcel.

use pyo3_ffi::PyObject;
use std::{
    mem,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
};

use super::{
    class::{Content, MOVED, content, lease, moved},
    passage::{Passage, Use},
    source,
};
use crate::error::{Result, buffer_error};

/// A `Buffer` on its way into a parcel. Unless it gets there, nothing has happened to it.
pub(crate) struct Moving(*const Content);

/// What is sent where there is a `Buffer`.
pub(crate) enum Sent {
    /// Its block.
    Moving(Moving),
    /// A copy of it, since it can only be read.
    Copy(Arc<Passage>),
}

impl Moving {
    /// From now on the `Buffer` is empty for all others, if it is going to be.
    ///
    /// # Safety
    ///
    /// The thread is attached. `object` is a `Buffer` and alive as long as what is returned.
    pub(crate) unsafe fn start(object: *mut PyObject) -> Result<Sent> {
        // SAFETY: passed on to the caller.
        unsafe {
            let lease = lease(object)?;
            let held = lease.held();
            if held.usage == Use::Read {
                let copy = held.block.copy().ok_or_else(|| source::no_memory())?;
                return Ok(Sent::Copy(Arc::new(Passage::new(Arc::new(copy)))));
            }
        }
        // SAFETY: as above.
        let buffer = unsafe { content(object) };
        // `Acquire` pairs with the `Release` of those who gave up their views: what they wrote goes along with the
        // block.
        let found = buffer.views.compare_exchange(0, MOVED, Acquire, Relaxed);
        match found {
            Ok(_) => Ok(Sent::Moving(Self(buffer))),
            Err(MOVED) => Err(moved()),
            Err(_) => Err(buffer_error(
                "cannot send a Buffer while a memoryview of it, or an array over it, exists; \
                 release that first, as by \"with memoryview(buffer) as view:\"",
            )),
        }
    }

    /// Takes the block out.
    pub(crate) fn finish(self) -> Arc<Passage> {
        // SAFETY: `held` belongs to this, see `class`, and is there.
        let held = unsafe { (*(*self.0).held.get()).take().expect("it was not moved before") };
        mem::forget(self);
        if let Some(origin) = held.origin {
            origin.leave();
        }
        Arc::new(Passage::new(held.block))
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        // SAFETY: the object is alive. What belonged to this belongs to all again.
        unsafe { (*self.0).views.store(0, Release) };
    }
}
