//! What an observed runtime knows of its behaviours, and how they go from state to state.

use alloc::{boxed::Box, vec::Vec};
use std::time::{Duration, Instant};

use super::{
    BehaviourId, BehaviourState, Settings,
    events::{Event, EventKind, Log},
    ticket::Tag,
};
use crate::{
    raw::Signal,
    sync::{
        Apart, Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        lock,
    },
};

/// Knows the behaviours of one runtime that have not ended.
///
/// Each worker has a *lane*, and all other threads together have one more, also those that run a
/// behaviour of the runtime for another executor. A behaviour goes from state to state by a thread
/// that has it to itself at that moment, and that does so under the lock of its own lane. So no two
/// workers wait for each other to be observed, and who has the locks of all lanes sees all behaviours
/// at one instant. No foreign code runs under these locks, and nobody who has one
/// of them takes another, apart from who takes all of them, in their order.
pub(in crate::runtime) struct Observer {
    lanes: Box<[Apart<Mutex<Lane>>]>,
    /// Whether behaviours that are scheduled now are observed.
    on: AtomicBool,
    /// So many events are kept in each lane.
    capacity: AtomicUsize,
    start: Instant,
    /// How many behaviours there have been, and how often one was about to enter its queues.
    behaviours: AtomicU64,
    entries: AtomicU64,
    /// The runtime has ended.
    pub(super) closed: Signal,
}

struct Lane {
    /// The behaviours that were scheduled in this lane, and have not ended.
    roll: Roll,
    /// What is being run: by the worker, or by any of the other threads.
    inside: Vec<Inside>,
    /// How often something was run.
    calls: u64,
    log: Log,
}

/// A closure that was called, and has not returned.
struct Inside {
    tag: Arc<Tag>,
    number: u64,
}

/// Where something happens to a behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Whence {
    /// On a worker.
    Worker(usize),
    /// On another thread, which runs a behaviour of the runtime.
    Elsewhere,
    /// On another thread.
    Outside,
}

/// A list of behaviours, each at a place that it keeps.
struct Roll {
    places: Vec<Option<Arc<Tag>>>,
    free: Vec<usize>,
}

/// Where a behaviour is listed.
#[derive(Clone, Copy)]
pub(super) struct Listing {
    lane: usize,
    place: usize,
}

/// A call of a closure that has not returned: where, of which behaviour, since when, and which of the calls there it is.
pub(super) struct Call {
    /// If it is one of the runtime's.
    pub(super) worker: Option<usize>,
    pub(super) behaviour: BehaviourId,
    pub(super) since: u64,
    pub(super) number: u64,
}

/// All behaviours at one instant.
pub(super) struct Snapshot {
    pub(super) now: u64,
    pub(super) behaviours: Vec<Seen>,
    pub(super) workers: usize,
    pub(super) calls: Vec<Call>,
}

pub(super) struct Seen {
    pub(super) tag: Arc<Tag>,
    pub(super) state: BehaviourState,
    pub(super) since: u64,
    pub(super) order: u64,
}

impl Observer {
    pub(in crate::runtime) fn new(workers: usize, settings: &Settings) -> Arc<Self> {
        let lane = |_| {
            let roll = Roll { places: Vec::new(), free: Vec::new() };
            Apart(Mutex::new(Lane { roll, inside: Vec::new(), calls: 0, log: Log::new() }))
        };
        Arc::new(Self {
            lanes: (0..=workers).map(lane).collect(),
            on: AtomicBool::new(!settings.on_demand),
            capacity: AtomicUsize::new(settings.events),
            start: Instant::now(),
            behaviours: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            closed: Signal::new(),
        })
    }

    /// How many there are.
    pub(super) fn workers(&self) -> usize {
        self.lanes.len() - 1
    }

    /// Nanoseconds since the runtime was made, which is enough for some centuries.
    pub(super) fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// The moment from which the times count.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// Whether behaviours that are scheduled now are observed.
    // Relaxed: a behaviour is observed as a whole or not at all, and which it is nobody else decides.
    pub(in crate::runtime) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    pub(super) fn set_on(&self, on: bool) {
        self.on.store(on, Relaxed);
    }

    /// Keeps so many events in each lane from now on.
    pub(super) fn set_capacity(&self, capacity: usize) {
        let mut lanes = self.all_lanes();
        // Under the locks of those who read it.
        self.capacity.store(capacity, Relaxed);
        lanes.iter_mut().for_each(|lane| lane.log.shrink_to(capacity));
    }

    /// The number of a new behaviour.
    pub(super) fn number(&self) -> BehaviourId {
        BehaviourId(self.behaviours.fetch_add(1, Relaxed) + 1)
    }

    /// The runtime is not going to run anything any more.
    pub(in crate::runtime) fn close(&self) {
        self.closed.set();
    }

    /// Which lane that is. The last one is that of the threads that are no workers.
    fn index(&self, whence: Whence) -> usize {
        match whence {
            Whence::Worker(index) => index,
            Whence::Elsewhere | Whence::Outside => self.workers(),
        }
    }

    fn lane(&self, whence: Whence) -> Turn<'_> {
        let lane = lock!(self.lanes[self.index(whence)]);
        // Under the lock, so that the times of a lane do not run backwards.
        Turn { now: self.now(), lane, observer: self, whence }
    }

    /// A behaviour was made: it is in a batch that is not scheduled yet, or enters its queues now.
    pub(super) fn admit(&self, here: Whence, tag: &Arc<Tag>, state: BehaviourState) -> Listing {
        let mut turn = self.lane(here);
        let place = turn.lane.roll.add(Arc::clone(tag));
        turn.advance(tag, state);
        Listing { lane: self.index(here), place }
    }

    /// A behaviour comes to be waiting, or ready.
    pub(super) fn advance(&self, here: Whence, tag: &Arc<Tag>, state: BehaviourState) {
        self.lane(here).advance(tag, state);
    }

    /// A behaviour's closure is called.
    pub(super) fn started(&self, here: Whence, tag: &Arc<Tag>) {
        let mut turn = self.lane(here);
        turn.lane.calls += 1;
        let number = turn.lane.calls;
        turn.lane.inside.push(Inside { tag: Arc::clone(tag), number });
        turn.advance(tag, BehaviourState::Running);
    }

    /// The closure has returned. If it is to be called again, the behaviour comes behind all that wait
    /// for its cowns by now.
    pub(super) fn returned(&self, here: Whence, tag: &Arc<Tag>, again: bool) {
        let mut turn = self.lane(here);
        turn.lane.inside.retain(|inside| !Arc::ptr_eq(&inside.tag, tag));
        turn.advance(tag, BehaviourState::Ending);
        if again {
            turn.advance(tag, BehaviourState::Waiting);
        }
    }

    /// A behaviour has released all that it held.
    pub(super) fn ended(&self, here: Whence, tag: &Arc<Tag>, listing: Listing) {
        if tag.state() != BehaviourState::Ending {
            self.lane(here).cancelled(tag);
        }
        lock!(self.lanes[listing.lane]).roll.remove(listing.place);
    }

    /// The locks of all lanes, under which nothing goes on.
    fn all_lanes(&self) -> Vec<MutexGuard<'_, Lane>> {
        self.lanes.iter().map(|lane| lock!(lane)).collect()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let lanes = self.all_lanes();
        let seen = |tag: &Arc<Tag>| Seen {
            state: tag.state(),
            since: tag.since(),
            order: tag.order(),
            tag: Arc::clone(tag),
        };
        let calls =
            lanes.iter().enumerate().flat_map(|(index, lane)| lane.calls(self.worker(index)));
        let calls = calls.collect();
        let behaviours = lanes.iter().flat_map(|lane| lane.roll.iter()).map(seen).collect();
        Snapshot { now: self.now(), behaviours, workers: self.workers(), calls }
    }

    /// How often a closure was called so far.
    pub(super) fn count_calls(&self) -> u64 {
        self.lanes.iter().map(|lane| lock!(lane).calls).sum()
    }

    /// What is being run right now.
    pub(super) fn calls(&self) -> Vec<Call> {
        let mut all = Vec::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            all.extend(lock!(lane).calls(self.worker(index)));
        }
        all
    }

    /// Whose lane that is.
    fn worker(&self, index: usize) -> Option<usize> {
        Some(index).filter(|index| *index < self.workers())
    }

    /// Takes all events, in the order of the lanes, and says how many were lost.
    pub(super) fn take_events(&self) -> (Vec<Event>, u64) {
        let (mut events, mut lost) = (Vec::new(), 0);
        for mut lane in self.all_lanes() {
            lost += lane.log.take_into(&mut events);
        }
        (events, lost)
    }
}

impl Roll {
    fn add(&mut self, tag: Arc<Tag>) -> usize {
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(free) => *free = Some(tag),
            None => self.places.push(Some(tag)),
        }
        place
    }

    fn remove(&mut self, place: usize) {
        let tag = self.places[place].take();
        debug_assert!(tag.is_some(), "a behaviour ends once");
        self.free.push(place);
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Tag>> {
        self.places.iter().flatten()
    }
}

impl Call {
    /// Which one it is, of all those of the runtime.
    pub(super) fn name(&self) -> (Option<usize>, u64) {
        (self.worker, self.number)
    }
}

impl Lane {
    fn calls(&self, worker: Option<usize>) -> impl Iterator<Item = Call> {
        self.inside.iter().map(move |Inside { tag, number }| Call {
            worker,
            behaviour: tag.id,
            since: tag.since(),
            number: *number,
        })
    }
}

/// The right to write into a lane, at a time.
struct Turn<'o> {
    lane: MutexGuard<'o, Lane>,
    observer: &'o Observer,
    whence: Whence,
    now: u64,
}

impl Turn<'_> {
    fn advance(&mut self, tag: &Arc<Tag>, state: BehaviourState) {
        if state == BehaviourState::Waiting {
            // Relaxed: of two that come one after the other, for whatever reason, the first gets less.
            tag.set_order(self.observer.entries.fetch_add(1, Relaxed));
        }
        tag.set(state, self.now);
        match state {
            BehaviourState::InBatch => (),
            BehaviourState::Waiting => self.record(tag, EventKind::Scheduled),
            BehaviourState::Ready => self.record(tag, EventKind::Ready),
            BehaviourState::Running => self.record(tag, EventKind::Started),
            BehaviourState::Ending => self.record(tag, EventKind::Ended),
        }
    }

    /// The behaviour has ended, and was not called.
    fn cancelled(&mut self, tag: &Arc<Tag>) {
        tag.set(BehaviourState::Ending, self.now);
        self.record(tag, EventKind::Cancelled);
    }

    fn record(&mut self, tag: &Arc<Tag>, kind: EventKind) {
        let capacity = self.observer.capacity.load(Relaxed);
        if capacity > 0 {
            let now = Duration::from_nanos(self.now);
            let event = Event::new(now, self.whence, kind, Arc::clone(tag));
            self.lane.log.push(event, capacity);
        }
    }
}
