//! Counting what has no place of its own to be counted in.
//!
//! Most shapes count in the values of their cowns. Where there is none, or it is gone at the end,
//! each thread counts for itself, which costs all peers the same and lets no thread wait for
//! another. The sum is there when the threads have been joined.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The counts of threads that have ended.
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// The count of one thread.
struct Mine(Cell<u64>);

impl Drop for Mine {
    fn drop(&mut self) {
        // Relaxed: who asks for the sum has joined this thread.
        TOTAL.fetch_add(self.0.get(), Relaxed);
    }
}

thread_local! {
    static MINE: Mine = const { Mine(Cell::new(0)) };
}

/// Adds to the count of this thread.
pub(crate) fn add(count: u64) {
    MINE.with(|mine| mine.0.set(mine.0.get() + count));
}

/// The sum over all threads that have been joined since the last call.
pub(crate) fn take() -> u64 {
    TOTAL.swap(0, Relaxed)
}

#[cfg(test)]
mod tests {
    use std::thread;

    #[test]
    fn the_sum_is_that_of_all_joined_threads() {
        let threads = [1, 2, 3].map(|count| {
            thread::spawn(move || {
                super::add(count);
                super::add(10);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(super::take(), 36);
        assert_eq!(super::take(), 0);
    }
}
