//! A block on its way from one interpreter to another.
//!
//! A parcel can be opened several times, in several interpreters. Its block is in one of these states:
//!
//! | state | who has the block | opening gives | opening to read gives |
//! |---|---|---|---|
//! | awaited | the `Buffer` that is to move | is not done yet | likewise |
//! | resting | the passage | a `Buffer`: out | a read-only `Buffer`: lent |
//! | out | one `Buffer` | in its own interpreter that `Buffer`, else `ValueError` | the same |
//! | lent | read-only `Buffer`s | `ValueError` | one more of them |
//! | gone | another passage, or what came behind it | `ValueError` | `ValueError` |
//!
//! So whoever can write is alone. When a `Buffer` dies, it gives its block back, which rests when nobody
//! has it any more. When the `Buffer` that can write is packed, the block is gone from here.
//!
//! The lock is held for a few instructions, and never while anything of Python is called.

use pyo3_ffi::PyObject;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::block::Block;

/// The place of a block in a parcel.
pub struct Passage(Mutex<State>);

enum State {
    Awaited,
    Resting(Arc<Block>),
    Out {
        /// The identity of an interpreter, which no later one has.
        interpreter: i64,
        /// Alive as long as it does not bring the block back.
        buffer: *mut PyObject,
    },
    Lent {
        block: Arc<Block>,
        readers: usize,
    },
    Gone,
}

// SAFETY: the address of an object is used in its own interpreter alone.
unsafe impl Send for Passage {}
// SAFETY: as above; all else is behind the lock.
unsafe impl Sync for Passage {}

/// What can be done with a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

/// What becomes of the wish to have the block.
pub(super) enum Entrance {
    /// Here it is.
    Block(Arc<Block>),
    /// It is in this object of the same interpreter.
    Here(*mut PyObject),
    /// Somebody else has it.
    Busy,
    Gone,
}

impl Passage {
    /// For a block that is going to come.
    pub(crate) fn awaiting() -> Self {
        Self(Mutex::new(State::Awaited))
    }

    /// With a block.
    pub(super) fn resting(block: Arc<Block>) -> Self {
        Self(Mutex::new(State::Resting(block)))
    }

    /// The block that was awaited is here.
    pub(super) fn arrive(&self, block: Arc<Block>) {
        *self.lock() = State::Resting(block);
    }

    /// Takes or borrows the block, for `buffer`, an object of `interpreter`.
    pub(super) fn enter(&self, usage: Use, interpreter: i64, buffer: *mut PyObject) -> Entrance {
        let mut state = self.lock();
        match (&mut *state, usage) {
            (State::Resting(block), Use::Write) => {
                let block = block.clone();
                *state = State::Out { interpreter, buffer };
                Entrance::Block(block)
            }
            (State::Resting(block), Use::Read) => {
                let block = block.clone();
                *state = State::Lent { block: block.clone(), readers: 1 };
                Entrance::Block(block)
            }
            (State::Lent { block, readers }, Use::Read) => {
                *readers += 1;
                Entrance::Block(block.clone())
            }
            (State::Out { interpreter: other, buffer }, _) if *other == interpreter => {
                Entrance::Here(*buffer)
            }
            (State::Out { .. }, _) | (State::Lent { .. }, Use::Write) => Entrance::Busy,
            (State::Awaited | State::Gone, _) => Entrance::Gone,
        }
    }

    /// A `Buffer` that had the block has died.
    pub(super) fn come_back(&self, block: Arc<Block>) {
        let mut state = self.lock();
        match &mut *state {
            State::Lent { readers, .. } if *readers > 1 => *readers -= 1,
            _ => *state = State::Resting(block),
        }
    }

    /// The `Buffer` that could write was packed.
    pub(super) fn leave(&self) {
        *self.lock() = State::Gone;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
