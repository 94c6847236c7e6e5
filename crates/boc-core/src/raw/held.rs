//! What a running behaviour holds.

use core::fmt;

use super::{Access, CownPtr};
use crate::slot::Slot;

/// The cowns of a running behaviour, in the order of its request. It holds each of them, and so keeps it
/// alive, while this is borrowed.
#[derive(Clone, Copy)]
pub struct Held<'a>(&'a [Slot]);

impl<'a> Held<'a> {
    pub(crate) fn new(slots: &'a [Slot]) -> Self {
        Self(slots)
    }

    /// How many cowns were named.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether no cown was named.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The cown that was named at this place.
    pub fn get(self, index: usize) -> Option<Access> {
        self.0.get(index).map(access)
    }

    /// The cowns in their order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Access> + 'a {
        self.0.iter().map(access)
    }
}

fn access(slot: &Slot) -> Access {
    Access { cown: CownPtr(slot.cown()), mode: slot.mode() }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
