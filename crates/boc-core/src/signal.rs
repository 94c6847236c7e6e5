//! A flag that threads can wait for.

use std::time::Instant;

use crate::sync::{Condvar, Mutex, lock};

/// A flag that is set once, and that any number of threads can wait for.
#[derive(Debug, Default)]
pub struct Signal {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self { set: Mutex::new(false), changed: Condvar::new() }
    }

    /// Sets the flag and wakes who waits for it.
    pub fn set(&self) {
        *lock!(self.set) = true;
        self.changed.notify_all();
    }

    /// Waits until the flag is set, or the deadline (none: forever) has passed. Says whether the
    /// flag is set.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        #[cfg(not(loom))]
        if let Some(set) = crate::explore::wait(deadline.is_some(), &|| *lock!(self.set)) {
            return set;
        }
        let mut set = lock!(self.set);
        while !*set {
            match wait_on(&self.changed, set, deadline) {
                Ok(guard) => set = guard,
                Err(guard) => return *guard,
            }
        }
        true
    }
}

/// Waits on a condition variable; `Err` if the deadline has passed.
pub(crate) fn wait_on<'a, T>(
    condition: &Condvar,
    guard: crate::sync::MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> Result<crate::sync::MutexGuard<'a, T>, crate::sync::MutexGuard<'a, T>> {
    let Some(deadline) = deadline else {
        return Ok(condition.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner()));
    };
    let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
    else {
        return Err(guard);
    };
    let waited = condition.wait_timeout(guard, left);
    Ok(waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0)
}
