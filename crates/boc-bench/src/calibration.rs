//! How fast this machine is at the moment, apart from all that is measured.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::AcqRel},
    time::Instant,
};

/// What a behaviour cannot do without, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Calibration {
    /// Allocating and freeing 64 bytes.
    pub(crate) allocate_ns: f64,
    /// One atomic exchange that nobody else takes part in.
    pub(crate) exchange_ns: f64,
}

impl Calibration {
    /// Takes some milliseconds.
    pub(crate) fn measure() -> Self {
        let place = AtomicU64::new(0);
        Self {
            allocate_ns: best_of_batches(|_| drop(black_box(Vec::<u8>::with_capacity(64)))),
            exchange_ns: best_of_batches(|value| {
                black_box(place.swap(value, AcqRel));
            }),
        }
    }

    /// Both together: one number to compare machines by.
    pub(crate) fn total_ns(self) -> f64 {
        self.allocate_ns + self.exchange_ns
    }
}

/// Nanoseconds for one call of `once`, in the best of several batches.
fn best_of_batches(mut once: impl FnMut(u64)) -> f64 {
    const BATCHES: u32 = 20;
    const CALLS: u64 = 100_000;
    let mut batch = || {
        let started = Instant::now();
        (0..CALLS).for_each(&mut once);
        started.elapsed().as_nanos() as f64 / CALLS as f64
    };
    (0..BATCHES).map(|_| batch()).fold(f64::INFINITY, f64::min)
}
