//! The allocator of all peers.

use std::alloc::{GlobalAlloc, Layout};

use rpmalloc_sys::{rpaligned_alloc, rpaligned_calloc, rpaligned_realloc, rpfree, rpmalloc};

/// For all peers alike. A task is often allocated by one thread and freed by another: the allocator of the C
/// library pays for that with a lock, and others with walks along the memory that comes back, from one cache
/// miss to the next. This one takes all that came back by one exchange.
#[global_allocator]
static ALLOCATOR: Rpmalloc = Rpmalloc;

/// What it is called.
pub(crate) const NAME: &str = "rpmalloc";

/// rpmalloc, as a program in C would call it. The type that the `rpmalloc` crate has for this passes each
/// alignment on, which costs some twenty instructions.
struct Rpmalloc;

/// Every block is aligned to this, in bytes. The functions that take an alignment take none below a pointer's.
const ALWAYS: usize = 16;

// SAFETY: rpmalloc gives memory as it is asked for, to any thread, and does not unwind.
unsafe impl GlobalAlloc for Rpmalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe {
            if layout.align() <= ALWAYS {
                rpmalloc(layout.size()).cast()
            } else {
                rpaligned_alloc(layout.align(), layout.size()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: passed on to the caller.
        unsafe { rpfree(memory.cast()) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe { rpaligned_calloc(layout.align().max(ALWAYS), 1, layout.size()).cast() }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe {
            rpaligned_realloc(memory.cast(), layout.align().max(ALWAYS), size, layout.size(), 0)
                .cast()
        }
    }
}
