//! Behaviours on a `boc_core::Runtime`.

use std::time::{Duration, Instant};

use boc_core::{Cown, Pump, Runtime};

/// Runs `seed` as the first behaviour, and returns when it and all that it led to have ended.
pub(crate) fn run<R: Send + 'static>(
    workers: usize,
    seed: impl FnOnce() -> R + Send + 'static,
) -> (Duration, R) {
    let started = Instant::now();
    let runtime = Runtime::with_workers(workers);
    let result = runtime.when((), move |()| seed());
    runtime.shutdown();
    let elapsed = started.elapsed();
    (elapsed, result.wait().expect("the first behaviour does not fail"))
}

/// Counters at 0.
pub(crate) fn counters(count: usize) -> Vec<Cown<u64>> {
    (0..count).map(|_| Cown::new(0)).collect()
}

/// What is in the cowns, once the runtime has ended.
pub(crate) fn values<T: Copy + Send + 'static>(cowns: &[Cown<T>]) -> Vec<T> {
    let pump = Pump::new();
    let value = |cown| pump.executor().when(cown, |value: &mut T| *value);
    let handles: Vec<_> = cowns.iter().map(value).collect();
    pump.run_until_idle();
    handles.into_iter().map(|handle| handle.wait().expect("reading does not fail")).collect()
}
