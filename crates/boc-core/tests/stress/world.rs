//! What is counted and noted down while a round runs.
//!
//! Nobody locks here what somebody else locks during the round, and all counting is `Relaxed`.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, fence},
};

use boc_core::{Accessed, Handle};

/// How many behaviours, values and claims a round has at the most.
pub(crate) const MOST: usize = 8_000;

/// How many cowns a round has at the most.
pub(crate) const MOST_COWNS: usize = 100;

/// How many cowns a request names at the most.
pub(crate) const MOST_NAMED: usize = 8;

/// What is known of a behaviour, of a value, or of a claim.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) ran: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    /// How often somebody was told that he cancelled it.
    pub(crate) cancelled: AtomicUsize,
    /// Its batch was dropped.
    pub(crate) unscheduled: AtomicBool,
    /// One more than the number of the executor it was scheduled on; zero for what is no behaviour.
    pub(crate) executor: AtomicUsize,
    /// Zero if it is in none.
    pub(crate) batch: AtomicUsize,
    /// Where it was scheduled: as the how-manieth of a strand, which is a thread or the body of
    /// another behaviour.
    pub(crate) strand: AtomicUsize,
    pub(crate) number: AtomicUsize,
    /// One more than the record of the behaviour whose body that is; zero for a thread.
    pub(crate) parent: AtomicUsize,
    /// The handle, if several have it, so that none of them is the last one: who drops an `Arc` last
    /// comes after all others by a fence, which race detectors do not see.
    pub(crate) handle: OnceLock<Arc<Handle<usize>>>,
    reads: [AtomicU64; MOST_NAMED],
}

/// What is known of a cown.
#[derive(Default)]
struct Watch {
    /// One for each reader that holds it, and `WRITER`.
    held: AtomicUsize,
    /// Closures that were going to be scheduled over it.
    entered: AtomicUsize,
    /// Those of them that are gone.
    left: AtomicUsize,
    /// What the value leaves behind.
    log: Mutex<Vec<usize>>,
}

const WRITER: usize = 1 << 32;

/// What the checks of one round share.
pub(crate) struct World {
    pub(crate) records: Vec<Record>,
    watches: Vec<Watch>,
    next_record: AtomicUsize,
    next_cown: AtomicUsize,
    next_strand: AtomicUsize,
    next_batch: AtomicUsize,
    /// Behaviours that each executor was given, whether it took them or not.
    pub(crate) scheduled: Vec<AtomicUsize>,
    /// How often a cown was held by a reader that found another one.
    pub(crate) shared: AtomicUsize,
}

/// Dropped with the closure or the value that it is part of.
pub(crate) struct Ticket {
    world: Arc<World>,
    pub(crate) record: usize,
    /// The cowns that the closure is scheduled over.
    cowns: Vec<usize>,
}

impl World {
    pub(crate) fn new(executors: usize) -> Arc<Self> {
        Arc::new(Self {
            records: (0..MOST).map(|_| Record::default()).collect(),
            watches: (0..MOST_COWNS).map(|_| Watch::default()).collect(),
            next_record: AtomicUsize::new(0),
            next_cown: AtomicUsize::new(0),
            next_strand: AtomicUsize::new(0),
            next_batch: AtomicUsize::new(1),
            scheduled: (0..executors).map(|_| AtomicUsize::new(0)).collect(),
            shared: AtomicUsize::new(0),
        })
    }

    /// `None` if the round has enough.
    pub(crate) fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let record = self.next_record.fetch_add(1, Relaxed);
        (record < MOST).then(|| Ticket { world: Arc::clone(self), record, cowns: Vec::new() })
    }

    /// The value of a new cown. `None` if the round has enough.
    pub(crate) fn value(self: &Arc<Self>) -> Option<Value> {
        let index = self.next_cown.fetch_add(1, Relaxed);
        if index >= MOST_COWNS {
            return None;
        }
        Some(Value { index, log: Vec::new(), ticket: self.ticket()? })
    }

    pub(crate) fn strand(&self) -> usize {
        self.next_strand.fetch_add(1, Relaxed)
    }

    pub(crate) fn batch(&self) -> usize {
        self.next_batch.fetch_add(1, Relaxed)
    }

    /// How many batches there were.
    pub(crate) fn batches(&self) -> usize {
        self.next_batch.load(Relaxed) - 1
    }

    /// How many cowns there were.
    pub(crate) fn cowns(&self) -> usize {
        self.next_cown.load(Relaxed).min(MOST_COWNS)
    }

    /// The records that were used.
    pub(crate) fn used(&self) -> &[Record] {
        &self.records[..self.next_record.load(Relaxed).min(MOST)]
    }

    /// All that was going to be scheduled over a cown is over. For who has found that nobody refers
    /// to the cown any more.
    pub(crate) fn assert_gone(&self, cown: usize) {
        // What was counted before the last reference went is seen. A fence, which race detectors do
        // not take for order.
        fence(std::sync::atomic::Ordering::Acquire);
        let watch = &self.watches[cown];
        let (entered, left) = (watch.entered.load(Relaxed), watch.left.load(Relaxed));
        assert_eq!(entered, left, "a cown is gone before the behaviours over it");
    }

    /// After the round: which behaviours wrote each cown, in their order.
    pub(crate) fn logs(&self) -> Vec<Vec<usize>> {
        self.watches.iter().map(|watch| watch.log.lock().unwrap().clone()).collect()
    }

    pub(crate) fn nothing_is_held(&self) -> bool {
        self.watches.iter().all(|watch| watch.held.load(Relaxed) == 0)
    }
}

impl Record {
    /// What a behaviour read: the cown, and how many had written it before.
    pub(crate) fn reads(&self) -> impl Iterator<Item = (usize, usize)> {
        self.reads.iter().map_while(|read| {
            let read = read.load(Relaxed).checked_sub(1)?;
            Some(((read >> 32) as usize, read as u32 as usize))
        })
    }
}

impl Ticket {
    /// The closure is going to be scheduled over these cowns, to which the caller has references.
    pub(crate) fn enter(&mut self, cowns: impl Iterator<Item = usize>) {
        self.cowns = cowns.collect();
        for cown in &self.cowns {
            self.world.watches[*cown].entered.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn ran(&self) {
        let before = self.world.records[self.record].ran.fetch_add(1, Relaxed);
        assert_eq!(before, 0, "a behaviour ran twice");
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.world.records[self.record].dropped.fetch_add(1, Relaxed);
        for cown in &self.cowns {
            self.world.watches[*cown].left.fetch_add(1, Relaxed);
        }
    }
}

/// The value of a cown.
pub(crate) struct Value {
    pub(crate) index: usize,
    /// The records of those that wrote it.
    log: Vec<usize>,
    ticket: Ticket,
}

impl Value {
    pub(crate) fn record(&self) -> usize {
        self.ticket.record
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let log = &self.ticket.world.watches[self.index].log;
        *log.lock().unwrap() = std::mem::take(&mut self.log);
    }
}

/// Marks cowns as held, until it is dropped.
pub(crate) struct Hold<'a> {
    world: &'a World,
    /// With what is to be taken off again.
    held: Vec<(usize, usize)>,
}

impl<'a> Hold<'a> {
    pub(crate) fn new(world: &'a World, values: &mut [Accessed<'_, Value>], record: usize) -> Self {
        let mut hold = Self { world, held: Vec::new() };
        let mut reads = world.records[record].reads.iter();
        for value in values {
            let index = value.index;
            let held = &world.watches[index].held;
            let share = match value {
                Accessed::Write(value) => {
                    let before = held.fetch_add(WRITER, Relaxed);
                    assert_eq!(before, 0, "a cown is written that somebody else holds");
                    value.log.push(record);
                    WRITER
                }
                Accessed::Read(value) => {
                    let before = held.fetch_add(1, Relaxed);
                    assert!(before < WRITER, "a cown is read that somebody writes");
                    world.shared.fetch_add(usize::from(before > 0), Relaxed);
                    let read = ((index as u64) << 32 | value.log.len() as u64) + 1;
                    reads.next().expect("there is room").store(read, Relaxed);
                    1
                }
            };
            hold.held.push((index, share));
        }
        hold
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        for (index, share) in &self.held {
            self.world.watches[*index].held.fetch_sub(*share, Relaxed);
        }
    }
}
