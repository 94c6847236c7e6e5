//! An allocator that writes over what is given back.
//!
//! Who uses memory after its end mostly finds there what he expects, as long as nobody else has got
//! it. With this he does not: a pointer leads nowhere, a state is none that there is.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, apart from that.
pub(crate) struct Scribble;

/// Even, so that a tagged pointer of this is an untagged one; no address on the usual machines.
const PATTERN: u8 = 0xF0;

// SAFETY: all is passed on; what is given back belongs to nobody.
unsafe impl GlobalAlloc for Scribble {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: passed on to the caller; the memory is of that size.
        unsafe {
            memory.write_bytes(PATTERN, layout.size());
            // Else the compiler leaves out what nobody is going to read who may.
            std::hint::black_box(memory);
            System.dealloc(memory, layout);
        }
    }
}
