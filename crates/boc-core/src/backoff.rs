//! Waiting for something that another thread does within a few instructions.

use crate::sync;

/// Spins briefly, then gives the processor away: the other thread may have been pre-empted.
pub(crate) struct Backoff {
    rounds: u32,
}

impl Backoff {
    /// Rounds of spinning before the first yield; round *n* spins 2^n times.
    const SPIN_ROUNDS: u32 = if cfg!(loom) { 0 } else { 6 };

    pub(crate) fn new() -> Self {
        Self { rounds: 0 }
    }

    /// Waits a little, longer than the last time.
    pub(crate) fn snooze(&mut self) {
        if self.rounds < Self::SPIN_ROUNDS {
            for _ in 0..1 << self.rounds {
                sync::spin_hint();
            }
            self.rounds += 1;
        } else {
            sync::yield_thread();
        }
    }
}
