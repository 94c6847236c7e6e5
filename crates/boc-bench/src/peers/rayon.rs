//! Tasks in a rayon pool.
//!
//! They are spawned in a scope, which lets them borrow the mutexes instead of counting references,
//! and waits for them.

use std::{
    thread,
    time::{Duration, Instant},
};

use rayon::{Scope, ThreadPoolBuilder};

/// Runs `seed` in a pool, and returns when it and all that it spawned have ended.
pub(crate) fn run<'scope, R: Send>(
    workers: usize,
    seed: impl FnOnce(&Scope<'scope>) -> R + Send,
) -> (Duration, R) {
    let started = Instant::now();
    let mut threads = Vec::with_capacity(workers);
    let pool = ThreadPoolBuilder::new()
        .num_threads(workers)
        .spawn_handler(|thread| {
            threads.push(thread::Builder::new().spawn(|| thread.run())?);
            Ok(())
        })
        .build()
        .expect("cannot start the threads of the pool");
    let result = pool.scope(seed);
    // This tells the threads to end, and does not wait for them.
    drop(pool);
    for thread in threads {
        thread.join().expect("a thread of the pool does not panic");
    }
    (started.elapsed(), result)
}
