//! How much memory a behaviour takes while it waits in the queue of a cown.
//!
//! Counted by the allocator, so it is exact, and once more as the growth of the process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs, mem,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
};

use boc_core::{Cown, Runtime};

/// How many behaviours wait.
const QUEUED: usize = 1_000_000;

/// What a queued behaviour may take, in bytes.
const TARGET: usize = 256;

/// Bytes that are allocated now.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all is passed on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Resident memory of this process in bytes; `None` where the system does not tell.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()? * 1024)
}

fn main() {
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(());
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&cown, move |()| released.recv().unwrap_err());
    let (allocated, resident_before) = (ALLOCATED.load(Relaxed), resident());
    for _ in 0..QUEUED {
        runtime.when(&cown, |()| ());
    }
    let exact = (ALLOCATED.load(Relaxed) - allocated) / QUEUED;
    let grown = resident().zip(resident_before).map(|(now, before)| (now - before) / QUEUED);
    mem::drop(release);
    runtime.quiesce(None).expect("the queue is released");

    let verdict = if grown.unwrap_or(exact) <= TARGET { "reached" } else { "MISSED" };
    println!("memory of {QUEUED} queued behaviours over one cown, with an empty closure:");
    println!("  {exact} bytes each asked of the allocator");
    if let Some(grown) = grown {
        println!("  {grown} bytes each of resident memory");
    }
    println!("  target: at most {TARGET} bytes: {verdict}");
}
