//! Counting the readers of a cown. The protocol around this is that of [`crate::slot`].

use core::ptr::{self, NonNull};

use crate::{
    slot::Slot,
    sync::atomic::{
        AtomicPtr, AtomicU32,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

/// The readers that hold a cown, and the writer that waits for them to leave.
///
/// There is one such writer at the most, since all that come later wait for it in the queue.
pub(crate) struct Readers {
    /// Two for each reader, and one if a writer waits for them.
    count: AtomicU32,
    /// Set before the count says that a writer waits.
    writer: AtomicPtr<Slot>,
}

const ONE_READER: u32 = 2;
const WRITER_WAITS: u32 = 1;
const LAST_BEFORE_WRITER: u32 = ONE_READER + WRITER_WAITS;

/// What a reader leaves behind.
pub(crate) enum Left {
    /// Other readers.
    Others,
    /// Nobody, or the writer that holds the cown by that.
    Last(Option<NonNull<Slot>>),
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self { count: AtomicU32::new(0), writer: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Counts readers in. Says whether they are the first ones.
    ///
    /// Relaxed: a writer that must find them is ordered behind them by the queue.
    pub(crate) fn add(&self, readers: u32) -> bool {
        self.count.fetch_add(readers * ONE_READER, Relaxed) == 0
    }

    /// For a writer that found the queue empty: readers that have left the queue may still hold the
    /// cown. Says whether there are none; else the writer is resolved by the last one.
    ///
    /// # Safety
    ///
    /// The slot stays where it is until it is resolved.
    #[inline]
    pub(crate) unsafe fn admit_writer(&self, writer: NonNull<Slot>) -> bool {
        // The count cannot be older than the last reader's counting in, which happened before the
        // queue was found empty. Acquire: pairs with the Release of the readers' leaving.
        // SAFETY: passed on to the caller.
        self.count.load(Acquire) == 0 || unsafe { self.admit_after_readers(writer) }
    }

    /// # Safety
    ///
    /// As for [`Readers::admit_writer`].
    #[cold]
    unsafe fn admit_after_readers(&self, writer: NonNull<Slot>) -> bool {
        self.writer.store(writer.as_ptr(), Relaxed);
        // Release: for `writer`, to who finds the mark. Acquire: as above.
        if self.count.fetch_add(WRITER_WAITS, AcqRel) != 0 {
            return false;
        }
        // They have all left meanwhile. The count is not touched by anybody else: no reader holds
        // the cown, and those that come wait behind this writer.
        self.count.store(0, Relaxed);
        true
    }

    /// Counts one reader out, which has `writer` as its successor, or no writer.
    ///
    /// # Safety
    ///
    /// The slot stays where it is until it is resolved.
    pub(crate) unsafe fn leave(&self, writer: Option<NonNull<Slot>>) -> Left {
        // AcqRel in both cases: what each reader did happens before the writer. For the mark, see
        // `admit_writer`.
        let before = match writer {
            Some(writer) => {
                self.writer.store(writer.as_ptr(), Relaxed);
                // The reader, and the mark that it leaves.
                self.count.fetch_sub(ONE_READER - WRITER_WAITS, AcqRel) + WRITER_WAITS
            }
            None => self.count.fetch_sub(ONE_READER, AcqRel),
        };
        match before {
            ONE_READER => Left::Last(None),
            LAST_BEFORE_WRITER => {
                // Nobody else touches the count, see `admit_writer`; the writer is handed the cown
                // after this.
                self.count.store(0, Relaxed);
                Left::Last(NonNull::new(self.writer.load(Relaxed)))
            }
            _ => Left::Others,
        }
    }

    /// Whether no reader holds the cown and no writer waits.
    #[cfg(all(test, loom))]
    pub(crate) fn is_quiet(&self) -> bool {
        self.count.load(Relaxed) == 0
    }
}
