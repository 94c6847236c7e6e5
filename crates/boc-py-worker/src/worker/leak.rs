//! What CPython 3.12 frees at its end although it is not its own.
//!
//! A function of an extension module parses its named arguments by a table that is made when it is first called, and
//! that the process has once. Among it is a tuple, of the interpreter that came first. The main interpreter frees all
//! these tuples when it ends, and the allocator ends the process if one was a worker's, as it does after
//! `hashlib.sha256(usedforsecurity=False)`, which `import hashlib` calls. From 3.13 on they are the main
//! interpreter's from the start. Until then nothing is given back to the allocator in the last moments of a process
//! that has had workers, which leaves that to the system.

#[cfg(all(Py_3_12, not(Py_3_13)))]
use pyo3_ffi as ffi;
#[cfg(all(Py_3_12, not(Py_3_13)))]
use std::{ffi::c_void, mem::MaybeUninit};

/// To be called as late as possible before the end of the main interpreter, by a thread that is attached to it. There
/// is no worker any more.
pub fn free_nothing() {
    #[cfg(all(Py_3_12, not(Py_3_13)))]
    if super::living::were_any() {
        let mut allocator = MaybeUninit::<ffi::PyMemAllocatorEx>::uninit();
        // SAFETY: the first call fills it in. Nobody else is allocating objects, since this thread is attached and there
        // is no other interpreter. All that is different is that memory stays allocated.
        unsafe {
            ffi::PyMem_GetAllocator(
                ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ,
                allocator.as_mut_ptr(),
            );
            (*allocator.as_mut_ptr()).free = Some(keep);
            ffi::PyMem_SetAllocator(
                ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ,
                allocator.as_mut_ptr(),
            );
        }
    }
}

#[cfg(all(Py_3_12, not(Py_3_13)))]
extern "C" fn keep(_: *mut c_void, _: *mut c_void) {}
