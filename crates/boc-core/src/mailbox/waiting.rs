//! Waiting for a message of one of several slots.

use std::time::Instant;

use super::slot::{Slot, entered};
use crate::{
    parker::Parker,
    sync::{self, Arc},
};

/// Rounds of looking before a thread goes to sleep, and pauses in each: some microseconds, which is less than
/// it takes to wake it.
#[cfg(not(loom))]
const ROUNDS: u32 = 60;
#[cfg(loom)]
const ROUNDS: u32 = 0;
const PAUSES: u32 = 16;

/// Takes a message of the first of these slots that has one, and says which that is. Waits for one, until the
/// moment has come (none: for ever).
pub fn receive<T: Send>(slots: &[&Slot<T>], until: Option<Instant>) -> Option<(usize, T)> {
    // The checker has enough to do with those who sleep.
    let found = if cfg!(loom) { try_take(slots) } else { take(slots) };
    // Who has no time does not ask for it.
    if found.is_some() || until.is_some_and(|until| until <= Instant::now()) {
        return found;
    }
    #[cfg(not(loom))]
    if let Some(found) = explored(slots, until.is_some()) {
        return found;
    }
    for _ in 0..ROUNDS {
        sync::spin(PAUSES);
        if let found @ Some(_) = take(slots) {
            return found;
        }
    }
    let waiter = Arc::new(Parker::new());
    loop {
        let (found, has_time) = sleep(slots, &waiter, until);
        if found.is_some() {
            return found;
        }
        if !has_time {
            return take(slots);
        }
    }
}

fn take<T>(slots: &[&Slot<T>]) -> Option<(usize, T)> {
    slots.iter().enumerate().find_map(|(index, slot)| Some((index, slot.take()?)))
}

fn try_take<T>(slots: &[&Slot<T>]) -> Option<(usize, T)> {
    slots.iter().enumerate().find_map(|(index, slot)| Some((index, slot.try_take()?)))
}

/// Sleeps until the waiter is called, which it may have been for nothing, or the moment has come. Says whether
/// it has not come yet.
pub(super) fn sleep<T>(
    slots: &[&Slot<T>],
    waiter: &Arc<Parker>,
    until: Option<Instant>,
) -> (Option<(usize, T)>, bool) {
    slots.iter().for_each(|slot| slot.enter(waiter));
    entered();
    // What is not to be had yet is called for when it is.
    let mut found = try_take(slots);
    let has_time = found.is_some() || waiter.park_until(until);
    found = found.or_else(|| try_take(slots));
    // Also the one that the message is from: it may be another message than the waiter was called for.
    slots.iter().for_each(|slot| slot.leave(waiter));
    (found, has_time)
}

/// The same for a task of an exploration, which waits as that wants it.
#[cfg(not(loom))]
fn explored<T: Send>(slots: &[&Slot<T>], timed: bool) -> Option<Option<(usize, T)>> {
    loop {
        let any = || slots.iter().any(|slot| !slot.is_empty());
        if !crate::explore::wait(timed, &any)? {
            return Some(None);
        }
        if let found @ Some(_) = take(slots) {
            return Some(found);
        }
    }
}
