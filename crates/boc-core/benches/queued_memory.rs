//! How much memory a behaviour takes while it waits in the queue of a cown.
//!
//! Counted by the allocator, so it is exact, and once more as the growth of the process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
};

use boc_core::{Cown, Runtime};

/// How many behaviours wait.
const QUEUED: usize = 1_000_000;

/// What a queued behaviour may take, in bytes.
const TARGET: usize = 128;

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
    println!("memory of {QUEUED} queued behaviours over one cown, with an empty closure, each:");
    let asked = [
        measure("with a result", |runtime, cown| drop(runtime.when(cown, |()| ()))),
        measure("without", |runtime, cown| runtime.when_detached(cown, |()| ())),
    ];
    let verdict = if asked.iter().all(|asked| *asked <= TARGET) { "reached" } else { "MISSED" };
    println!("  target: ask the allocator for at most {TARGET} bytes: {verdict}");
}

/// Says, and returns, how many bytes are asked of the allocator for each.
fn measure(kind: &str, schedule: fn(&Runtime, &Cown<()>)) -> usize {
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(());
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&cown, move |()| released.recv().unwrap_err());
    let (allocated, resident_before) = (ALLOCATED.load(Relaxed), resident());
    for _ in 0..QUEUED {
        schedule(&runtime, &cown);
    }
    let asked = (ALLOCATED.load(Relaxed) - allocated) / QUEUED;
    // Less if memory is used again that the kind before has left.
    let grown = resident().zip(resident_before).map(|(now, before)| (now - before) / QUEUED);
    let grown = grown.filter(|grown| *grown >= asked);
    drop(release);
    runtime.quiesce(None).expect("the queue is released");
    let grown = grown.map_or(String::new(), |grown| format!(", the process has grown by {grown}"));
    println!("  {kind}: {asked} bytes asked of the allocator{grown}");
    asked
}
