//! Why is this not running? All behaviours at one instant, and who is before whom.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::{cmp::Reverse, fmt, panic::Location};
use std::time::Duration;

use super::{
    super::Runtime,
    BehaviourId, CownId, Mode, NamedCown,
    observer::{Call, Seen, Snapshot},
    ticket::Origin,
};

/// How far a behaviour has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum BehaviourState {
    /// It is in a [`Batch`](crate::Batch) that has not been scheduled.
    InBatch,
    /// It is in the queues of its cowns, and does not hold all of them.
    Waiting,
    /// It holds all its cowns, and waits for a worker, or for the other executor that is to run it.
    Ready,
    /// A thread is inside of its closure.
    Running,
    /// Its closure is gone. It gives up what it holds, cowns first, the outcome last.
    Ending,
}

impl BehaviourState {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 5] =
        [Self::InBatch, Self::Waiting, Self::Ready, Self::Running, Self::Ending];
}

impl fmt::Display for BehaviourState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InBatch => "in a batch",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Ending => "ending",
        })
    }
}

/// The behaviours of a runtime that had not ended at one instant; see [`Runtime::report`].
///
/// Its `Display` is for people:
///
/// ```text
/// workers: 2, behaviours that have not ended: 2
/// worker 0: inside of #1 for 1.5s
/// worker 1: nothing
/// #1 running for 1.5s, scheduled at src/main.rs:12:13
///     holds cown 0x7f44a0000c20 to write
/// #2 waiting for 1.4s, scheduled at src/main.rs:16:13
///     waits for cown 0x7f44a0000c20 to write, behind #1, who holds it
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Whether the runtime is observed. If not, this is all there is to know of it, apart from the
    /// number in flight.
    pub observed: bool,
    /// Behaviours in flight by the runtime's own counters, which are read a moment later.
    pub in_flight: usize,
    /// For each worker what it is inside of.
    pub workers: Vec<Option<Running>>,
    /// What other executors run of what the runtime counts; see [`BehaviourReport::elsewhere`].
    pub elsewhere: Vec<Running>,
    /// The behaviours, in the order of their numbers.
    pub behaviours: Vec<BehaviourReport>,
    /// The queues in which some of them stand, in the order of the cowns.
    pub queues: Vec<CownQueue>,
}

/// What a thread is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// The behaviour.
    pub behaviour: BehaviourId,
    /// For how long by now.
    pub elapsed: Duration,
}

/// A behaviour that has not ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BehaviourReport {
    /// Its number.
    pub id: BehaviourId,
    /// Where it was scheduled: the call of `when`, or of [`Batch::when`](crate::Batch::when).
    pub location: &'static Location<'static>,
    /// What a binding to another language calls it. The location is in the binding then.
    pub label: Option<alloc::sync::Arc<str>>,
    /// Whether another executor runs it, and not a worker of the runtime, which counts it.
    pub elsewhere: bool,
    /// How far it has come.
    pub state: BehaviourState,
    /// How long ago it came to that.
    pub elapsed: Duration,
    /// The cowns that it holds.
    pub holds: Vec<NamedCown>,
    /// The cowns that it waits for.
    pub waits_for: Vec<Wait>,
    /// The cown of its outcome, if it has a handle. It holds that until it has ended.
    pub result: Option<CownId>,
}

/// That a behaviour waits for a cown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// The cown, and what for.
    pub named: NamedCown,
    /// How many behaviours of the runtime are before it; see [`Report::before`].
    pub behind: usize,
}

/// The queue of a cown, as far as behaviours of the runtime stand in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CownQueue {
    /// The cown.
    pub cown: CownId,
    /// Who is in it, the first first.
    pub places: Vec<Place>,
}

/// A behaviour in the queue of a cown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Which.
    pub behaviour: BehaviourId,
    /// Whether it writes or reads.
    pub mode: Mode,
    /// Whether it holds the cown.
    pub holds: bool,
}

impl Runtime {
    /// Why is this not running? What each worker is inside of, and of each behaviour that has not ended
    /// where it was scheduled, how far it has come, which cowns it holds, for which it waits, and who
    /// is before it.
    ///
    /// For runtimes that are [observed](crate::Builder::observe); others have nothing to tell but how
    /// much is in flight. It can be asked on any thread, also inside of behaviours. The workers wait
    /// for a moment while the behaviours are collected; all else is worked out afterwards.
    ///
    /// What it says of each behaviour's state is true of one instant. Two things are concluded from
    /// that, and can be wrong:
    ///
    /// - Who is before whom, if they wait for the same cown and were scheduled by two threads *at the
    ///   same moment*: each takes its number just before it takes its place.
    /// - Whether a waiting behaviour holds one of its cowns already: that it is the first behaviour
    ///   of this runtime there is taken for holding it. Somebody who is not seen can be before it.
    ///
    /// A behaviour is [`Ending`](BehaviourState::Ending) for a little longer than those who wait for
    /// its handle have to wait. After [`Runtime::quiesce`] there are none.
    ///
    /// ```
    /// use boc_core::{Builder, Cown, Promise};
    ///
    /// let runtime = Builder::new().workers(1).observe().build().unwrap();
    /// let (promise, input) = Promise::new();
    /// runtime.when_detached((&Cown::new(1), &input), |(n, input)| *n += input.take().unwrap());
    ///
    /// let report = runtime.report();
    /// let stuck = &report.behaviours[0];
    /// assert!(stuck.location.file().ends_with(".rs"));
    /// // Nobody of this runtime is in its way, so it waits for somebody outside: the promise.
    /// assert!(stuck.waits_for.iter().all(|wait| report.before(wait).is_empty()));
    /// # promise.fulfil(1).unwrap();
    /// ```
    pub fn report(&self) -> Report {
        let observer = self.shared.observer.as_ref().filter(|observer| observer.is_on());
        let report = observer.map(|observer| observer.snapshot().report());
        let nothing = Report {
            observed: false,
            in_flight: 0,
            workers: Vec::new(),
            elsewhere: Vec::new(),
            behaviours: Vec::new(),
            queues: Vec::new(),
        };
        Report { in_flight: self.in_flight(), ..report.unwrap_or(nothing) }
    }
}

impl Report {
    /// What there is to say of a behaviour, if it had not ended.
    pub fn behaviour(&self, id: BehaviourId) -> Option<&BehaviourReport> {
        let index = self.behaviours.binary_search_by_key(&id, |one| one.id).ok()?;
        Some(&self.behaviours[index])
    }

    /// Who is before a behaviour in the queue of a cown that it waits for: an element of its
    /// [`waits_for`](BehaviourReport::waits_for).
    ///
    /// Nobody, if it waits for somebody who is not seen; see [`observe`](crate::observe).
    pub fn before(&self, wait: &Wait) -> &[Place] {
        let places = self.queue(wait.named.cown).map_or(&[][..], |queue| &queue.places);
        &places[..wait.behind.min(places.len())]
    }

    fn queue(&self, cown: CownId) -> Option<&CownQueue> {
        let index = self.queues.binary_search_by_key(&cown, |queue| queue.cown).ok()?;
        Some(&self.queues[index])
    }

    /// The behaviours that wait for this one, directly: for a cown that it holds, or for its outcome.
    pub fn waiting_for<'r>(
        &'r self,
        behaviour: &'r BehaviourReport,
    ) -> impl Iterator<Item = &'r BehaviourReport> {
        let cowns = behaviour.holds.iter().map(|named| named.cown).chain(behaviour.result);
        let mut ids: Vec<_> = cowns
            .filter_map(|cown| self.queue(cown))
            .flat_map(|queue| &queue.places)
            .filter(|place| !place.holds)
            .map(|place| place.behaviour)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.behaviour(id))
    }
}

impl Call {
    /// What is told of each call: of those on so many workers, each at its place, and of the others.
    pub(super) fn by_place<T: Clone>(
        calls: &[Call],
        workers: usize,
        tell: impl Fn(&Call) -> T,
    ) -> (Vec<Option<T>>, Vec<T>) {
        let (mut on_workers, mut elsewhere) = (vec![None; workers], Vec::new());
        for call in calls {
            match call.worker {
                Some(worker) => on_workers[worker] = Some(tell(call)),
                None => elsewhere.push(tell(call)),
            }
        }
        (on_workers, elsewhere)
    }

    pub(super) fn running(&self, now: u64) -> Running {
        let elapsed = Duration::from_nanos(now.saturating_sub(self.since));
        Running { behaviour: self.behaviour, elapsed }
    }
}

impl Snapshot {
    /// Works out who is before whom.
    pub(super) fn report(self) -> Report {
        let Snapshot { now, mut behaviours, workers, calls } = self;
        let elapsed = |since: u64| Duration::from_nanos(now.saturating_sub(since));
        let (workers, elsewhere) = Call::by_place(&calls, workers, |call| call.running(now));
        // Who holds all its cowns is before those that lack one.
        behaviours.sort_unstable_by_key(|seen| (Reverse(holds_all(seen.state)), seen.order));
        let mut queues = Queues::new(&behaviours);
        let describe = |seen: &Seen| {
            let (holds, waits_for) = queues.enter(seen);
            BehaviourReport {
                id: seen.tag.id,
                location: seen.tag.location,
                label: seen.tag.label.clone(),
                elsewhere: seen.tag.elsewhere,
                state: seen.state,
                elapsed: elapsed(seen.since),
                holds,
                waits_for,
                result: seen.tag.result,
            }
        };
        let mut behaviours: Vec<_> = behaviours.iter().map(describe).collect();
        behaviours.sort_unstable_by_key(|one| one.id);
        let queue = |(cown, places)| CownQueue { cown, places };
        let queues = queues.places.into_iter().map(queue).collect();
        let in_flight = behaviours.len();
        Report { observed: true, in_flight, workers, elsewhere, behaviours, queues }
    }
}

fn holds_all(state: BehaviourState) -> bool {
    matches!(state, BehaviourState::Ready | BehaviourState::Running)
}

/// The queues, in which the behaviours take their places one after the other.
struct Queues {
    places: BTreeMap<CownId, Vec<Place>>,
    /// Whose outcome a cown is.
    results: BTreeMap<CownId, BehaviourId>,
}

impl Queues {
    fn new(behaviours: &[Seen]) -> Self {
        let mut results = BTreeMap::new();
        for Seen { tag, .. } in behaviours {
            // Where one that is just ending has given up its memory to another, it is the other's.
            let newest = results.entry(tag.result).or_insert(tag.id);
            *newest = tag.id.max(*newest);
        }
        let results = results.into_iter().filter_map(|(cown, id)| Some((cown?, id))).collect();
        Self { places: BTreeMap::new(), results }
    }

    /// What a behaviour holds, and what it waits for, behind those who were here before.
    fn enter(&mut self, Seen { tag, state, .. }: &Seen) -> (Vec<NamedCown>, Vec<Wait>) {
        match state {
            BehaviourState::Ready | BehaviourState::Running => {
                tag.cowns.iter().for_each(|named| {
                    self.places.entry(named.cown).or_default().push(Place {
                        behaviour: tag.id,
                        mode: named.mode,
                        holds: true,
                    });
                });
                (tag.cowns.to_vec(), Vec::new())
            }
            BehaviourState::Waiting => {
                let (mut holds, mut waits_for) = (Vec::new(), Vec::new());
                for named in &tag.cowns {
                    let queue = self.queue_for_one_who_waits(named.cown);
                    let first = match queue.last() {
                        Some(last) => {
                            last.holds && (last.mode, named.mode) == (Mode::Read, Mode::Read)
                        }
                        None => true,
                    };
                    let behind = queue.len();
                    queue.push(Place { behaviour: tag.id, mode: named.mode, holds: first });
                    if first {
                        holds.push(*named);
                    } else {
                        waits_for.push(Wait { named: *named, behind });
                    }
                }
                if waits_for.is_empty() {
                    // One of them is held by somebody who is not seen, and there is no telling which.
                    for named in core::mem::take(&mut holds) {
                        let queue = self.places.entry(named.cown).or_default();
                        let behind = queue.len() - 1;
                        queue[behind].holds = false;
                        waits_for.push(Wait { named, behind });
                    }
                }
                (holds, waits_for)
            }
            BehaviourState::InBatch | BehaviourState::Ending => (Vec::new(), Vec::new()),
        }
    }

    /// The queue of a cown. If the cown is an outcome, its behaviour is the first there, unless another
    /// one holds it: a behaviour that was cancelled may be in other queues still.
    fn queue_for_one_who_waits(&mut self, cown: CownId) -> &mut Vec<Place> {
        let owner = self.results.get(&cown).map(|owner| Place {
            behaviour: *owner,
            mode: Mode::Write,
            holds: true,
        });
        self.places.entry(cown).or_insert_with(|| owner.into_iter().collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.observed {
            return write!(
                f,
                "behaviours in flight: {}; the runtime was not made to be observed, so nothing is known of them",
                self.in_flight
            );
        }
        let (workers, behaviours) = (self.workers.len(), self.behaviours.len());
        write!(f, "workers: {workers}, behaviours that have not ended: {behaviours}")?;
        for (index, running) in self.workers.iter().enumerate() {
            match running {
                Some(Running { behaviour, elapsed }) => {
                    write!(f, "\nworker {index}: inside of {behaviour} for {elapsed:.1?}")?;
                }
                None => write!(f, "\nworker {index}: nothing")?,
            }
        }
        for Running { behaviour, elapsed } in &self.elsewhere {
            write!(f, "\nelsewhere: inside of {behaviour} for {elapsed:.1?}")?;
        }
        for one in &self.behaviours {
            write!(f, "\n{one}")?;
            one.holds.iter().try_for_each(|named| write!(f, "\n    holds {named}"))?;
            for wait in &one.waits_for {
                write!(f, "\n    waits for {}, ", wait.named)?;
                write_those_before(f, self.before(wait))?;
            }
        }
        Ok(())
    }
}

impl BehaviourReport {
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { location: self.location, label: self.label.as_deref() }
    }
}

/// One line, without the cowns.
impl fmt::Display for BehaviourReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, elapsed, .. } = self;
        let elsewhere = if self.elsewhere { " elsewhere" } else { "" };
        write!(f, "{id} {state}{elsewhere} for {elapsed:.1?}, scheduled at {}", self.origin())
    }
}

/// The first ones of them by name.
fn write_those_before(f: &mut fmt::Formatter<'_>, before: &[Place]) -> fmt::Result {
    const NAMED: usize = 4;
    if before.is_empty() {
        return f.write_str("behind nobody who is seen");
    }
    f.write_str("behind ")?;
    for (index, Place { behaviour, holds, .. }) in before.iter().take(NAMED).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let who = if *holds { ", who holds it" } else { "" };
        write!(f, "{comma}{behaviour}{who}")?;
    }
    match before.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => write!(f, ", and {more} more"),
    }
}
