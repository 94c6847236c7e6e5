//! The queue of a cown: slots, their states, and the transitions between them.
//!
//! Every cown has a queue of the behaviours that hold it or wait for it, in scheduling order. It
//! is a list in the manner of the MCS lock: the cown knows the *last* slot only (`tail`, null when
//! the queue is empty), and each slot learns of its successor. A slot asks for the cown to write or
//! to read; readers that stand next to each other hold the cown together.
//!
//! # Participants
//!
//! - the *owner*: the behaviour that a slot is part of, on the thread that schedules it, later on
//!   the thread that runs it;
//! - the *successor*: the behaviour whose slot comes next in this cown's queue, on the thread that
//!   schedules it;
//! - for a reader, the *waker*: the writer before it, which hands the cown over to a row of readers.
//!
//! # States of a slot
//!
//! ```text
//!               publish               link
//!   WAIT ──────────────────▶ WRITER ────────▶ NEXT     a writer, holding the cown or not
//!
//!   WAIT ──────────────────▶ READER ────────▶ NEXT     a reader that does not hold the cown yet
//!    │ admit                  │ admit
//!    ▼                        ▼
//!   ADMITTED ──────────────▶ HELD ──────────▶ NEXT     a reader that holds it
//! ```
//!
//! 1. **WAIT**, **ADMITTED**: the owner is still acquiring its places in the queues of its cowns. A
//!    successor that finds one of these spins, and that is what makes scheduling atomic: nobody
//!    passes a behaviour that has not got all its places yet, so behaviours that share several cowns
//!    stand in the same order in the queue of each. The owner leaves the state by `publish`; for a
//!    reader, the waker may go from WAIT to ADMITTED.
//! 2. **WRITER**, **READER**, **HELD**: the owner has all its places. The successor changes the
//!    state, by `link`; for a READER, the waker may go to HELD.
//! 3. **NEXT**: there is a successor, and the word says which, and whether it reads. Nobody changes
//!    it any more.
//!
//! A reader behind a slot that is HELD holds the cown at once: it *joins* the readers. Behind any
//! other slot it waits.
//!
//! # Readers
//!
//! The cown counts the readers that hold it ([`Readers`](crate::readers::Readers)). They leave in any
//! order; a writer behind them waits for the count, not for its predecessor. Whoever adds to the count
//! does so before the readers are seen as holding the cown:
//!
//! - a reader that joins counts itself before it links itself. Its predecessor cannot have left
//!   before, since it waits for the link, so the count does not reach zero in between;
//! - a waker counts all readers of a row before it admits the last of them and resolves the first.
//!   Resolving comes last, and reads each link before: a reader that was resolved may be gone.
//!
//! # Lifetime
//!
//! A slot lives until its owner has released it. The owner's release is not complete before either
//! `tail` was set back to null (so no successor can have seen the slot) or the successor's link was
//! seen, which is the successor's last access to the slot.

use core::ptr::{self, NonNull};

use crate::{
    backoff::Backoff,
    behaviour::Behaviour,
    cown::Header,
    readers::Left,
    sync::{
        Cell,
        atomic::{
            AtomicPtr,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

/// What a behaviour wants to do with the value of a cown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Change it, alone.
    Write,
    /// Look at it, together with others that read.
    Read,
}

/// The state of a slot; the word that `tail` and successors point to.
#[repr(align(8))]
pub(crate) struct Status(AtomicPtr<Slot>);

/// A behaviour's place in the queue of one of its cowns.
#[repr(C)]
pub(crate) struct Slot {
    status: Status,
    /// The cown whose queue this is, and in the lowest bits what kind of slot it is. Changed by the
    /// owner only, while nobody else looks at it.
    cown: Cell<*mut Header>,
    behaviour: NonNull<Behaviour>,
}

const WAIT: usize = 0;
const ADMITTED: usize = 1;
const WRITER: usize = 2;
const READER: usize = 3;
const HELD: usize = 4;
/// The lowest of the addresses of slots. Their lowest bit says whether the successor reads.
const FIRST_NEXT: usize = 8;
const NEXT_READS: usize = 1;

/// In the lowest bits of [`Slot::cown`].
const READS: usize = 1;
/// The slot is in no queue: its behaviour has another one for the same cown.
const MERGED: usize = 2;
/// The slot was released as that of the last reader.
const LAST_READER: usize = 4;
/// All of these.
const BITS: usize = READS | MERGED | LAST_READER;

fn state(state: usize) -> *mut Slot {
    ptr::without_provenance_mut(state)
}

/// The successor in a status word, if there is one.
#[inline]
fn successor(word: *mut Slot) -> Option<Successor> {
    if word.addr() < FIRST_NEXT { None } else { NonNull::new(word).map(Successor) }
}

/// The slot that comes next in a queue.
#[derive(Clone, Copy)]
pub(crate) struct Successor(NonNull<Slot>);

impl Successor {
    pub(crate) fn slot(self) -> NonNull<Slot> {
        let slot = self.0.as_ptr().map_addr(|address| address & !NEXT_READS);
        // SAFETY: it was made of the address of a slot.
        unsafe { NonNull::new_unchecked(slot) }
    }

    pub(crate) fn reads(self) -> bool {
        self.0.addr().get() & NEXT_READS != 0
    }
}

impl Status {
    /// The status of a behaviour's place in the queue of its own result, which it holds from the
    /// start.
    ///
    /// Published from birth: the result is fresh, so nobody else can be in its queue, and nobody can
    /// learn of it before the behaviour has been scheduled.
    pub(crate) fn holding() -> Self {
        Self(AtomicPtr::new(state(WRITER)))
    }

    /// Waits until the owner of this slot has published it. Returns the state.
    ///
    /// # Safety
    ///
    /// `this` came out of the exchange by which a slot entered the queue, and is not linked yet.
    #[inline]
    unsafe fn wait_until_published(this: NonNull<Status>) -> *mut Slot {
        // SAFETY: the owner's release waits for the link, so the slot is alive.
        let status = unsafe { this.as_ref() };
        status.published().unwrap_or_else(|| status.wait_for_publication())
    }

    /// The state, if the owner has published it.
    #[inline]
    fn published(&self) -> Option<*mut Slot> {
        // Acquire: pairs with the Release of `publish`. The predecessor's exchanges on the tails
        // of its other cowns happened before it, so this behaviour's come after them.
        let seen = self.0.load(Acquire);
        (!matches!(seen.addr(), WAIT | ADMITTED)).then_some(seen)
    }

    #[cold]
    fn wait_for_publication(&self) -> *mut Slot {
        let mut backoff = Backoff::new();
        loop {
            backoff.snooze();
            if let Some(seen) = self.published() {
                return seen;
            }
        }
    }

    /// Makes a chain its successor, which starts with `first` and so many readers. Says whether those hold
    /// the cown by that.
    ///
    /// # Safety
    ///
    /// `this` came out of the exchange by which the chain entered the queue of `cown`, and this is the
    /// only call for it; `seen` came out of `wait_until_published`. The caller does not touch it
    /// afterwards.
    #[inline]
    unsafe fn link(
        this: NonNull<Status>,
        mut seen: *mut Slot,
        first: NonNull<Slot>,
        leading_readers: u32,
        cown: &Header,
    ) -> bool {
        // SAFETY: the owner's release waits for the link that is made below, so the slot is alive.
        let Status(word) = unsafe { this.as_ref() };
        let reads = leading_readers > 0;
        let next =
            first.as_ptr().map_addr(|address| if reads { address | NEXT_READS } else { address });
        loop {
            match seen.addr() {
                // A waker may be about to admit it.
                READER => match word.compare_exchange(seen, next, Release, Acquire) {
                    Ok(_) => return false,
                    Err(now) => seen = now,
                },
                published => {
                    let joins = published == HELD && reads;
                    if joins {
                        cown.add_readers(leading_readers);
                    }
                    // Release: pairs with the Acquire in `leave`, in `admit_row` and in `ReaderRow`; who
                    // hands the cown over may resolve the successor, so it has to see it
                    // initialised, and counted.
                    // A plain store: only the successor changes these states.
                    word.store(next, Release);
                    return joins;
                }
            }
        }
    }

    /// Whether nobody has come behind this slot, as far as the caller knows.
    pub(crate) fn is_last(&self, cown: &Header) -> bool {
        // Relaxed: what is asked for happened before the call.
        ptr::eq(cown.tail.load(Relaxed), self)
    }

    /// Leaves the queue. Gives the successor; if there is none, the queue is empty after this.
    ///
    /// # Safety
    ///
    /// The owner calls this, once, when it does not use the cown any more; the cown is alive.
    #[inline]
    pub(crate) unsafe fn leave(&self, cown: &Header) -> Option<Successor> {
        // Acquire: pairs with the Release of `link`.
        let next = successor(self.0.load(Acquire));
        if next.is_some() {
            return next;
        }
        let this = ptr::from_ref(self).cast_mut();
        // Release: pairs with the Acquire of the exchange that finds the queue empty.
        // If a successor exchanged the tail before this, the exchange fails and its link is
        // on its way; if it comes after, it finds null.
        if cown.tail.compare_exchange(this, ptr::null_mut(), Release, Relaxed).is_ok() {
            return None;
        }
        Some(self.wait_for_successor())
    }

    #[cold]
    fn wait_for_successor(&self) -> Successor {
        let mut backoff = Backoff::new();
        loop {
            // Acquire: as in `leave`.
            if let Some(next) = successor(self.0.load(Acquire)) {
                return next;
            }
            backoff.snooze();
        }
    }
}

impl Slot {
    /// A slot in no queue yet.
    pub(crate) fn new(cown: NonNull<Header>, mode: Mode, behaviour: NonNull<Behaviour>) -> Self {
        let cown = cown.as_ptr().map_addr(|address| match mode {
            Mode::Write => address,
            Mode::Read => address | READS,
        });
        Self { status: Status(AtomicPtr::new(state(WAIT))), cown: Cell::new(cown), behaviour }
    }

    pub(crate) fn cown(&self) -> NonNull<Header> {
        let header = self.cown.get().map_addr(|address| address & !BITS);
        // SAFETY: made from a `NonNull`; the bits are free in the address of a header.
        unsafe { NonNull::new_unchecked(header) }
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.cown.get().addr() & READS == 0 { Mode::Write } else { Mode::Read }
    }

    pub(crate) fn behaviour(&self) -> NonNull<Behaviour> {
        self.behaviour
    }

    /// Whether the slot was merged into another one of its behaviour, and is in no queue.
    pub(crate) fn is_merged(&self) -> bool {
        self.cown.get().addr() & MERGED != 0
    }

    /// Whether it is one that writes, and was not merged.
    #[inline]
    pub(crate) fn is_writer(&self) -> bool {
        self.cown.get().addr() & (READS | MERGED) == 0
    }

    /// Merges the slot into another one of its behaviour, for the same cown. For the owner, of a slot
    /// that is in no queue.
    pub(crate) fn merge(&self) {
        self.set(MERGED);
    }

    /// Sets a bit beside the cown. For the owner, while nobody else looks at cown and mode.
    fn set(&self, bit: usize) {
        self.cown.set(self.cown.get().map_addr(|address| address | bit));
    }

    /// What freeing its memory would do, for the checker, which complains if somebody looks at the slot
    /// at this time or later.
    ///
    /// # Safety
    ///
    /// The slot has been released, and the pointer may be used to change it.
    #[cfg(all(test, loom))]
    unsafe fn scribble(this: NonNull<Slot>) {
        // SAFETY: passed on to the caller. It is as it was afterwards, and the checker runs one thread at
        // a time.
        let slot = unsafe { &mut *this.as_ptr() };
        slot.status.0.with_mut(|_| ());
        slot.cown.set(slot.cown.get());
    }

    /// A slot that was released is as new. For the owner, of a slot that is in no queue.
    pub(crate) fn reset(&self) {
        self.cown.set(self.cown.get().map_addr(|address| address & !(MERGED | LAST_READER)));
        // Relaxed: it is seen by who gets the slot out of a tail.
        self.status.0.store(state(WAIT), Relaxed);
    }

    /// The slot as what tails and successors point to. May be used to reach the whole slot.
    fn status(this: NonNull<Slot>) -> NonNull<Status> {
        this.cast()
    }

    /// The owner has entered all its queues.
    pub(crate) fn publish(&self) {
        let Status(word) = &self.status;
        // Release, in all of these: pairs with the Acquire in `published`.
        if self.mode() == Mode::Write {
            // A plain store: nobody else writes the status of a writer that is not published.
            return word.store(state(WRITER), Release);
        }
        // Acquire: pairs with the Release of the waker who admitted it. What the writer before wrote
        // has to be seen by readers that join behind HELD.
        let admitted = word.load(Acquire).addr() == ADMITTED
            || word.compare_exchange(state(WAIT), state(READER), Release, Acquire).is_err();
        if admitted {
            // Nobody but the owner changes ADMITTED.
            word.store(state(HELD), Release);
        }
    }

    /// [`Chain::enqueue`] for a slot alone. Says whether it holds the cown at once.
    ///
    /// # Safety
    ///
    /// As for `enqueue`.
    #[inline]
    pub(crate) unsafe fn enqueue(this: NonNull<Slot>) -> bool {
        // SAFETY: passed on to the caller.
        unsafe {
            match this.as_ref().mode() {
                Mode::Write => Slot::take_place(this, this, 0, || ()),
                Mode::Read => {
                    let holds = Slot::take_place(this, this, 1, || ());
                    if holds {
                        this.as_ref().admit();
                    }
                    holds
                }
            }
        }
    }

    /// [`Slot::enqueue`] and [`Slot::publish`] in one, for a writer that is the only slot of its behaviour.
    /// If it does not hold the cown at once, it is resolved when its turn comes, which may be before this
    /// returns.
    ///
    /// # Safety
    ///
    /// As for `enqueue`.
    #[inline]
    pub(crate) unsafe fn enter_alone(this: NonNull<Slot>) -> bool {
        // SAFETY: passed on to the caller.
        unsafe {
            // A plain store, as in `publish`.
            let publish = || this.as_ref().status.0.store(state(WRITER), Release);
            Slot::take_place(this, this, 0, publish)
        }
    }

    /// A chain of slots from `first` to `last`, which starts with so many readers, enters the queue of its
    /// cown. Says whether these, or else the first one, hold the cown at once.
    ///
    /// `entered` is called when the chain has its place, and before anybody can hand the cown over to it. Not
    /// before the predecessor is published: who comes behind the chain goes on to its next cown, and must not
    /// pass the predecessor there.
    ///
    /// # Safety
    ///
    /// As for [`Chain::enqueue`].
    #[inline]
    unsafe fn take_place(
        first: NonNull<Slot>,
        last: NonNull<Slot>,
        leading_readers: u32,
        entered: impl FnOnce(),
    ) -> bool {
        // SAFETY: the caller keeps slots and cown alive.
        unsafe {
            let cown = first.as_ref().cown().as_ref();
            // The exchange is the linearisation point: the order of the exchanges on a cown's tail is
            // the order in which its behaviours run.
            // Release: whoever gets this slot as its predecessor sees it initialised.
            // Acquire: pairs with that Release of the predecessor, and with the Release of `leave`
            // that set the tail to null, so that this behaviour sees what the last holder wrote.
            let before = cown.tail.swap(Slot::status(last).as_ptr(), AcqRel);
            match NonNull::new(before) {
                Some(predecessor) => {
                    let seen = Status::wait_until_published(predecessor);
                    entered();
                    Status::link(predecessor, seen, first, leading_readers, cown)
                }
                None => {
                    entered();
                    cown.take_free(first, leading_readers)
                }
            }
        }
    }

    /// A reader that its owner has not published holds the cown, and later ones join behind it.
    fn admit(&self) {
        // Relaxed: it is seen by what `publish` makes of it.
        self.status.0.store(state(ADMITTED), Relaxed);
    }

    /// Leaves the queue, for a slot that writes. Gives the one to hand the cown over to.
    ///
    /// # Safety
    ///
    /// The owner holds the cown, and calls this once. The cown is alive.
    #[inline]
    pub(crate) unsafe fn release_writer(&self) -> Option<Successor> {
        // SAFETY: passed on to the caller.
        unsafe { self.status.leave(self.cown().as_ref()) }
    }

    /// Leaves the queue, for a slot that reads. Gives the writer that holds the cown by that; it is
    /// resolved.
    ///
    /// # Safety
    ///
    /// As for [`Slot::release_writer`].
    pub(crate) unsafe fn release_reader(&self) -> Option<NonNull<Slot>> {
        // SAFETY: passed on to the caller.
        unsafe {
            let cown = self.cown();
            // A successor that reads holds the cown already, and may be gone. Who waits for a reader is
            // a writer.
            let next = self.status.leave(cown.as_ref()).filter(|next| !next.reads());
            match cown.as_ref().readers.leave(next.map(Successor::slot)) {
                Left::Last(writer) => {
                    self.set(LAST_READER);
                    writer
                }
                Left::Others => None,
            }
        }
    }

    /// Fetches what the release is going to need of the successor, if there is one already. A long queue
    /// does not fit into the processor's caches.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn prefetch_successor(&self) {
        // For the model checker it would be one more step to explore.
        #[cfg(not(loom))]
        // Relaxed: nothing is read by it.
        if let Some(next) = successor(self.status.0.load(Relaxed)).map(Successor::slot) {
            crate::sync::prefetch(next.as_ptr().cast());
            // The head of its behaviour, which lies before it, and in most cases not far.
            crate::sync::prefetch(next.as_ptr().wrapping_byte_sub(64).cast());
        }
    }

    /// After the release: how many references to the cown it left to the owner. There is one for a
    /// queue that is not empty, which is left to who emptied it, and one for the readers together,
    /// which is left to the last of them.
    pub(crate) fn references(&self) -> u32 {
        // Relaxed: the release saw the link, or that there is none.
        let emptied = self.status.0.load(Relaxed).addr() < FIRST_NEXT;
        u32::from(emptied) + u32::from(self.cown.get().addr() & LAST_READER != 0)
    }
}

/// Readers in a row, which hold a cown together. Each may be gone when it has been resolved.
pub(crate) struct ReaderRow {
    next: Option<NonNull<Slot>>,
    last: NonNull<Slot>,
}

impl Iterator for ReaderRow {
    type Item = NonNull<Slot>;

    fn next(&mut self) -> Option<NonNull<Slot>> {
        let slot = self.next?;
        self.next = if slot == self.last {
            None
        } else {
            // Acquire: pairs with the Release of `link`, for the successor.
            // SAFETY: a slot whose behaviour lacks a cown stays where it is. This one is resolved after
            // it was given, and those behind it after that.
            successor(unsafe { slot.as_ref() }.status.0.load(Acquire)).map(Successor::slot)
        };
        Some(slot)
    }
}

/// Hands a cown over to a reader that has come to the front of the queue, and to those in a row with it.
///
/// # Safety
///
/// `first` reads. The caller held the cown as a writer, and gives it up. Those it gives are resolved.
pub(crate) unsafe fn admit_readers(first: NonNull<Slot>) -> ReaderRow {
    // SAFETY: a slot whose behaviour lacks a cown stays where it is, and all of these do, since none is
    // resolved here.
    ReaderRow { next: Some(first), last: unsafe { admit_row(first) } }
}

/// Counts the readers in a row, and lets those join that come later. Returns the last one.
///
/// # Safety
///
/// `first` reads; no writer holds the cown, and no reader of the row has been resolved.
unsafe fn admit_row(first: NonNull<Slot>) -> NonNull<Slot> {
    let (mut slot, mut uncounted) = (first, 1);
    loop {
        // SAFETY: the slot is not resolved yet, so it stays where it is, and so does its cown.
        let (Status(word), cown) =
            unsafe { (&slot.as_ref().status, slot.as_ref().cown().as_ref()) };
        // Acquire: pairs with the Release of `link`, for the successor.
        let seen = word.load(Acquire);
        match successor(seen) {
            Some(next) if next.reads() => {
                slot = next.slot();
                uncounted += 1;
            }
            next => {
                // Before anybody can see that this reader holds the cown.
                cown.add_readers(core::mem::take(&mut uncounted));
                if next.is_some() {
                    return slot;
                }
                let admitted = if seen.addr() == WAIT { ADMITTED } else { HELD };
                // Release: pairs with the Acquire in `published` and in `link`: who joins finds the count.
                if word.compare_exchange(seen, state(admitted), Release, Relaxed).is_ok() {
                    return slot;
                }
                // It was published meanwhile, or has a successor now.
            }
        }
    }
}

/// Slots for one cown that are linked to each other and enter its queue in one step.
pub(crate) struct Chain {
    first: NonNull<Slot>,
    last: NonNull<Slot>,
    /// How many readers it starts with.
    leading_readers: u32,
    length: u32,
}

impl Chain {
    /// A chain of one slot.
    ///
    /// # Safety
    ///
    /// The slot is in no queue and no chain, and stays where it is until it was released.
    pub(crate) unsafe fn new(slot: NonNull<Slot>) -> Self {
        // SAFETY: the slot is the caller's.
        let reads = u32::from(unsafe { slot.as_ref() }.mode() == Mode::Read);
        Self { first: slot, last: slot, leading_readers: reads, length: 1 }
    }

    /// Appends a slot for the same cown.
    ///
    /// # Safety
    ///
    /// As for [`Chain::new`].
    pub(crate) unsafe fn append(&mut self, slot: NonNull<Slot>) {
        // SAFETY: the slots are the chain's, and in no queue yet.
        unsafe {
            let reads = slot.as_ref().mode() == Mode::Read;
            let next =
                if reads { slot.as_ptr().map_addr(|a| a | NEXT_READS) } else { slot.as_ptr() };
            // Relaxed: who comes to see this slot comes by a link or tail that is set later.
            self.last.as_ref().status.0.store(next, Relaxed);
            self.leading_readers += u32::from(reads && self.leading_readers == self.length);
        }
        self.length += 1;
        self.last = slot;
    }

    /// The slot at the end, which has to be published.
    pub(crate) fn last(&self) -> NonNull<Slot> {
        self.last
    }

    /// Enters the queue of the cown. Calls `obtained` for each slot that holds the cown at once.
    ///
    /// # Safety
    ///
    /// The caller keeps the cown alive meanwhile, and calls this once. No slot of the chain is
    /// released before the last one is published.
    pub(crate) unsafe fn enqueue(&self, mut obtained: impl FnMut(NonNull<Slot>)) {
        // SAFETY: the caller keeps slots and cown alive.
        unsafe {
            let holds = Slot::take_place(self.first, self.last, self.leading_readers, || ());
            if !holds {
                return;
            }
            let count = self.leading_readers.max(1);
            if self.leading_readers == self.length {
                self.last.as_ref().admit();
            }
            let mut slot = self.first;
            for index in 0..count {
                // The link is read first, though nobody but the caller can start the slot's owner.
                let next = successor(slot.as_ref().status.0.load(Relaxed)).map(Successor::slot);
                obtained(slot);
                match next {
                    Some(next) if index + 1 < count => slot = next,
                    _ => break,
                }
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model;
