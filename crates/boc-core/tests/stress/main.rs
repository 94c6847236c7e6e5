//! Random programs on real threads, held against what must be true of every run of them.
//!
//! Each round draws a program from a seed: some cowns, some executors that share them, some threads
//! that schedule, behaviours that write some cowns and read others, that schedule others, that
//! panic, that are scheduled over results, in batches, that are cancelled; cowns that end in the
//! middle, and runtimes that do. Then it checks
//!
//! - that no cown was written while somebody else held it;
//! - that behaviours took each cown in scheduling order wherever one was scheduled before another,
//!   unless both only read it; that a batch took it as one; and that there is one order for all cowns;
//! - that what was cancelled never ran, and all else did;
//! - that nothing was lost, done twice or left behind.
//!
//! A failure names its seed. `BOC_STRESS_SEED=<seed>` repeats that program over and over, since the
//! interleaving is not drawn from the seed; `BOC_STRESS_SECONDS` says for how long (default: 3).
//!
//! What the checks share between threads is counted with `Relaxed`, so that they bring no order
//! into the run which a race detector would take for the engine's.
#![cfg(not(loom))]

mod order;
mod plan;
#[path = "../scribble/mod.rs"]
mod scribble;
mod world;

use std::{
    env,
    io::{self, Write},
    panic, process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use boc_core::{
    Builder, Pump, Runtime,
    observe::{BehaviourState::Running, Mode, Place},
    set_unobserved_panic_hook,
};
use fastrand::Rng;

use plan::{Known, Plan, Strand};
use scribble::Scribble;
use world::World;

#[global_allocator]
static ALLOCATOR: Scribble = Scribble;

/// Longer than any round can take that is not stuck.
const STUCK: Duration = Duration::from_secs(120);

/// Whether a check has failed, also one inside of a behaviour, which keeps the panic for itself.
static FAILED: AtomicBool = AtomicBool::new(false);

#[test]
fn random_programs_hold_what_the_model_promises() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seconds = number("BOC_STRESS_SECONDS").unwrap_or(3);
    let fixed = number("BOC_STRESS_SEED");
    let first = fixed.unwrap_or_else(|| fastrand::u64(..));
    set_unobserved_panic_hook(|_| ());
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        FAILED.store(true, Relaxed);
        usual(info);
    }));
    let current = Arc::new(Mutex::new((first, Instant::now())));
    watch(Arc::clone(&current));

    let start = Instant::now();
    let mut rounds = 0;
    let mut seen = Seen::default();
    while start.elapsed() < Duration::from_secs(seconds) {
        let seed = if fixed.is_some() { first } else { first.wrapping_add(rounds) };
        *current.lock().unwrap() = (seed, Instant::now());
        match panic::catch_unwind(|| round(seed)) {
            Ok(more) => seen.add(&more),
            Err(failure) => {
                eprintln!("to repeat this program: BOC_STRESS_SEED={seed}");
                panic::resume_unwind(failure);
            }
        }
        rounds += 1;
    }
    println!("{rounds} programs, from seed {first}: {seen:?}");
    // Else the checks have lost what they are there for.
    assert!(fixed.is_some() || rounds < 100 || seen.all(), "too little happened");
}

/// How often something happened that the checks are there for.
#[derive(Debug, Default)]
struct Seen {
    ran: usize,
    cancelled: usize,
    /// A reader found another one.
    read_together: usize,
    batches: usize,
    /// Cowns that were there for a part of the round only.
    short_lived: usize,
}

impl Seen {
    fn of(world: &World, cowns: usize) -> Self {
        let records = world.used();
        Self {
            ran: records.iter().map(|record| record.ran.load(Relaxed)).sum(),
            cancelled: records.iter().map(|record| record.cancelled.load(Relaxed)).sum(),
            read_together: world.shared.load(Relaxed),
            batches: world.batches(),
            short_lived: world.cowns() - cowns,
        }
    }

    fn add(&mut self, more: &Self) {
        self.ran += more.ran;
        self.cancelled += more.cancelled;
        self.read_together += more.read_together;
        self.batches += more.batches;
        self.short_lived += more.short_lived;
    }

    fn all(&self) -> bool {
        let Self { ran, cancelled, read_together, batches, short_lived } = *self;
        [ran, cancelled, read_together, batches, short_lived].iter().all(|count| *count > 0)
    }
}

/// Ends the process if a round gets stuck.
fn watch(current: Arc<Mutex<(u64, Instant)>>) {
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            let (seed, since) = *current.lock().unwrap();
            if since.elapsed() > STUCK {
                // Not by a macro: what those print is kept until the test ends.
                let _ =
                    writeln!(io::stderr(), "stuck; to repeat this program: BOC_STRESS_SEED={seed}");
                process::abort();
            }
        }
    });
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

fn round(seed: u64) -> Seen {
    let mut rng = Rng::with_seed(seed);
    let runtimes: Vec<Played> = (0..rng.usize(1..=3))
        .map(|_| {
            let workers = rng.usize(1..=3);
            let foreign = rng.u8(..) < 64;
            let builder = Builder::new().workers(workers);
            let builder = if rng.bool() { builder.events(rng.usize(1..100)) } else { builder };
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
    let world = World::new(executors.len());
    let known = || Known::new(&world).expect("the first ones are free");
    let cowns: Vec<_> = (0..rng.usize(1..10)).map(|_| known()).collect();
    let count = cowns.len();
    let reading = rng.choice([0, 64, 128, 230]).expect("there are some");
    let plan = Arc::new(Plan { world: Arc::clone(&world), cowns, executors, reading });

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
                scope.spawn(move || Strand::thread(&plan, rng).run(count))
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
                check_report(&played.runtime);
                let _ = played.runtime.quiesce(Some(Duration::from_micros(rng.u64(0..200))));
            }
        }
        check_counts(&runtimes, &world);
    });
    assert!(runtimes.iter().all(|played| played.runtime.in_flight() == 0));
    // The pump comes last, and is never ended early.
    let ended_early: Vec<_> =
        runtimes.iter().map(|played| played.ended_early.load(Relaxed)).chain([false]).collect();
    drop(runtimes);
    // Behaviours of the pump may have scheduled more for the pump.
    while pump.run_one() {}

    drop((plan, pump));
    check_fates(&ended_early, &world);
    order::check(&world);
    assert!(world.nothing_is_held());
    assert!(!FAILED.load(Relaxed), "a check failed inside of a behaviour");
    assert_eq!(Arc::strong_count(&world), 1, "everything that referred to the round is gone");
    Seen::of(&world, count)
}

/// What is told of a runtime while it runs is something that can be.
fn check_report(runtime: &Runtime) {
    let report = runtime.report();
    for queue in &report.queues {
        let running = |place: &&Place| {
            report.behaviour(place.behaviour).expect("it is told of").state == Running
        };
        let running: Vec<_> = queue.places.iter().filter(running).collect();
        let alone = running.len() == 1 || running.iter().all(|place| place.mode == Mode::Read);
        assert!(running.is_empty() || alone, "a cown is held by two, and one writes\n{report}");
    }
    for running in report.workers.iter().flatten() {
        let state = report.behaviour(running.behaviour).expect("it has not ended").state;
        assert_eq!(state, Running, "{report}");
    }
    runtime.take_events();
}

/// What the workers counted is what they were given.
fn check_counts(runtimes: &[Played], world: &World) {
    for (which, played) in runtimes.iter().enumerate() {
        let ended = played.runtime.stats().iter().map(|worker| worker.run).sum::<u64>() as usize;
        let scheduled = world.scheduled[which].load(Relaxed);
        let of_this = || world.used().iter().filter(|r| r.executor.load(Relaxed) == which + 1);
        let ran: usize = of_this().map(|record| record.ran.load(Relaxed)).sum();
        // What never ran has ended on any thread.
        assert!(ran <= ended && ended <= scheduled, "{ran}, {ended}, {scheduled}");
        let given_up = of_this()
            .any(|record| record.cancelled.load(Relaxed) > 0 || record.unscheduled.load(Relaxed));
        if !given_up && !played.ended_early.load(Relaxed) {
            assert_eq!(ended, scheduled);
        }
    }
}

/// Each behaviour ran or was cancelled, and everything was dropped, once.
fn check_fates(ended_early: &[bool], world: &World) {
    for (number, record) in world.used().iter().enumerate() {
        assert_eq!(record.dropped.load(Relaxed), 1, "record {number} is dropped once");
        let fates = record.ran.load(Relaxed) + record.cancelled.load(Relaxed);
        assert!(fates <= 1, "record {number} ran and was cancelled");
        let Some(which) = record.executor.load(Relaxed).checked_sub(1) else { continue };
        if record.unscheduled.load(Relaxed) {
            assert_eq!(record.ran.load(Relaxed), 0, "record {number} ran without being scheduled");
        } else if !ended_early[which] {
            assert_eq!(fates, 1, "record {number} was lost");
        }
    }
}
