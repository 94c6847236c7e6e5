//! Threads with a loop each: what the work costs if nothing has to be made a task of.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Calls `work` with the numbers from 0 to `workers`, each on a thread of its own.
pub(crate) fn run(workers: usize, work: impl Fn(usize) + Sync) -> Duration {
    let (started, work) = (Instant::now(), &work);
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        // The scope itself waits for the closures, and not for the ends of thread-locals, which
        // the tally needs.
        for thread in threads {
            thread.join().expect("a loop does not panic");
        }
    });
    started.elapsed()
}
