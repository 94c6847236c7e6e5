//! What happened, in the order of time.

use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, panic::Location};
use std::time::{Duration, Instant};

use super::{
    super::{Builder, Runtime},
    BehaviourId, CownId, NamedCown, Observer, Whence,
    ticket::Tag,
};
use crate::sync::Arc;

/// What happened to a behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It entered the queues of its cowns. From here to [`Ready`](Self::Ready) it waits for them.
    ///
    /// Also when it is to be called [again](crate::Step::Again).
    Scheduled,
    /// It holds all its cowns, and waits for a worker, or for the other executor that is to run it.
    Ready,
    /// Its closure is called.
    Started,
    /// Its closure has returned, or panicked. After this its cowns go to those behind it.
    Ended,
    /// It is over, and its closure was not called: its handle or its runtime said so.
    ///
    /// For one that was cancelled by its handle, this is when its places in the queues of its cowns
    /// have come to the front and were given up.
    Cancelled,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
        })
    }
}

/// Something that happened to a behaviour. See [`Builder::events`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Event {
    /// When, from the moment when the runtime was made.
    pub time: Duration,
    /// On which worker; none if it was another thread.
    pub worker: Option<usize>,
    /// Whether it was another thread that ran a behaviour of the runtime then: the start and the end of one that
    /// another executor runs, and what that has led to.
    pub elsewhere: bool,
    /// What.
    pub kind: EventKind,
    tag: Arc<Tag>,
}

impl Event {
    pub(super) fn new(time: Duration, whence: Whence, kind: EventKind, tag: Arc<Tag>) -> Self {
        let (worker, elsewhere) = match whence {
            Whence::Worker(index) => (Some(index), false),
            Whence::Elsewhere => (None, true),
            Whence::Outside => (None, false),
        };
        Self { time, worker, elsewhere, kind, tag }
    }

    /// Which behaviour.
    pub fn behaviour(&self) -> BehaviourId {
        self.tag.id
    }

    /// Where it was scheduled: the call of `when`, or of [`Batch::when`](crate::Batch::when).
    pub fn location(&self) -> &'static Location<'static> {
        self.tag.location
    }

    /// What a binding to another language calls it. The location is in the binding then.
    pub fn label(&self) -> Option<&str> {
        self.tag.label.as_deref()
    }

    /// The cowns of its request, in their order, each once.
    pub fn cowns(&self) -> &[NamedCown] {
        &self.tag.cowns
    }

    /// The cown of its outcome, if it has a handle: what others name who are scheduled over that.
    pub fn result(&self) -> Option<CownId> {
        self.tag.result
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("time", &self.time)
            .field("worker", &self.worker)
            .field("elsewhere", &self.elsewhere)
            .field("kind", &self.kind)
            .field("behaviour", &self.tag.id)
            .field("location", &format_args!("{}", self.tag.origin()))
            .field("cowns", &self.tag.cowns)
            .finish_non_exhaustive()
    }
}

/// One line, such as `     1.204ms  worker 0   #7 started    (src/main.rs:12:13)`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, origin) = (self.tag.id, self.tag.origin());
        match self.worker {
            Some(worker) => write!(f, "{:>12.3?}  worker {worker:<3}", self.time)?,
            None if self.elsewhere => write!(f, "{:>12.3?}  elsewhere ", self.time)?,
            None => write!(f, "{:>12.3?}  outside   ", self.time)?,
        }
        write!(f, "  {id} {:<10} ({origin})", self.kind)
    }
}

/// What [`Runtime::take_events`] gives.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Events {
    /// In the order of their times. Those of one worker, and those of all threads that are no workers,
    /// are in the order in which they happened also where the clock was too slow to tell.
    pub events: Vec<Event>,
    /// How many there were before and between them that had to make room for others.
    pub lost: u64,
    /// The moment from which their times count; none if nothing is written down.
    pub origin: Option<Instant>,
}

impl Builder {
    /// Writes down what happens to the behaviours of the runtime, for [`Runtime::take_events`]. Implies
    /// [`Builder::observe`].
    ///
    /// The last `capacity` events of each worker are kept, and as many of all other threads together.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0.
    #[must_use]
    pub fn events(self, capacity: usize) -> Self {
        assert!(capacity > 0, "a buffer for no events keeps none: `observe()` does without");
        self.observe_with(|settings| settings.events = capacity)
    }
}

impl Runtime {
    /// Takes what has happened since this was called last. There is nothing if the runtime does not
    /// write it down; see [`Builder::events`].
    ///
    /// The workers wait for a moment while it is collected.
    ///
    /// ```
    /// use boc_core::{Builder, Cown, observe::EventKind};
    ///
    /// let runtime = Builder::new().workers(1).events(1_000).build().unwrap();
    /// let number = Cown::new(1);
    /// runtime.when(&number, |n| *n += 1).wait().unwrap();
    ///
    /// let happened = runtime.take_events();
    /// let kinds: Vec<_> = happened.events.iter().map(|event| event.kind).collect();
    /// assert_eq!(
    ///     kinds,
    ///     [EventKind::Scheduled, EventKind::Ready, EventKind::Started, EventKind::Ended],
    /// );
    /// assert_eq!(happened.events[0].cowns()[0].cown, (&number).into());
    /// assert_eq!(happened.lost, 0);
    /// ```
    pub fn take_events(&self) -> Events {
        self.shared.observer.as_ref().map_or_else(Events::default, |observer| Events::of(observer))
    }
}

impl Events {
    pub(super) fn of(observer: &Observer) -> Self {
        let (mut events, lost) = observer.take_events();
        // Stable: within a lane they are in order.
        events.sort_by_key(|event| event.time);
        Self { events, lost, origin: Some(observer.start()) }
    }
}

/// The last events of a lane.
pub(super) struct Log {
    events: VecDeque<Event>,
    lost: u64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { events: VecDeque::new(), lost: 0 }
    }

    /// Appends an event, and drops the oldest one if there are more than `capacity`.
    pub(super) fn push(&mut self, event: Event, capacity: usize) {
        if self.events.len() >= capacity {
            self.events.pop_front();
            self.lost += 1;
        }
        self.events.push_back(event);
    }

    /// Drops the oldest ones if there are more than `capacity`; all that is left is as new if that is 0.
    pub(super) fn shrink_to(&mut self, capacity: usize) {
        if capacity == 0 {
            *self = Self::new();
        }
        while self.events.len() > capacity {
            self.events.pop_front();
            self.lost += 1;
        }
    }

    /// Takes all events, and says how many were lost.
    pub(super) fn take_into(&mut self, all: &mut Vec<Event>) -> u64 {
        all.extend(self.events.drain(..));
        core::mem::take(&mut self.lost)
    }
}
