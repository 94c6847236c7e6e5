//! Putting one thread to sleep, and waking it.

use std::time::Instant;

use crate::{
    signal::wait_on,
    sync::{Condvar, Mutex, lock},
};

/// A token that one thread waits for, and others give.
pub(crate) struct Parker {
    token: Mutex<bool>,
    given: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { token: Mutex::new(false), given: Condvar::new() }
    }

    /// Waits for the token, and takes it.
    pub(crate) fn park(&self) {
        let mut token = lock!(self.token);
        while !*token {
            token = self.given.wait(token).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *token = false;
    }

    /// Waits for the token, and takes it, or until the moment has come (none: never). Says whether it was
    /// given.
    pub(crate) fn park_until(&self, until: Option<Instant>) -> bool {
        let mut token = lock!(self.token);
        while !*token {
            match wait_on(&self.given, token, until) {
                Ok(guard) => token = guard,
                Err(_) => return false,
            }
        }
        *token = false;
        true
    }

    /// Gives the token.
    pub(crate) fn unpark(&self) {
        *lock!(self.token) = true;
        self.given.notify_one();
    }
}
