//! Tasks on a multi-threaded tokio runtime.
//!
//! They take tokio's own mutexes, although a std mutex would do for sections as short as these: a
//! behaviour may take long, and neither it nor such a task blocks a thread while it waits. The
//! runtime drives neither I/O nor time, so a thread without work sleeps in the cheapest way there
//! is.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, sync::mpsc};

/// Kept by each task as long as it has something to do: there is no need to collect a million join
/// handles in order to learn of the end of all tasks.
pub(crate) type Alive = mpsc::Sender<()>;

/// Runs `seed` as the first task, and returns when it and all tasks with an [`Alive`] have ended.
pub(crate) fn run<F>(workers: usize, seed: impl FnOnce(Alive) -> F) -> (Duration, F::Output)
where
    F: Future<Output: Send> + Send + 'static,
{
    let started = Instant::now();
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .build()
        .expect("cannot start the threads of the runtime");
    let (alive, mut all_ended) = mpsc::channel(1);
    let seed = runtime.spawn(seed(alive));
    let result = runtime.block_on(async {
        let result = seed.await.expect("the first task does not panic");
        // Nobody sends anything; this is the end of the last sender.
        assert!(all_ended.recv().await.is_none());
        result
    });
    // Waits for the threads.
    drop(runtime);
    (started.elapsed(), result)
}
