//! Putting one worker to sleep, and waking it.

use crate::sync::{Condvar, Mutex, lock};

/// A token that one worker waits for, and others give.
pub(super) struct Parker {
    token: Mutex<bool>,
    given: Condvar,
}

impl Parker {
    pub(super) fn new() -> Self {
        Self { token: Mutex::new(false), given: Condvar::new() }
    }

    /// Waits for the token, and takes it.
    pub(super) fn park(&self) {
        let mut token = lock!(self.token);
        while !*token {
            token = self.given.wait(token).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *token = false;
    }

    /// Gives the token.
    pub(super) fn unpark(&self) {
        *lock!(self.token) = true;
        self.given.notify_one();
    }
}
