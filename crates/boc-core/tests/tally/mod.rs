//! Counting what is made and what is dropped.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
};

/// Makes [`Token`]s, and knows whether each was dropped once.
///
/// Counts with `Relaxed`, so that it brings no order into a test.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
    /// Drops of what was no token any more.
    again: AtomicUsize,
}

/// Part of a closure or of a value, and dropped with it.
pub(crate) struct Token {
    counts: Arc<Counts>,
    state: AtomicU32,
}

/// The states of a token. Nothing else has them by accident.
const ALIVE: u32 = 0xA11F_E5A1;
const DROPPED: u32 = 0xDEAD_70CE;

impl Tally {
    pub(crate) fn token(&self) -> Token {
        self.0.made.fetch_add(1, Relaxed);
        Token { counts: Arc::clone(&self.0), state: AtomicU32::new(ALIVE) }
    }

    /// How many tokens have not been dropped.
    pub(crate) fn left(&self) -> usize {
        self.0.made.load(Relaxed) - self.0.dropped.load(Relaxed)
    }

    /// Each token was dropped, and none twice.
    #[track_caller]
    pub(crate) fn assert_each_dropped_once(&self) {
        let (left, again) = (self.left(), self.0.again.load(Relaxed));
        assert_eq!((left, again), (0, 0), "left, and dropped again");
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let alive = self.state.swap(DROPPED, Relaxed) == ALIVE;
        let counter = if alive { &self.counts.dropped } else { &self.counts.again };
        counter.fetch_add(1, Relaxed);
    }
}
