//! Random programs on real threads, held against what must be true of every run of them.
//!
//! Each round draws a program from a seed: some cowns, some executors that share them, some threads
//! that schedule, behaviours that schedule others, that panic, that are scheduled over results,
//! runtimes that are ended in the middle. Then it checks that no cown was held twice at a time,
//! that behaviours ran in scheduling order on each cown wherever one was scheduled before another,
//! and that nothing was lost, done twice or left behind.
//!
//! A failure names its seed. `BOC_SEED=<seed>` repeats that program over and over, since the
//! interleaving is not drawn from the seed; `BOC_STRESS_SECONDS` says for how long (default: 3).
//!
//! What the checks share between threads is counted with `Relaxed`, so that they bring no order
//! into the run which a race detector would take for the engine's.
#![cfg(not(loom))]

use std::{
    collections::HashMap,
    env, panic, process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use boc_core::{
    Builder, Cown, ExecutorRef, Failure, Handle, Pump, Runtime,
    raw::{self, Access},
    set_unobserved_panic_hook,
};
use fastrand::Rng;

/// Longer than any round can take that is not stuck.
const STUCK: Duration = Duration::from_secs(120);

/// How many behaviours and values a round has at the most.
const MOST: usize = 20_000;

/// How deep behaviours schedule behaviours that schedule behaviours.
const DEEPEST: usize = 3;

#[test]
fn random_programs_hold_what_the_model_promises() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seconds = number("BOC_STRESS_SECONDS").unwrap_or(3);
    let fixed = number("BOC_SEED");
    let first = fixed.unwrap_or_else(|| fastrand::u64(..));
    set_unobserved_panic_hook(|_| ());
    let current = Arc::new(Mutex::new((first, Instant::now())));
    watch(Arc::clone(&current));

    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        let seed = if fixed.is_some() { first } else { first.wrapping_add(rounds) };
        *current.lock().unwrap() = (seed, Instant::now());
        if let Err(failure) = panic::catch_unwind(|| round(seed)) {
            eprintln!("to repeat this program: BOC_SEED={seed}");
            panic::resume_unwind(failure);
        }
        rounds += 1;
    }
    println!("{rounds} programs, from seed {first}");
}

/// Ends the process if a round gets stuck.
fn watch(current: Arc<Mutex<(u64, Instant)>>) {
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            let (seed, since) = *current.lock().unwrap();
            if since.elapsed() > STUCK {
                eprintln!("stuck; to repeat this program: BOC_SEED={seed}");
                process::abort();
            }
        }
    });
}

/// What is counted of a behaviour, or of a value.
#[derive(Default)]
struct Record {
    ran: AtomicUsize,
    dropped: AtomicUsize,
}

/// What the checks of one round share.
struct World {
    /// Whether a behaviour holds the cown.
    held: Vec<AtomicBool>,
    records: Vec<Record>,
    next_record: AtomicUsize,
    next_strand: AtomicUsize,
    /// Behaviours that each executor was given and took.
    scheduled: Vec<AtomicUsize>,
}

/// Dropped with the closure or the value that it is part of.
struct Ticket {
    world: Arc<World>,
    record: usize,
}

impl World {
    fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let record = self.next_record.fetch_add(1, Relaxed);
        (record < MOST).then(|| Ticket { world: Arc::clone(self), record })
    }

    fn strand(&self) -> usize {
        self.next_strand.fetch_add(1, Relaxed)
    }
}

impl Ticket {
    fn ran(&self) {
        let before = self.world.records[self.record].ran.fetch_add(1, Relaxed);
        assert_eq!(before, 0, "a behaviour ran twice");
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.world.records[self.record].dropped.fetch_add(1, Relaxed);
    }
}

/// Where a behaviour was scheduled: as the how-manieth of a strand, which is a thread or the body of
/// another behaviour.
#[derive(Clone)]
struct Place {
    strand: usize,
    number: usize,
    parent: Option<Arc<Place>>,
}

/// The value of a cown.
struct Value {
    index: usize,
    log: Vec<Arc<Place>>,
    _ticket: Ticket,
}

/// Marks cowns as held, until it is dropped.
struct Hold<'a>(&'a World, Vec<usize>);

impl<'a> Hold<'a> {
    fn new(world: &'a World, values: &mut [&mut Value], place: &Arc<Place>) -> Self {
        for value in values.iter_mut() {
            let before = world.held[value.index].swap(true, Relaxed);
            assert!(!before, "two behaviours hold one cown");
            value.log.push(Arc::clone(place));
        }
        Self(world, values.iter().map(|value| value.index).collect())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        for index in &self.1 {
            self.0.held[*index].store(false, Relaxed);
        }
    }
}

/// What behaviours need to schedule others.
struct Plan {
    world: Arc<World>,
    cowns: Vec<Cown<Value>>,
    executors: Vec<ExecutorRef>,
}

/// The value of a behaviour: its record.
type Done = Handle<usize>;

impl Plan {
    /// Up to six cowns, none twice, in any order.
    fn request(&self, rng: &mut Rng) -> Vec<Cown<Value>> {
        let count = rng.usize(0..=6.min(self.cowns.len()));
        let mut cowns = rng.choose_multiple(self.cowns.iter().cloned(), count);
        rng.shuffle(&mut cowns);
        cowns
    }

    /// Schedules one random behaviour. `None` if the round has enough of them.
    fn schedule(
        self: &Arc<Self>,
        rng: &mut Rng,
        place: Place,
        depth: usize,
        over: Option<&Done>,
    ) -> Option<(Done, usize)> {
        let ticket = self.world.ticket()?;
        let record = ticket.record;
        let cowns = self.request(rng);
        let which = rng.usize(..self.executors.len());
        let executor = &self.executors[which];
        let mut body = self.body(Rng::with_seed(rng.u64(..)), ticket, Arc::new(place), depth);
        self.world.scheduled[which].fetch_add(1, Relaxed);
        let handle = match over {
            Some(done) => executor.when((&cowns, done), move |(mut values, done)| {
                if rand_take(done.value().is_some()) {
                    // Whoever comes later finds it taken.
                    let _ = done.take();
                }
                body(&mut values)
            }),
            None => executor.when(&cowns, move |mut values| body(&mut values)),
        };
        Some((handle, record))
    }

    /// What a behaviour does.
    fn body(
        self: &Arc<Self>,
        mut rng: Rng,
        ticket: Ticket,
        place: Arc<Place>,
        depth: usize,
    ) -> impl FnMut(&mut Vec<&mut Value>) -> usize + Send + 'static {
        let plan = Arc::clone(self);
        move |values| {
            ticket.ran();
            let _hold = Hold::new(&plan.world, values, &place);
            let strand = plan.world.strand();
            let mut last = None;
            let children = if depth < DEEPEST { rng.usize(0..3) } else { 0 };
            for number in 0..children {
                let place = Place { strand, number, parent: Some(Arc::clone(&place)) };
                let over = last.as_ref().filter(|_| rng.bool());
                last = plan.schedule(&mut rng, place, depth + 1, over).map(|(handle, _)| handle);
            }
            (0..rng.usize(0..200)).for_each(|_| std::hint::spin_loop());
            if rng.u8(..) < 10 {
                // Unlike `panic!`, it says nothing on the standard error.
                panic::resume_unwind(Box::new("drawn"));
            }
            ticket.record
        }
    }

    /// What a thread does that schedules.
    fn run_thread(self: &Arc<Self>, mut rng: Rng, count: usize) {
        let strand = self.world.strand();
        let mut kept = Vec::new();
        for number in 0..count {
            let place = Place { strand, number, parent: None };
            match rng.usize(0..20) {
                0 => self.claim(&mut rng, place),
                1 => self.schedule_twice_the_same(&mut rng),
                _ => {
                    let over = kept.last().map(|(handle, _)| handle).filter(|_| rng.bool());
                    let Some(done) = self.schedule(&mut rng, place, 0, over) else { break };
                    match rng.usize(0..4) {
                        0 => drop(done),
                        1 => match done.0.wait_timeout(Duration::from_micros(rng.u64(0..200))) {
                            Ok(outcome) => self.check(outcome, done.1),
                            Err(handle) => kept.push((handle, done.1)),
                        },
                        _ => kept.push(done),
                    }
                }
            }
        }
        for (handle, record) in kept {
            let outcome = handle.wait_timeout(STUCK).expect("a behaviour that never ends");
            self.check(outcome, record);
        }
    }

    /// Holds what was said of a behaviour's end against what was counted.
    fn check(&self, outcome: Result<usize, Failure>, record: usize) {
        let ran = self.world.records[record].ran.load(Relaxed);
        match outcome {
            Ok(value) => assert_eq!((value, ran), (record, 1)),
            Err(Failure::Cancelled) => assert_eq!(ran, 0, "cancelled, but it ran"),
            Err(Failure::Panicked(_) | Failure::Taken) => assert_eq!(ran, 1),
            Err(other) => panic!("nobody did that: {other}"),
        }
    }

    /// Holds some cowns outside of a behaviour, or gives up.
    fn claim(&self, rng: &mut Rng, place: Place) {
        let cowns = self.request(rng);
        let pointers: Vec<_> = cowns.iter().map(Access::from).collect();
        // SAFETY: `cowns` keeps them alive.
        let claim = unsafe { raw::claim(&pointers) }.expect("no cown is there twice");
        if claim.wait(Some(Instant::now() + Duration::from_micros(rng.u64(0..200)))) {
            // SAFETY: the claim holds the cowns, of which none is there twice.
            let mut values: Vec<&mut Value> =
                cowns.iter().map(|cown| unsafe { &mut *raw::value_ptr(cown) }).collect();
            drop(Hold::new(&self.world, &mut values, &Arc::new(place)));
        }
        drop(claim);
    }

    fn schedule_twice_the_same(self: &Arc<Self>, rng: &mut Rng) {
        let Some(ticket) = self.world.ticket() else { return };
        let record = ticket.record;
        let mut cowns = self.request(rng);
        cowns.push(self.cowns[rng.usize(..self.cowns.len())].clone());
        cowns.push(cowns[rng.usize(..cowns.len())].clone());
        rng.shuffle(&mut cowns);
        let executor = &self.executors[rng.usize(..self.executors.len())];
        if let Ok(handle) = executor.try_when(&cowns, move |_| ticket.ran()) {
            // An executor that takes nothing any more does not look at the request.
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
        assert_eq!(self.world.records[record].dropped.load(Relaxed), 1);
    }
}

/// Half of the behaviours over a result take it.
fn rand_take(there: bool) -> bool {
    there && fastrand::bool()
}

/// A runtime of the round, and how it ends.
struct Played {
    runtime: Runtime,
    /// How many threads of the test are its workers.
    foreign: usize,
    ended_early: AtomicBool,
}

/// Ends what the threads of a round wait for, also when a check has failed.
struct Release<'a>(&'a [Played], &'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.1.store(true, Relaxed);
        for played in self.0 {
            if thread::panicking() { played.runtime.stop() } else { played.runtime.shutdown() }
        }
    }
}

fn round(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let runtimes: Vec<Played> = (0..rng.usize(1..=3))
        .map(|_| {
            let workers = rng.usize(1..=3);
            let foreign = rng.u8(..) < 64;
            let builder = Builder::new().workers(workers);
            let builder = if foreign { builder.foreign_threads() } else { builder };
            let runtime = builder.build().expect("threads");
            let foreign = if foreign { workers } else { 0 };
            Played { runtime, foreign, ended_early: AtomicBool::new(false) }
        })
        .collect();
    let pump = Pump::new();
    let pumped = rng.bool();
    let mut executors: Vec<_> =
        runtimes.iter().map(|played| played.runtime.executor().clone()).collect();
    if pumped {
        executors.push(pump.executor().clone());
    }
    let count = rng.usize(1..10);
    let world = Arc::new(World {
        held: (0..count).map(|_| AtomicBool::new(false)).collect(),
        records: (0..MOST).map(|_| Record::default()).collect(),
        next_record: AtomicUsize::new(0),
        next_strand: AtomicUsize::new(0),
        scheduled: executors.iter().map(|_| AtomicUsize::new(0)).collect(),
    });
    let value = |index| {
        let ticket = world.ticket().expect("the first records are free");
        Cown::new(Value { index, log: Vec::new(), _ticket: ticket })
    };
    let cowns: Vec<_> = (0..count).map(value).collect();
    let plan = Arc::new(Plan { world: Arc::clone(&world), cowns: cowns.clone(), executors });

    let stop_pumping = AtomicBool::new(false);
    thread::scope(|scope| {
        let _release = Release(&runtimes, &stop_pumping);
        for played in &runtimes {
            for _ in 0..played.foreign {
                scope.spawn(|| played.runtime.run_worker(&mut ()).expect("there is a place"));
            }
        }
        // A runtime without workers ends at once when it is told to; that is not what is drawn here.
        let started = |played: &Played| {
            let stats = || played.runtime.stats();
            while played.foreign > 0 && stats().iter().any(|worker| worker.parked + worker.run == 0)
            {
                thread::yield_now();
            }
        };
        runtimes.iter().for_each(started);
        let pumping = scope.spawn(|| {
            while !stop_pumping.load(Relaxed) {
                pump.run_until_idle();
                thread::yield_now();
            }
        });
        let threads: Vec<_> = (0..rng.usize(1..=3))
            .map(|_| {
                let (plan, rng) = (Arc::clone(&plan), Rng::with_seed(rng.u64(..)));
                let count = fastrand::Rng::with_seed(seed).usize(1..60);
                scope.spawn(move || plan.run_thread(rng, count))
            })
            .collect();
        for played in &runtimes {
            if rng.u8(..) < 64 {
                let (delay, now) = (Duration::from_micros(rng.u64(0..2_000)), rng.bool());
                played.ended_early.store(true, Relaxed);
                scope.spawn(move || {
                    thread::sleep(delay);
                    if now { played.runtime.shutdown_now() } else { played.runtime.shutdown() }
                });
            }
        }
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that schedules"));
        stop_pumping.store(true, Relaxed);
        pumping.join().expect("the pump");
        // What one executor still has may schedule on another one, hence until all are quiet. This
        // thread pumps, so nobody else schedules when the pump and all runtimes are.
        let give_up = Instant::now() + STUCK;
        let scheduled = || -> usize { world.scheduled.iter().map(|n| n.load(Relaxed)).sum() };
        let quiet = || {
            let before = scheduled();
            // If one hands on to another that was found quiet, it has scheduled something.
            runtimes.iter().all(|played| played.runtime.in_flight() == 0) && scheduled() == before
        };
        while pump.run_one() || !quiet() || pump.run_one() {
            assert!(Instant::now() < give_up, "a runtime that never rests");
            for played in &runtimes {
                let _ = played.runtime.quiesce(Some(Duration::from_micros(rng.u64(0..200))));
            }
        }
        check_counts(&runtimes, &world);
    });
    assert!(runtimes.iter().all(|played| played.runtime.in_flight() == 0));
    drop(runtimes);
    // Behaviours of the pump may have scheduled more for the pump.
    while pump.run_one() {}

    let logs = pump
        .executor()
        .when(&cowns, |values| values.into_iter().map(|value| value.log.split_off(0)).collect());
    while pump.run_one() {}
    let logs: Vec<Vec<Arc<Place>>> = logs.wait_timeout(STUCK).expect("idle cowns").unwrap();
    logs.iter().for_each(|log| check_order(log));
    drop((plan, cowns, pump));
    let used = world.next_record.load(Relaxed).min(MOST);
    for (number, record) in world.records[..used].iter().enumerate() {
        assert_eq!(record.dropped.load(Relaxed), 1, "record {number} is dropped once");
    }
    assert!(world.held.iter().all(|held| !held.load(Relaxed)));
    assert_eq!(Arc::strong_count(&world), 1, "everything that referred to the round is gone");
}

/// What the workers counted is what they were given.
fn check_counts(runtimes: &[Played], world: &World) {
    for (played, scheduled) in runtimes.iter().zip(&world.scheduled) {
        let run: u64 = played.runtime.stats().iter().map(|worker| worker.run).sum();
        let scheduled = scheduled.load(Relaxed) as u64;
        if played.ended_early.load(Relaxed) {
            assert!(run <= scheduled, "{run} of {scheduled}");
        } else {
            assert_eq!(run, scheduled);
        }
    }
}

/// On one cown: whoever was scheduled before another one, by the same strand or by one that led to
/// it, ran before it.
fn check_order(log: &[Arc<Place>]) {
    // The lowest number of each strand among what ran later.
    let mut later: HashMap<usize, usize> = HashMap::new();
    for place in log.iter().rev() {
        let mut level = Some(place);
        while let Some(before) = level {
            if let Some(number) = later.get(&before.strand) {
                assert!(*number > before.number, "a behaviour ran before one scheduled earlier");
            }
            level = before.parent.as_ref();
        }
        let lowest = later.entry(place.strand).or_insert(usize::MAX);
        *lowest = place.number.min(*lowest);
    }
}
