//! What is on the noticeboard, and how it changes.
//!
//! All that is there at one moment is a [`Snapshot`], which never changes. Who reads takes the current one, without
//! a lock and without writing to anything that others use. Who changes something does so under a lock: makes the
//! next snapshot, which shares all entries with the last one but one, and publishes it.
//!
//! # Updates
//!
//! An update runs code of the program between the look at an entry and the change of it, so no lock can be held
//! meanwhile. It has a [`Turn`] instead:
//!
//! - One update of a key has its turn at a time; others of the same key wait.
//! - Writes and deletions of that key do not wait. They are put off until the end of the turn, as if they had come
//!   after the update; the last one counts.
//! - When it begins, an update makes sure of room for its key.

use arc_swap::{ArcSwap, Guard};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::{message::Message, threads};

/// How many keys there can be, if the program does not say anything else.
pub const DEFAULT_LIMIT: usize = 1_024;

pub(super) struct Board {
    published: ArcSwap<Snapshot>,
    changing: Mutex<Changing>,
    /// Told when a turn has ended.
    turn_ended: Condvar,
}

struct Changing {
    limit: usize,
    /// The keys that are being updated.
    turns: HashMap<Arc<str>, PutOff>,
}

/// What was put off until the end of a turn.
#[derive(Default)]
struct PutOff(Option<Change>);

/// What becomes of an entry.
pub(super) enum Change {
    Write(Message),
    Delete,
}

/// All entries at one moment.
#[derive(Default)]
pub(super) struct Snapshot {
    entries: HashMap<Arc<str>, Arc<Entry>>,
    /// Higher than that of the one before.
    pub(super) version: u64,
}

/// A value under a key.
pub(super) struct Entry {
    /// No other entry of the process ever has the same.
    pub(super) version: u64,
    pub(super) value: Message,
}

impl Snapshot {
    pub(super) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    /// In the order of their keys.
    pub(super) fn sorted(&self) -> Vec<(&Arc<str>, &Arc<Entry>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    pub(super) fn versions(&self) -> HashSet<u64> {
        self.entries.values().map(|entry| entry.version).collect()
    }
}

/// A number that is higher than all before.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Relaxed: it only has to be unique.
    LAST.fetch_add(1, Relaxed) + 1
}

/// There are as many keys as there can be.
pub(super) struct Full {
    pub(super) limit: usize,
}

/// What is not on the board any more. It is dropped when nothing is locked, since that can run code.
#[must_use]
#[expect(dead_code, reason = "it is there to be dropped")]
pub(super) struct Removed(Option<Arc<Snapshot>>, Option<Change>);

impl Default for Board {
    fn default() -> Self {
        let changing = Changing { limit: DEFAULT_LIMIT, turns: HashMap::new() };
        Self {
            published: ArcSwap::default(),
            changing: Mutex::new(changing),
            turn_ended: Condvar::new(),
        }
    }
}

impl Board {
    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on the board now. It stays alive as long as the guard.
    pub(super) fn read(&self) -> Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Says how many keys there can be from now on.
    pub(super) fn set_limit(&self, limit: usize) {
        self.changing().limit = limit;
    }

    /// Changes an entry now, or when the update of it has ended.
    pub(super) fn change(&self, key: &str, change: Change) -> Result<Removed, Full> {
        let mut changing = self.changing();
        if let Some(PutOff(last)) = changing.turns.get_mut(key) {
            return Ok(Removed(None, last.replace(change)));
        }
        if matches!(change, Change::Write(_)) {
            self.check_room(&changing, key)?;
        }
        Ok(self.publish(key.into(), change))
    }

    /// Whether there is room for a key.
    fn check_room(&self, changing: &Changing, key: &str) -> Result<(), Full> {
        let snapshot = self.published.load();
        // Those that are being updated for the first time have made sure of theirs.
        let promised = changing.turns.keys().filter(|key| snapshot.get(key).is_none()).count();
        let is_there = snapshot.get(key).is_some();
        if is_there || snapshot.entries.len() + promised < changing.limit {
            Ok(())
        } else {
            Err(Full { limit: changing.limit })
        }
    }

    /// Makes the next snapshot. Whoever calls this has locked, so that nobody else does.
    fn publish(&self, key: Arc<str>, change: Change) -> Removed {
        let last = self.published.load();
        let mut entries = last.entries.clone();
        match change {
            Change::Write(value) => {
                let version = next_version();
                entries.insert(key, Arc::new(Entry { version, value }));
            }
            Change::Delete => {
                if entries.remove(&key).is_none() {
                    return Removed(None, None);
                }
            }
        }
        let next = Arc::new(Snapshot { entries, version: next_version() });
        Removed(Some(self.published.swap(next)), None)
    }

    /// Removes all entries.
    pub(super) fn clear(&self) -> Removed {
        let _changing = self.changing();
        if self.published.load().entries.is_empty() {
            return Removed(None, None);
        }
        let next = Arc::new(Snapshot { entries: HashMap::new(), version: next_version() });
        Removed(Some(self.published.swap(next)), None)
    }

    /// Begins to update an entry, if nobody else does; says why not. Waits for that until the moment has come; `None`
    /// if it has. Not attached.
    pub(super) fn turn(&self, key: &Arc<str>, until: Instant) -> Option<Result<Turn<'_>, Full>> {
        let changing = self.changing();
        let is_free = |changing: &Changing| !changing.turns.contains_key(key);
        let waited = threads::wait_until(changing, &self.turn_ended, Some(until), is_free);
        if !waited {
            return None;
        }
        self.try_turn(key)
    }

    /// As [`Self::turn`], without waiting.
    pub(super) fn try_turn(&self, key: &Arc<str>) -> Option<Result<Turn<'_>, Full>> {
        let mut changing = self.changing();
        if changing.turns.contains_key(key) {
            return None;
        }
        if let Err(full) = self.check_room(&changing, key) {
            return Some(Err(full));
        }
        changing.turns.insert(Arc::clone(key), PutOff::default());
        Some(Ok(Turn { board: self, key: Arc::clone(key) }))
    }
}

/// The right to update an entry.
pub(super) struct Turn<'a> {
    board: &'a Board,
    key: Arc<str>,
}

impl Turn<'_> {
    /// The entry as it is, and as it stays until the turn ends.
    pub(super) fn entry(&self) -> Option<Arc<Entry>> {
        self.board.read().get(&self.key).cloned()
    }

    /// Changes the entry, which ends the turn.
    pub(super) fn end(self, change: Change) {
        let changing = self.board.changing();
        let removed = self.board.publish(Arc::clone(&self.key), change);
        drop(changing);
        drop(removed);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut changing = self.board.changing();
        let put_off = changing.turns.remove(&self.key);
        let removed = put_off
            .and_then(|PutOff(last)| last)
            .map(|change| self.board.publish(Arc::clone(&self.key), change));
        drop(changing);
        self.board.turn_ended.notify_all();
        drop(removed);
    }
}
