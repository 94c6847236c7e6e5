//! From events to what is to be drawn.
//!
//! Each behaviour becomes a slice on the track of its worker, or of the main thread if it is pinned, and an arrow to it from where it was scheduled:
//! from the slice of the behaviour that did so, or, outside of behaviours, from a point on a track of its own.
//! What it waited for is told in the slice's arguments: for each cown how long others had it before, and then
//! how long it took until a worker was free, or the main thread pumped.

use boc_core::observe::{
    BehaviourId, BehaviourReport, BehaviourState, CownId, Event, EventKind, Events, Observation,
    Report,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    time::Instant,
};

use super::{
    Totals,
    file::{Output, Track},
};

/// A point on the track of threads that are no workers is so long, since an arrow begins at a slice.
const POINT: u64 = 1;

/// The counts are written no more often than that, in nanoseconds.
const COUNTED: u64 = 1_000_000;

/// What was written, and what is to be known of what has not ended.
pub(super) struct Story {
    output: Output,
    begun: Instant,
    pools: Vec<Pool>,
    tracks: Track,
    arrows: u64,
    totals: Totals,
}

/// What is known of one pool.
struct Pool {
    /// That of threads that are no workers; those of the workers come behind it.
    outside: Track,
    /// That of the main thread, for what it runs.
    pumped: Track,
    /// What that is called, before it is written.
    pumped_name: Option<String>,
    counter: String,
    counts: Counts,
    counted: Option<u64>,
    known: HashMap<BehaviourId, Known>,
    /// When each cown was released last, of those for which somebody may have waited.
    released: HashMap<CownId, u64>,
}

/// How many behaviours are in which state.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    waiting: usize,
    ready: usize,
    running: usize,
}

/// A behaviour that has not ended. Times are in nanoseconds, from the beginning.
struct Known {
    label: Box<str>,
    cowns: Box<[CownId]>,
    result: Option<CownId>,
    state: State,
    /// When and on which track; none if that was before.
    scheduled: Option<(Track, u64)>,
    /// When it had all its cowns.
    ready: u64,
    waited_for: BTreeMap<String, f64>,
    /// Whether the main thread runs it, as far as is known.
    pinned: bool,
}

#[derive(Clone, Copy)]
enum State {
    Waiting,
    Ready,
    Running(Track, u64),
}

/// What is told of a slice. Times are in microseconds.
#[derive(Serialize)]
struct About<'a> {
    behaviour: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    code: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cowns: Vec<String>,
    #[serde(rename = "waited for cowns (us)", skip_serializing_if = "BTreeMap::is_empty")]
    waited_for: &'a BTreeMap<String, f64>,
    #[serde(rename = "waited for a worker (us)", skip_serializing_if = "Option::is_none")]
    waited_for_worker: Option<f64>,
    #[serde(rename = "waited for the main thread (us)", skip_serializing_if = "Option::is_none")]
    waited_for_pump: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
}

/// As `repr()` shows a cown in Python.
fn shown(cown: CownId) -> String {
    format!("<boc.Cown at {:#x}>", cown.address())
}

/// The name of a function, and where it is.
fn parts(label: &str) -> (&str, &str) {
    match label.split_once(" (") {
        Some((name, code)) => (name, code.strip_suffix(')').unwrap_or(code)),
        None => (label, ""),
    }
}

impl Known {
    fn about(&self, id: BehaviourId, unfinished: bool) -> About<'_> {
        let waited = match self.state {
            State::Running(_, started) if self.scheduled.is_some() => {
                Some(started.saturating_sub(self.ready) as f64 / 1e3)
            }
            _ => None,
        };
        About {
            behaviour: id.to_string(),
            code: parts(&self.label).1,
            cowns: self.cowns.iter().copied().map(shown).collect(),
            waited_for: &self.waited_for,
            waited_for_worker: waited.filter(|_| !self.pinned),
            waited_for_pump: waited.filter(|_| self.pinned),
            unfinished,
        }
    }
}

impl Counts {
    fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Waiting => &mut self.waiting,
            State::Ready => &mut self.ready,
            State::Running(..) => &mut self.running,
        }
    }
}

impl Story {
    pub(super) fn new(output: Output, begun: Instant) -> Self {
        Self { output, begun, pools: Vec::new(), tracks: 0, arrows: 0, totals: Totals::default() }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// From now on there is one more pool, with these behaviours already.
    pub(super) fn add_pool(&mut self, report: &Report) -> io::Result<()> {
        let workers = report.workers.len();
        let number = self.pools.len() + 1;
        let of_pool = if number == 1 { String::new() } else { format!(" (pool {number})") };
        let outside = self.tracks;
        let pumped = outside + workers + 1;
        self.tracks = pumped + 1;
        self.output.track(outside, &format!("outside of behaviours{of_pool}"))?;
        for index in 0..workers {
            self.output.track(outside + 1 + index, &format!("worker {index}{of_pool}"))?;
        }
        let mut pool = Pool {
            outside,
            pumped,
            pumped_name: Some(format!("main thread (pump){of_pool}")),
            counter: format!("behaviours{of_pool}"),
            counts: Counts::default(),
            counted: None,
            known: HashMap::new(),
            released: HashMap::new(),
        };
        // What is told of these came before the beginning.
        for one in &report.behaviours {
            let inside = |running: &Option<_>| {
                running
                    .is_some_and(|running: boc_core::observe::Running| running.behaviour == one.id)
            };
            let state = match one.state {
                BehaviourState::Waiting => State::Waiting,
                BehaviourState::Ready => State::Ready,
                BehaviourState::Running => match report.workers.iter().position(inside) {
                    Some(worker) => State::Running(outside + 1 + worker, 0),
                    None if one.elsewhere => {
                        State::Running(pool.pumped_track(&mut self.output)?, 0)
                    }
                    None => continue,
                },
                _ => continue,
            };
            pool.enter(one.id, Known::earlier(one, state));
        }
        self.pools.push(pool);
        Ok(())
    }

    /// Writes what has happened in a pool since this was called last.
    pub(super) fn go_on(&mut self, index: usize, observation: &Observation) -> io::Result<()> {
        let Events { events, lost, origin, .. } = observation.take_events();
        let Some(origin) = origin else { return Ok(()) };
        if lost > 0 {
            self.totals.lost += lost;
            // The end of some may be among what was lost.
            let alive: HashSet<_> =
                observation.report().behaviours.iter().map(|one| one.id).collect();
            self.pools[index].forget_but(&alive);
        }
        let begun = self.begun;
        for event in events {
            let at = origin + event.time;
            let time = at.saturating_duration_since(begun).as_nanos() as u64;
            self.tell(index, &event, time)?;
        }
        self.pools[index].forget_old_releases();
        Ok(())
    }

    fn tell(&mut self, index: usize, event: &Event, time: u64) -> io::Result<()> {
        let pool = &mut self.pools[index];
        let id = event.behaviour();
        let track = match event.worker {
            Some(worker) => pool.outside + 1 + worker,
            None if event.elsewhere => pool.pumped_track(&mut self.output)?,
            None => pool.outside,
        };
        match event.kind {
            EventKind::Scheduled => pool.enter(id, Known::scheduled(event, track, time)),
            EventKind::Ready => pool.ready(id, time),
            EventKind::Started => pool.started(id, track, time, event.elsewhere),
            EventKind::Ended | EventKind::Cancelled => {
                if let Some(known) = pool.leave(id, time) {
                    self.over(index, id, &known, (track, time), event.kind)?;
                }
            }
            _ => {}
        }
        let pool = &mut self.pools[index];
        if pool.counted.is_none_or(|counted| time >= counted + COUNTED) {
            pool.counted = Some(time);
            self.output.counter(&pool.counter, time, &pool.counts)?;
        }
        Ok(())
    }

    /// Writes what became of a behaviour.
    fn over(
        &mut self,
        index: usize,
        id: BehaviourId,
        known: &Known,
        (track, time): (Track, u64),
        kind: EventKind,
    ) -> io::Result<()> {
        match (known.state, kind) {
            (State::Running(track, started), EventKind::Ended) => {
                self.slice(index, id, known, (track, started), time, false)
            }
            // The start was lost.
            (_, EventKind::Ended) => Ok(()),
            _ => {
                let name = format!("{} (cancelled)", parts(&known.label).0);
                self.output.instant("behaviour", &name, track, time, &known.about(id, false))
            }
        }
    }

    fn slice(
        &mut self,
        index: usize,
        id: BehaviourId,
        known: &Known,
        (track, started): (Track, u64),
        ended: u64,
        unfinished: bool,
    ) -> io::Result<()> {
        self.totals.behaviours += 1;
        let about = known.about(id, unfinished);
        let (name, _) = parts(&known.label);
        let mark = if unfinished { &*format!("{name} (unfinished)") } else { name };
        self.output.slice("behaviour", mark, track, started, ended, &about)?;
        let Some((scheduler, scheduled)) = known.scheduled else { return Ok(()) };
        if scheduler == self.pools[index].outside {
            let until = scheduled + POINT;
            let which = BTreeMap::from([("behaviour", &about.behaviour)]);
            self.output.slice("schedule", name, scheduler, scheduled, until, &which)?;
        }
        self.arrows += 1;
        self.output.arrow(self.arrows, (scheduler, scheduled), (track, started))
    }

    /// Writes what has not ended, and the rest.
    pub(super) fn end(mut self, about: &BTreeMap<String, String>) -> io::Result<()> {
        let now = self.begun.elapsed().as_nanos() as u64;
        for index in 0..self.pools.len() {
            let mut left: Vec<_> = self.pools[index].known.drain().collect();
            left.sort_unstable_by_key(|(id, _)| *id);
            for (id, known) in left {
                if let State::Running(track, started) = known.state {
                    self.slice(index, id, &known, (track, started), now, true)?;
                } else {
                    let (track, time) = known.scheduled.unwrap_or((self.pools[index].outside, 0));
                    let name = format!("{} (not started)", parts(&known.label).0);
                    self.output.instant("behaviour", &name, track, time, &known.about(id, true))?;
                }
            }
        }
        self.output.end(about)
    }
}

impl Known {
    fn scheduled(event: &Event, track: Track, time: u64) -> Self {
        let label = event.label().map_or_else(|| event.location().to_string(), str::to_owned);
        Self {
            label: label.into(),
            cowns: event.cowns().iter().map(|named| named.cown).collect(),
            result: event.result(),
            state: State::Waiting,
            scheduled: Some((track, time)),
            ready: time,
            waited_for: BTreeMap::new(),
            pinned: false,
        }
    }

    /// One that was scheduled before the beginning.
    fn earlier(one: &BehaviourReport, state: State) -> Self {
        let label = one.label.as_deref().map_or_else(|| one.location.to_string(), str::to_owned);
        let waits = one.waits_for.iter().map(|wait| wait.named.cown);
        Self {
            label: label.into(),
            cowns: one.holds.iter().map(|named| named.cown).chain(waits).collect(),
            result: one.result,
            state,
            scheduled: None,
            ready: 0,
            waited_for: BTreeMap::new(),
            pinned: one.elsewhere,
        }
    }
}

impl Pool {
    /// The track of the main thread, which is not there before it is needed.
    fn pumped_track(&mut self, output: &mut Output) -> io::Result<Track> {
        if let Some(name) = self.pumped_name.take() {
            output.track(self.pumped, &name)?;
        }
        Ok(self.pumped)
    }

    fn enter(&mut self, id: BehaviourId, known: Known) {
        *self.counts.of(known.state) += 1;
        if let Some(before) = self.known.insert(id, known) {
            *self.counts.of(before.state) -= 1;
        }
    }

    fn advance(&mut self, id: BehaviourId, state: State) {
        if let Some(known) = self.known.get_mut(&id) {
            *self.counts.of(known.state) -= 1;
            *self.counts.of(state) += 1;
            known.state = state;
        }
    }

    fn started(&mut self, id: BehaviourId, track: Track, time: u64, pinned: bool) {
        self.advance(id, State::Running(track, time));
        if let Some(known) = self.known.get_mut(&id) {
            known.pinned = pinned;
        }
    }

    /// It has all its cowns, the last ones since they were released.
    fn ready(&mut self, id: BehaviourId, time: u64) {
        self.advance(id, State::Ready);
        let Some(known) = self.known.get_mut(&id) else { return };
        known.ready = time;
        let Some((_, scheduled)) = known.scheduled else { return };
        for cown in &known.cowns {
            let released = self.released.get(cown).copied().unwrap_or(0);
            if let Some(waited) = released.checked_sub(scheduled).filter(|waited| *waited > 0) {
                known.waited_for.insert(shown(*cown), waited as f64 / 1e3);
            }
        }
    }

    /// It has ended, and released what it had.
    fn leave(&mut self, id: BehaviourId, time: u64) -> Option<Known> {
        let known = self.known.remove(&id)?;
        *self.counts.of(known.state) -= 1;
        for cown in known.cowns.iter().copied().chain(known.result) {
            self.released.insert(cown, time);
        }
        Some(known)
    }

    fn forget_but(&mut self, alive: &HashSet<BehaviourId>) {
        let gone: Vec<_> = self.known.keys().filter(|id| !alive.contains(id)).copied().collect();
        for id in gone {
            if let Some(known) = self.known.remove(&id) {
                *self.counts.of(known.state) -= 1;
            }
        }
    }

    /// Only who was scheduled before a release has waited for it.
    fn forget_old_releases(&mut self) {
        const FEW: usize = 1 << 14;
        if self.released.len() < FEW {
            return;
        }
        let scheduled = |known: &Known| known.scheduled.map(|(_, time)| time);
        match self.known.values().filter_map(scheduled).min() {
            Some(first) => self.released.retain(|_, time| *time > first),
            None => self.released.clear(),
        }
    }
}
