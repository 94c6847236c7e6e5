//! Lists of what may be gone.

use std::sync::Weak;

/// Adds an entry. Those that are gone are taken out when the list is full.
pub(crate) fn push<T>(all: &mut Vec<Weak<T>>, entry: Weak<T>) {
    if all.len() == all.capacity() {
        all.retain(|entry| entry.strong_count() > 0);
    }
    all.push(entry);
}
