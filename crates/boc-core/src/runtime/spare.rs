//! The memory of a behaviour that has ended, for the next one of its size. A worker's own.
//!
//! A behaviour that schedules another one before it ends needs a block of memory and leaves one. So in a chain
//! two blocks take turns, both in this processor's cache, and no allocator is asked.

use alloc::alloc::dealloc;
use core::{
    alloc::Layout,
    cell::Cell,
    ptr::{self, NonNull},
};

/// What a worker has in hand.
pub(crate) struct Spare {
    memory: Cell<*mut u8>,
    /// In bytes; zero if there is none.
    size: Cell<usize>,
}

impl Spare {
    /// What most behaviours have. Others are left to the allocator.
    pub(crate) const ALIGN: usize = align_of::<usize>();

    pub(crate) fn new() -> Self {
        Self { memory: Cell::new(ptr::null_mut()), size: Cell::new(0) }
    }

    /// The memory, if it has this size, which is not zero.
    #[inline]
    pub(crate) fn take(&self, size: usize) -> Option<NonNull<u8>> {
        if self.size.get() != size {
            return None;
        }
        self.size.set(0);
        NonNull::new(self.memory.get())
    }

    /// Keeps memory, unless there is some of its size.
    ///
    /// # Safety
    ///
    /// As for [`crate::memory::free`].
    #[inline]
    pub(crate) unsafe fn put(&self, memory: NonNull<u8>, size: usize) {
        let kept = self.size.get();
        if kept == size {
            // SAFETY: passed on to the caller.
            unsafe { dealloc(memory.as_ptr(), Self::layout(size)) };
        } else if kept == 0 {
            self.set(memory, size);
        } else {
            self.replace(memory, size);
        }
    }

    fn set(&self, memory: NonNull<u8>, size: usize) {
        self.memory.set(memory.as_ptr());
        self.size.set(size);
    }

    // A call, so that the other ways need no registers for it.
    #[inline(never)]
    fn replace(&self, memory: NonNull<u8>, size: usize) {
        self.free();
        self.set(memory, size);
    }

    /// Frees the memory, if there is some.
    fn free(&self) {
        let size = self.size.replace(0);
        if size > 0 {
            // SAFETY: it was put here with this size, and is nobody else's.
            unsafe { dealloc(self.memory.get(), Self::layout(size)) };
        }
    }

    fn layout(size: usize) -> Layout {
        // SAFETY: that of a behaviour, which had this size and alignment.
        unsafe { Layout::from_size_align_unchecked(size, Self::ALIGN) }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.free();
    }
}
