//! Waiting for something that another thread does within a few instructions.

use crate::sync;

/// Spins briefly, then gives the processor away: the other thread may have been pre-empted.
pub(crate) struct Backoff {
    rounds: u32,
}

impl Backoff {
    /// Rounds of spinning before the first yield; round *n* spins 2^n times.
    const SPIN_ROUNDS: u32 = 6;

    pub(crate) fn new() -> Self {
        Self { rounds: 0 }
    }

    /// Waits a little, longer than the last time.
    pub(crate) fn snooze(&mut self) {
        if !cfg!(loom) && self.rounds < Self::SPIN_ROUNDS {
            sync::spin(1 << self.rounds);
            self.rounds += 1;
        } else {
            #[cfg(loom)]
            self.stop_exploring();
            sync::yield_thread();
        }
    }

    /// Two threads that wait could take turns for ever while the third one, for which both wait,
    /// does not get any. The checker does not follow that further than a few turns: what remains of
    /// the run is done in one way only.
    #[cfg(loom)]
    fn stop_exploring(&mut self) {
        self.rounds += 1;
        if self.rounds > 2 {
            loom::skip_branch();
        }
    }
}
