//! What the workers do, and who waits for whom, as the Python half gets it.

use boc_core::{
    Progress, Runtime,
    observe::{self, BehaviourReport, BehaviourState, Observation, Running},
};
use pyo3::prelude::*;
use std::collections::HashMap;

/// So many of those that wait for one behaviour are told by name.
const NAMED: usize = 5;

/// What a pool does at one moment.
#[derive(IntoPyObject)]
pub(crate) struct Activity {
    /// Behaviours that were scheduled and have not ended.
    in_flight: usize,
    /// What grows when a behaviour starts or ends.
    steps: u64,
    /// What workers are inside of, and the main thread.
    running: Vec<Call>,
}

/// A thread that is inside of a behaviour.
#[derive(IntoPyObject)]
struct Call {
    /// None if it is the main thread, which pumps.
    worker: Option<usize>,
    /// Which of the thread's calls this is.
    number: u64,
    seconds: f64,
}

impl Activity {
    pub(crate) fn of(runtime: &Runtime, observation: &Observation) -> Self {
        let Progress { ended, scheduled, .. } = runtime.progress();
        let activity = observation.activity();
        let call = |worker: Option<usize>, (running, number): (Running, u64)| Call {
            worker,
            number,
            seconds: running.elapsed.as_secs_f64(),
        };
        let workers = activity.workers.iter().enumerate();
        let workers = workers.filter_map(|(worker, one)| Some(call(Some(worker), (*one)?)));
        let pumped = activity.elsewhere.iter().map(|one| call(None, *one));
        Self {
            in_flight: scheduled.wrapping_sub(ended),
            steps: activity.calls.wrapping_add(ended as u64),
            running: workers.chain(pumped).collect(),
        }
    }
}

/// Who waits for whom.
#[derive(IntoPyObject)]
pub(crate) struct Report {
    /// Whether behaviours that are scheduled now are observed.
    observed: bool,
    /// Behaviours that were scheduled and have not ended, whether they are observed or not.
    in_flight: usize,
    workers: usize,
    /// How many observed ones there are that have not ended.
    known: usize,
    running: Vec<Behaviour>,
    /// Those that hold their cowns and wait for a worker, the first first.
    ready: Vec<Behaviour>,
    ready_count: usize,
    /// Those that hold their cowns and wait for the main thread to pump, likewise.
    pinned: Vec<Behaviour>,
    pinned_count: usize,
    /// Those that wait for cowns, the first first.
    waiting: Vec<Behaviour>,
    waiting_count: usize,
}

/// A behaviour that has not ended.
#[derive(IntoPyObject)]
struct Behaviour {
    name: Name,
    /// How long it has been running, or waiting.
    seconds: f64,
    /// On which it runs; none while it does not, and if that is the main thread.
    worker: Option<usize>,
    holds: Vec<Cown>,
    /// The cowns that it waits for, and who is before it there.
    waits_for: Vec<(Cown, Vec<Name>, usize)>,
    /// Those that wait for it, and how long by now.
    waiting: Vec<(Name, f64)>,
    waiting_count: usize,
}

/// What a behaviour is called.
#[derive(IntoPyObject)]
struct Name {
    number: u64,
    label: String,
}

/// A cown, by its address, and by its behaviour if it is the result of one.
#[derive(IntoPyObject)]
struct Cown {
    address: usize,
    result_of: Option<Name>,
}

/// What there is to say at this moment; of those that are ready and those that wait no more than `limit` each.
pub(crate) fn of(runtime: &Runtime, observation: &Observation, limit: usize) -> Report {
    let observed = runtime.report();
    // Also while nothing more is observed.
    let report = if observed.observed { observed.clone() } else { observation.report() };
    let results = report.behaviours.iter().filter_map(|one| Some((one.result?, one))).collect();
    let teller = Teller { report: &report, results };
    let in_state = |state| {
        let mut all: Vec<_> = report.behaviours.iter().filter(|one| one.state == state).collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.elapsed), one.id));
        all
    };
    let running = in_state(BehaviourState::Running);
    let waiting = in_state(BehaviourState::Waiting);
    let (pinned, ready): (Vec<_>, Vec<_>) =
        in_state(BehaviourState::Ready).into_iter().partition(|one| one.elsewhere);
    let tell = |some: &[&BehaviourReport]| some.iter().map(|one| teller.tell(one)).collect();
    Report {
        observed: observed.observed,
        in_flight: observed.in_flight,
        workers: runtime.workers(),
        known: report.behaviours.len(),
        running: tell(&running),
        ready_count: ready.len(),
        ready: tell(&ready[..limit.min(ready.len())]),
        pinned_count: pinned.len(),
        pinned: tell(&pinned[..limit.min(pinned.len())]),
        waiting_count: waiting.len(),
        waiting: tell(&waiting[..limit.min(waiting.len())]),
    }
}

struct Teller<'r> {
    report: &'r observe::Report,
    results: HashMap<observe::CownId, &'r BehaviourReport>,
}

impl Teller<'_> {
    fn tell(&self, one: &BehaviourReport) -> Behaviour {
        let inside =
            |running: &Option<Running>| running.is_some_and(|running| running.behaviour == one.id);
        let wait = |wait: &observe::Wait| {
            let before = self.report.before(wait);
            // The last ones are those that it comes right behind; the first one holds the cown.
            let named = before.iter().take(NAMED);
            let names = named.filter_map(|place| self.report.behaviour(place.behaviour)).map(name);
            (self.cown(wait.named.cown), names.collect(), before.len())
        };
        let mut waiting = Vec::new();
        let mut waiting_count = 0;
        for other in self.report.waiting_for(one).filter(|other| other.id != one.id) {
            waiting_count += 1;
            if waiting.len() < NAMED {
                waiting.push((name(other), other.elapsed.as_secs_f64()));
            }
        }
        Behaviour {
            name: name(one),
            seconds: one.elapsed.as_secs_f64(),
            worker: self.report.workers.iter().position(inside),
            holds: one.holds.iter().map(|named| self.cown(named.cown)).collect(),
            waits_for: one.waits_for.iter().map(wait).collect(),
            waiting,
            waiting_count,
        }
    }

    fn cown(&self, cown: observe::CownId) -> Cown {
        let result_of = self.results.get(&cown).map(|one| name(one));
        Cown { address: cown.address(), result_of }
    }
}

fn name(one: &BehaviourReport) -> Name {
    let label = one.label.as_deref().map_or_else(|| one.location.to_string(), str::to_owned);
    Name { number: one.id.number(), label }
}
