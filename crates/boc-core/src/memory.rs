//! Where the memory of behaviours comes from: the program's allocator, or what a worker has in hand.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::{alloc::Layout, ptr::NonNull};

#[cfg(feature = "std")]
use crate::runtime::{spare::Spare, worker::with_any_context};

/// Memory with this layout, which is not empty.
#[inline]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    #[cfg(feature = "std")]
    if layout.align() == Spare::ALIGN {
        let spare = with_any_context(|worker| worker?.spare.take(layout.size()));
        if let Some(memory) = spare {
            return memory;
        }
    }
    // SAFETY: passed on to the caller.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Frees memory.
///
/// # Safety
///
/// Nobody uses it any more. It comes from [`allocate`], which was asked for this layout.
#[inline]
pub(crate) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: passed on to the caller.
    unsafe {
        #[cfg(feature = "std")]
        if layout.align() == Spare::ALIGN {
            return with_any_context(|worker| match worker {
                Some(worker) => worker.spare.put(memory, layout.size()),
                None => dealloc(memory.as_ptr(), layout),
            });
        }
        dealloc(memory.as_ptr(), layout);
    }
}
