//! Messages under tags: any thread sends, any thread receives what has one of the tags that it wants.
//!
//! ```
//! use boc_core::mailbox::{Mailbox, receive};
//! use std::thread;
//!
//! let mailbox = Mailbox::new();
//! let (urgent, usual) = (mailbox.slot("urgent"), mailbox.slot("usual"));
//! thread::scope(|scope| {
//!     scope.spawn(|| {
//!         usual.send("tea").unwrap();
//!         urgent.send("fire").unwrap();
//!         usual.send("cake").unwrap();
//!     });
//! });
//! // What stands first in the list comes first; under one tag messages keep their order.
//! let wanted = [&*urgent, &*usual];
//! assert_eq!(receive(&wanted, None), Some((0, "fire")));
//! assert_eq!(receive(&wanted, None), Some((1, "tea")));
//! assert_eq!(usual.drain(), 1);
//! ```
//!
//! There is a [`Slot`] for each tag, with a queue and with those who wait for a message of it.
//!
//! # How nobody sleeps beside a message
//!
//! Who waits (1) enters the list of *waiters* of each slot that it wants, (2) looks into all of them once
//! more, and (3) sleeps. Who sends (1) pushes the message, (2) looks whether there are waiters, and if so (3)
//! takes one out of the list and *calls* it, which wakes it. Between (1) and (2) both have a fence, so that
//! at least one of them sees the other.
//!
//! A call is for one waiter, so it must not end with one that has no use for it: **who was called by a slot, and leaves
//! it while a message can be taken there, calls the next one.** It has found a message of another slot, or one that it
//! was not called for, or its time has run out.
//!
//! That is enough. Say that at the end somebody sleeps, and there is a message. When the sleeper looked, the push of
//! that message had not ended, or was not visible yet. Who has completed it has seen the
//! sleeper in the list, and called somebody. That one left a message that could be taken, and so has called another one,
//! and so on, until somebody called the sleeper.

#[cfg(all(test, loom))]
mod model;
mod slot;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiting;

use std::collections::HashMap;

pub use self::{
    slot::{DEFAULT_LIMIT, Full, Place, Slot},
    waiting::receive,
};
use crate::sync::{Arc, Mutex, MutexGuard, lock};

/// The slots of all tags that are in use.
#[derive(Debug)]
pub struct Mailbox<T> {
    slots: Mutex<Slots<T>>,
}

#[derive(Debug)]
struct Slots<T> {
    by_tag: HashMap<Box<str>, Arc<Slot<T>>>,
    /// How many messages those have room for of which nobody has said anything else.
    limit: usize,
    /// With so many of them it is time to look for those that nobody uses.
    crowded: usize,
}

/// So many slots are kept in any case.
const FEW: usize = 64;

impl<T: Send> Mailbox<T> {
    /// Without any messages.
    pub fn new() -> Self {
        let by_tag = HashMap::new();
        Self { slots: Mutex::new(Slots { by_tag, limit: DEFAULT_LIMIT, crowded: FEW }) }
    }

    fn slots(&self) -> MutexGuard<'_, Slots<T>> {
        lock!(self.slots)
    }

    /// The slot of a tag. There is one for each tag as long as somebody has it, or a message is in it.
    pub fn slot(&self, tag: &str) -> Arc<Slot<T>> {
        let mut slots = self.slots();
        if let Some(slot) = slots.by_tag.get(tag) {
            return Arc::clone(slot);
        }
        if slots.by_tag.len() >= slots.crowded {
            slots.clear_away();
        }
        let slot = Arc::new(Slot::new(slots.limit));
        slots.by_tag.insert(tag.into(), Arc::clone(&slot));
        slot
    }

    /// Gives these tags room for so many messages each; or, if there are none, all tags.
    pub fn set_limit(&self, tags: &[&str], limit: usize) {
        if tags.is_empty() {
            let mut slots = self.slots();
            slots.limit = limit;
            slots.by_tag.values().for_each(|slot| slot.set_limit(limit));
        } else {
            tags.iter().for_each(|tag| self.slot(tag).set_limit(limit));
        }
    }

    /// Drops all messages that were sent before this was called.
    pub fn drain(&self) {
        // What a message does when it is dropped may need a slot.
        let all: Vec<_> = self.slots().by_tag.values().cloned().collect();
        for slot in all {
            slot.drain();
        }
    }
}

impl<T: Send> Default for Mailbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slots<T> {
    /// Removes the slots that are as a new one would be, and that nobody else has.
    fn clear_away(&mut self) {
        // Nobody gets one meanwhile who does not have it: they are given away under this lock.
        let limit = self.limit;
        self.by_tag.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.limit() != limit || !slot.is_empty()
        });
        self.crowded = FEW.max(2 * self.by_tag.len());
    }
}
