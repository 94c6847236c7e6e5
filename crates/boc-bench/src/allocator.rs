//! The allocator of all peers.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc_aligned, mi_zalloc_aligned,
};

/// For all peers alike. A task is often allocated by one thread and freed by another, which the
/// allocator of the C library pays for with a lock.
#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

/// What it is called.
pub(crate) const NAME: &str = "mimalloc";

/// mimalloc, as a program in C would call it. The type that the `mimalloc` crate has for this passes each
/// alignment on, which costs some twenty instructions.
struct Mimalloc;

/// Every block is aligned to this, in bytes.
const ALWAYS: usize = size_of::<usize>();

// SAFETY: mimalloc gives memory as it is asked for, to any thread, and does not unwind.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe {
            if layout.align() <= ALWAYS {
                mi_malloc(layout.size()).cast()
            } else {
                mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: passed on to the caller.
        unsafe { mi_free(memory.cast()) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe { mi_zalloc_aligned(layout.size(), layout.align()).cast() }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe { mi_realloc_aligned(memory.cast(), size, layout.align()).cast() }
    }
}
