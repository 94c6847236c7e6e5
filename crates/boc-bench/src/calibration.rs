//! How fast this machine is at the moment, apart from all that is measured.

use std::{
    hint::{black_box, spin_loop},
    ops::Range,
    sync::atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Release},
    },
    thread,
    time::Instant,
};

use crossbeam_utils::CachePadded;

/// What a behaviour cannot do without, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Calibration {
    /// Allocating and freeing 64 bytes.
    pub(crate) allocate_ns: f64,
    /// One atomic exchange that nobody else takes part in.
    pub(crate) exchange_ns: f64,
    /// From the write of one thread until another one has seen it, when both look all the time: how
    /// far apart the cores are. On virtual machines that can change by the second.
    pub(crate) handover_ns: f64,
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
            handover_ns: handover(),
        }
    }

    /// The first two together: one number to compare machines by.
    pub(crate) fn total_ns(self) -> f64 {
        self.allocate_ns + self.exchange_ns
    }
}

/// Two threads that throw a ball to and fro. Zero where there is but one core, so that it would show
/// how long the system lets a thread go on.
fn handover() -> f64 {
    const GAMES: u32 = 10;
    /// Until both threads are there.
    const WARM_UP: u64 = 200;
    const STROKES: u64 = 4_000;
    if thread::available_parallelism().is_ok_and(|count| count.get() == 1) {
        return 0.0;
    }
    let ball = CachePadded::new(AtomicU64::new(0));
    let play = |strokes: Range<u64>| {
        for stroke in strokes.step_by(2) {
            while ball.load(Acquire) != stroke {
                spin_loop();
            }
            ball.store(stroke + 1, Release);
        }
    };
    let game = || {
        ball.store(0, Release);
        thread::scope(|scope| {
            scope.spawn(|| play(1..WARM_UP + STROKES));
            play(0..WARM_UP);
            let started = Instant::now();
            play(WARM_UP..WARM_UP + STROKES);
            started.elapsed().as_nanos() as f64 / STROKES as f64
        })
    };
    (0..GAMES).map(|_| game()).fold(f64::INFINITY, f64::min)
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
