//! What the documentation promises of explorations.
#![cfg(all(feature = "std", not(loom)))]

use std::{
    collections::HashSet,
    env, panic,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use boc_core::{
    Cown, Failure, Handle, Pump, Runtime,
    explore::{Explorer, Failed, Strategy, World, yield_now},
    inside_behaviour,
    raw::{self, Access},
    when,
};

const BOTH: [Strategy; 2] = [Strategy::Random, Strategy::Pct { depth: 3 }];

fn failure(explorer: Explorer, program: impl Fn(&World) + Send + Sync + 'static) -> Failed {
    explorer.try_check(program).expect_err("the bug was not found")
}

/// What a program says has happened, for each schedule.
fn traces(explorer: Explorer, program: impl Fn(&World) + Send + Sync + 'static) -> Vec<String> {
    let traces = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&traces);
    explorer.check(move |world| {
        program(world);
        world.quiesce();
        kept.lock().unwrap().push(world.trace());
    });
    std::mem::take(&mut *traces.lock().unwrap())
}

// Programs, with a bug or without.

/// Each adds one, but reads and writes in two behaviours.
fn lost_update(world: &World) {
    let counter = Cown::new(0);
    for _ in 0..2 {
        let again = counter.clone();
        world.when(&counter, move |count| {
            let next = *count + 1;
            when(&again, move |count| *count = next);
        });
    }
    world.quiesce();
    assert_eq!(world.when(&counter, |count| *count).wait().unwrap(), 2, "an update was lost");
}

/// Takes it that the thread which was started first is first to schedule.
fn assumed_order(world: &World) {
    let log = Cown::new(Vec::new());
    for name in ["first", "second"] {
        let log = log.clone();
        world.spawn(move || drop(when(&log, move |log| log.push(name))));
    }
    world.quiesce();
    world.when(&log, |log| {
        let sorted = log.is_sorted();
        assert!(sorted, "the second producer came first");
    });
}

/// Takes it that a behaviour has run because it was scheduled before.
fn missing_dependency(world: &World) {
    let (settings, started) = (Cown::new(None), Cown::new(false));
    let late = settings.clone();
    world.when(&started, move |started| {
        *started = true;
        when(&late, |settings| *settings = Some("loaded"));
    });
    world.when(&settings, |settings| settings.expect("the settings were not loaded"));
}

/// A behaviour that has to be interrupted in the middle until many others are through.
fn interrupted_for_long(world: &World) {
    const LENGTH: usize = 40;
    fn chain(link: &Cown<usize>, done: Arc<AtomicUsize>) {
        let again = link.clone();
        when(link, move |length| {
            *length += 1;
            done.store(*length, SeqCst);
            if *length < LENGTH {
                chain(&again, done);
            }
        });
    }
    let done = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&done);
    world.when((), move |()| {
        let before = seen.load(SeqCst);
        when((), |()| ());
        let after = seen.load(SeqCst);
        assert!(!(before == 0 && after == LENGTH), "interrupted from the first to the last");
    });
    chain(&Cown::new(0), done);
}

struct Fork {
    taken: AtomicBool,
    users: Vec<usize>,
}

/// Philosophers who eat thrice, and check that they have their forks to themselves, and that they
/// get them in turn.
fn philosophers(world: &World) {
    const COUNT: usize = 4;
    let fork = |_| Cown::new(Fork { taken: AtomicBool::new(false), users: Vec::new() });
    let forks: Vec<_> = (0..COUNT).map(fork).collect();
    let mut meals = Vec::new();
    for meal in 0..3 * COUNT {
        let (left, right) = (&forks[meal % COUNT], &forks[(meal + 1) % COUNT]);
        meals.push(world.when((left, right), move |(left, right)| {
            for fork in [&mut *left, &mut *right] {
                assert!(!fork.taken.swap(true, SeqCst), "two have the same fork");
                fork.users.push(meal);
            }
            yield_now();
            for fork in [left, right] {
                assert!(fork.taken.swap(false, SeqCst));
            }
        }));
    }
    for meal in meals {
        meal.wait().unwrap();
    }
    for (index, fork) in forks.iter().enumerate() {
        let users = world.when(fork, |fork| std::mem::take(&mut fork.users)).wait().unwrap();
        let expected =
            (0..3 * COUNT).filter(|meal| meal % COUNT == index || (meal + 1) % COUNT == index);
        assert!(users.into_iter().eq(expected), "not in scheduling order");
    }
}

/// A bit of everything, which never fails.
fn mixture(world: &World) {
    let (a, b) = (Cown::new(0), Cown::new(0));
    let (x, y, deep) = (a.clone(), b.clone(), world.clone());
    let thread = world.spawn(move || {
        let sum = deep.when((&y, &x), |(b, a)| {
            yield_now();
            *a += 1;
            *b += 1;
            when((), |()| yield_now());
            *a + *b
        });
        sum.wait().unwrap()
    });
    let inner = b.clone();
    let handle = world.when(&a, move |a| {
        *a += 10;
        when(&inner, |b| *b += 10)
    });
    yield_now();
    let nested = world.wait(handle).unwrap();
    assert!(nested.wait().is_ok());
    assert!([2, 12, 22].contains(&thread.join()));
}

#[test]
fn both_strategies_find_a_lost_update() {
    for strategy in BOTH {
        let failed = failure(Explorer::new().strategy(strategy), lost_update);
        assert!(failed.reason().contains("main panicked"), "{failed}");
        assert!(failed.reason().contains("an update was lost"), "{failed}");
    }
}

#[test]
fn both_strategies_find_an_order_that_was_taken_for_granted() {
    for strategy in BOTH {
        let failed = failure(Explorer::new().strategy(strategy), assumed_order);
        assert!(failed.reason().contains("the second producer came first"), "{failed}");
        assert!(failed.reason().contains("nobody looked at its handle"), "{failed}");
    }
}

#[test]
fn both_strategies_find_a_missing_dependency() {
    for strategy in BOTH {
        let failed = failure(Explorer::new().strategy(strategy), missing_dependency);
        assert!(failed.reason().contains("the settings were not loaded"), "{failed}");
    }
}

#[test]
fn pct_finds_a_bug_that_needs_two_decisions() {
    let explorer = Explorer::new().schedules(2_000).workers(2);
    failure(explorer.strategy(Strategy::Pct { depth: 2 }), interrupted_for_long);
    // This is what it is good for: by chance alone the behaviour would have to lose dozens of times.
    explorer.check(interrupted_for_long);
}

#[test]
fn a_bug_does_not_show_under_every_schedule() {
    // Otherwise the tests above would say nothing.
    for program in [lost_update, assumed_order, missing_dependency] {
        let passes = |seed| Explorer::new().replay(seed).try_check(program).is_ok();
        let passed = (0..200).filter(|seed| passes(*seed)).count();
        assert!((10..190).contains(&passed), "{passed} of 200");
    }
}

#[test]
fn a_failure_is_replayed_exactly_by_its_seed() {
    for program in [lost_update, assumed_order, missing_dependency, interrupted_for_long] {
        for strategy in [Strategy::Pct { depth: 1 }, Strategy::Pct { depth: 2 }, Strategy::Random] {
            let explorer = Explorer::new().strategy(strategy).workers(2);
            let Err(failed) = explorer.try_check(program) else { continue };
            for _ in 0..3 {
                let again = failure(explorer.replay(failed.seed()), program);
                assert_eq!(again.seed(), failed.seed());
                assert_eq!(again.number(), 1);
                assert_eq!(again.reason(), failed.reason());
                // A replay's trace is not shortened.
                let shortened = failed.trace().contains("lines, which a replay shows");
                assert!(shortened || again.trace() == failed.trace());
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for strategy in BOTH {
        let explorer = Explorer::new().strategy(strategy);
        for seed in 1..=10 {
            let mut all = HashSet::new();
            for _ in 0..50 {
                let mut traces = traces(explorer.replay(seed), mixture);
                assert_eq!(traces.len(), 1);
                all.insert(traces.pop());
            }
            assert_eq!(all.len(), 1, "{strategy:?}, seed {seed}: {all:#?}");
        }
        let once = traces(explorer.schedules(300), mixture);
        assert_eq!(once, traces(explorer.schedules(300), mixture));
        // And those of a small program are anything but the same.
        let distinct = once.iter().collect::<HashSet<_>>().len();
        assert!(distinct > 30, "{strategy:?}: {distinct}");
        assert_ne!(once, traces(explorer.schedules(300).seed(1), mixture));
    }
}

#[test]
fn all_orders_of_a_small_program_are_explored() {
    for strategy in BOTH {
        let orders = Arc::new(Mutex::new(HashSet::new()));
        let kept = Arc::clone(&orders);
        Explorer::new().strategy(strategy).check(move |world| {
            let log = Cown::new(String::new());
            for name in ['a', 'b', 'c', 'd'] {
                let log = log.clone();
                world.when((), move |()| drop(when(&log, move |log| log.push(name))));
            }
            world.quiesce();
            let order = world.when(&log, std::mem::take).wait().unwrap();
            kept.lock().unwrap().insert(order);
        });
        assert_eq!(orders.lock().unwrap().len(), 24, "{strategy:?}");
    }
}

#[test]
fn cowns_are_exclusive_and_in_order_over_10_000_schedules() {
    Explorer::new().schedules(10_000).check(philosophers);
    Explorer::new().schedules(2_000).strategy(Strategy::Pct { depth: 3 }).check(philosophers);
}

#[test]
fn as_many_behaviours_as_there_are_workers_run_at_the_same_time() {
    for workers in 1..=3 {
        let most = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&most);
        Explorer::new().workers(workers).schedules(200).check(move |world| {
            let running = Arc::new(AtomicUsize::new(0));
            for _ in 0..5 {
                let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
                world.when((), move |()| {
                    seen.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    yield_now();
                    running.fetch_sub(1, SeqCst);
                });
            }
        });
        assert_eq!(most.load(SeqCst), workers);
    }
}

// Waiting.

#[test]
fn when_works_everywhere_in_an_exploration_and_nowhere_else() {
    Explorer::new().schedules(50).check(|world| {
        let log = Cown::new(Vec::new());
        let (inner, other) = (log.clone(), log.clone());
        when(&log, move |_| drop(when(&inner, |log| log.push("behaviour"))));
        world.spawn(move || drop(when(&other, |log| log.push("thread")))).join();
        world.quiesce();
        assert!(!inside_behaviour());
        let pump = Pump::new();
        let foreign = pump.executor().when(&log, |log| {
            assert!(inside_behaviour());
            when((), |()| ());
            log.len()
        });
        assert!(pump.run_one() || pump.run_one());
        assert_eq!(foreign.wait().unwrap(), 2);
    });
    yield_now();
    assert!(panic::catch_unwind(|| when((), |()| ())).is_err());
}

#[test]
fn a_wait_with_a_time_limit_runs_out_when_nothing_else_can_go_on() {
    const LONG: Duration = Duration::from_secs(100_000);
    Explorer::new().schedules(200).check(|world| {
        let handle = world.when((), |()| yield_now());
        handle.wait_timeout(Duration::ZERO).expect("it can go on").unwrap();
        let pump = Pump::new();
        let never = pump.executor().when((), |()| 1);
        let never = never.wait_timeout(LONG).expect_err("nobody pumps");
        pump.run_until_idle();
        assert_eq!(never.wait_timeout(LONG).unwrap().unwrap(), 1);
    });
}

#[test]
fn waiting_inside_of_a_behaviour_is_refused() {
    Explorer::new().schedules(20).check(|world| {
        let (inner, executor) = (world.clone(), world.executor().clone());
        let handle = world.when((), move |()| {
            let refused = |f: &mut dyn FnMut()| {
                panic::catch_unwind(panic::AssertUnwindSafe(f)).unwrap_err();
            };
            refused(&mut || inner.quiesce());
            refused(&mut || drop(executor.when((), |()| ()).wait()));
            let thread = inner.spawn(|| 1);
            let mut thread = Some(thread);
            refused(&mut || assert_eq!(thread.take().map(|thread| thread.join()), None));
        });
        handle.wait().unwrap();
    });
}

// What counts as a failure.

#[test]
fn a_panic_that_somebody_looks_at_is_no_failure() {
    Explorer::new().schedules(100).check(|world| {
        let handle: Handle<()> = world.when((), |()| panic::resume_unwind(Box::new("seen")));
        let over = world.when(&handle, |outcome| outcome.value().is_none());
        assert!(over.wait().unwrap());
        let Err(Failure::Panicked(panic)) = handle.wait() else { panic!("it panicked") };
        assert_eq!(panic.message(), Some("seen"));
    });
}

#[test]
fn a_panic_of_a_thread_is_a_failure() {
    let failed = failure(Explorer::new(), |world| {
        let thread = world.spawn(|| panic!("in the thread"));
        world.when((), |()| yield_now());
        thread.join()
    });
    assert!(failed.reason().contains("thread 1 panicked: in the thread"), "{failed}");
}

#[test]
fn a_panic_that_nobody_looked_at_is_a_failure() {
    // The handle goes before the behaviour, or after it.
    for keep in [false, true] {
        let failed = failure(Explorer::new(), move |world| {
            let handle = world.when((), |()| {
                if !inside_behaviour() {
                    return;
                }
                panic!("unseen")
            });
            if keep {
                world.quiesce();
            }
            drop(handle);
        });
        assert!(failed.reason().contains("nobody looked at its handle: unseen"), "{failed}");
        let noticed = if keep { "noticed in main" } else { "noticed in #1" };
        assert!(failed.reason().contains(noticed), "{failed}");
    }
}

#[test]
fn what_is_waited_for_and_never_comes_is_a_deadlock() {
    let failed = failure(Explorer::new(), |world| {
        let pump = Pump::new();
        let never = pump.executor().when((), |()| ());
        world.spawn(move || drop(never.wait())).join();
    });
    assert!(failed.reason().contains("deadlock"), "{failed}");
    assert!(failed.reason().contains("thread 1"), "{failed}");

    let failed = failure(Explorer::new(), |world| {
        let cown = Cown::new(());
        // SAFETY: the cown is alive.
        let claim = unsafe { raw::claim(&[Access::from(&cown)]) }.unwrap();
        world.when(&cown, |_| ());
        world.quiesce();
        drop(claim);
    });
    assert!(failed.reason().contains("main waits for quiescence"), "{failed}");
    assert!(failed.reason().contains("has not got all its cowns"), "{failed}");

    let failed = failure(Explorer::new(), |_| assert!(raw::Signal::new().wait(None)));
    assert!(failed.reason().contains("main waits for a handle, a claim or a signal"), "{failed}");
}

#[test]
fn a_deadlock_that_needs_a_certain_order_is_found() {
    for strategy in BOTH {
        let failed = failure(Explorer::new().strategy(strategy), |world| {
            let cowns = Arc::new([Cown::new(()), Cown::new(())]);
            for order in [[0, 1], [1, 0]] {
                let cowns = Arc::clone(&cowns);
                world.spawn(move || {
                    let _both = order.map(|index| {
                        // SAFETY: the cown is alive.
                        let claim = unsafe { raw::claim(&[Access::from(&cowns[index])]) };
                        let claim = claim.unwrap();
                        assert!(claim.wait(None));
                        yield_now();
                        claim
                    });
                });
            }
        });
        assert!(failed.reason().contains("deadlock"), "{failed}");
        assert!(failed.reason().contains("thread 1") && failed.reason().contains("thread 2"));
    }
}

#[test]
fn a_behaviour_that_is_never_run_is_a_failure() {
    let failed = failure(Explorer::new(), |world| {
        let cown = Cown::new(());
        // SAFETY: the cown is alive.
        let claim = unsafe { raw::claim(&[Access::from(&cown)]) }.unwrap();
        std::mem::forget(claim);
        world.when(&cown, |_| ());
    });
    assert!(failed.reason().contains("#1"), "{failed}");
    assert!(failed.reason().contains("has not got all its cowns"), "{failed}");
}

#[test]
fn a_program_without_an_end_comes_to_the_step_limit() {
    fn for_ever(cown: &Cown<u64>) {
        let again = cown.clone();
        when(cown, move |_| for_ever(&again));
    }
    let endless: [fn(&World); 3] = [
        |_| for_ever(&Cown::new(0)),
        |_| loop {
            yield_now();
        },
        |world| loop {
            world.when((), |()| ());
        },
    ];
    for strategy in BOTH {
        for program in endless {
            let explorer = Explorer::new().strategy(strategy).step_limit(5_000);
            let failed = failure(explorer, program);
            assert!(failed.reason().contains("did not end within 5000 steps"), "{failed}");
            assert!(failed.trace().lines().count() < 100, "{failed}");
        }
    }
}

#[test]
fn a_loop_that_yields_until_another_task_is_done_ends() {
    for strategy in BOTH {
        Explorer::new().strategy(strategy).schedules(300).step_limit(2_000).check(|world| {
            let done = Arc::new(AtomicBool::new(false));
            let set = Arc::clone(&done);
            world.when((), move |()| set.store(true, SeqCst));
            while !done.load(SeqCst) {
                yield_now();
            }
        });
    }
}

#[test]
fn a_task_that_is_stuck_outside_of_the_exploration_is_told_of() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let failed = failure(Explorer::new().patience(Duration::from_millis(200)), move |world| {
        world.when((), |()| ());
        let _ = released.lock().unwrap().recv();
    });
    assert!(failed.reason().contains("stuck: main"), "{failed}");
    drop(release);
}

#[test]
fn threads_that_are_not_under_control_are_told_of() {
    let failed = failure(Explorer::new(), |world| {
        let executor = world.executor().clone();
        let handle = thread::spawn(move || executor.when((), |()| ())).join().unwrap();
        assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    });
    assert!(failed.reason().contains("does not control schedules a behaviour"), "{failed}");

    let failed = failure(Explorer::new(), |world| {
        let runtime = Runtime::with_workers(1);
        let cown = Cown::new(());
        let (sender, receiver) = mpsc::channel::<()>();
        runtime.when(&cown, move |_| receiver.recv().unwrap_err());
        world.when(&cown, |_| ());
        drop(sender);
        runtime.shutdown();
    });
    assert!(failed.reason().contains("does not control hands a cown on"), "{failed}");
}

#[test]
fn a_world_is_of_no_use_after_its_schedule() {
    let kept = Arc::new(Mutex::new(None::<World>));
    let keep = Arc::clone(&kept);
    Explorer::new().schedules(10).check(move |world| {
        if let Some(old) = keep.lock().unwrap().replace(world.clone()) {
            let late = old.executor().when((), |()| ());
            assert!(matches!(late.wait(), Err(Failure::Cancelled)));
            let thread = panic::AssertUnwindSafe(|| drop(old.spawn(|| ())));
            assert!(panic::catch_unwind(thread).is_err());
        }
    });
    let old = kept.lock().unwrap().take().unwrap();
    let late = old.executor().when((), |()| ());
    assert!(matches!(late.wait(), Err(Failure::Cancelled)));
}

#[test]
fn an_exploration_inside_of_another_one() {
    Explorer::new().schedules(5).check(|world| {
        let cown = Cown::new(0);
        world.when(&cown, |n| *n += 1);
        Explorer::new().schedules(5).check(mixture);
        assert_eq!(world.when(&cown, |n| *n).wait().unwrap(), 1);
    });
}

// Cleaning up.

/// Counts itself as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, SeqCst);
        Self(Arc::clone(live))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn nothing_is_left_behind_over_10_000_schedules() {
    let live = Arc::new(AtomicUsize::new(0));
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let (values, seen) = (Arc::clone(&live), Arc::clone(&threads));
    Explorer::new().schedules(10_000).check(move |world| {
        assert_eq!(values.load(SeqCst), 0);
        let cown = Cown::new(Counted::new(&values));
        for _ in 0..3 {
            let (captured, seen) = (Counted::new(&values), Arc::clone(&seen));
            world.when(&cown, move |_| {
                seen.lock().unwrap().insert(thread::current().id());
                yield_now();
                captured
            });
        }
        let captured = Counted::new(&values);
        world.spawn(move || captured);
    });
    assert_eq!(live.load(SeqCst), 0);
    assert!(threads.lock().unwrap().len() <= 6, "{threads:?}");
}

#[test]
fn a_schedule_that_fails_is_cleaned_up() {
    let live = Arc::new(AtomicUsize::new(0));
    for seed in 0..100 {
        let values = Arc::clone(&live);
        let result = Explorer::new().replay(seed).try_check(move |world| {
            let cowns = [Cown::new(Counted::new(&values)), Cown::new(Counted::new(&values))];
            for index in 0..6 {
                let captured = Counted::new(&values);
                let again = (world.clone(), Counted::new(&values));
                world.when(&cowns[index % 2], move |_| {
                    yield_now();
                    again.0.when((), move |()| drop(again.1));
                    yield_now();
                    assert!(index != 3, "one of them fails");
                    captured
                });
            }
            let captured = Counted::new(&values);
            world.spawn(move || {
                yield_now();
                captured
            });
            let pump = Pump::new();
            // Has to wait while it is unwound, too.
            let _waits = WaitsWhenDropped(Some(world.when(&cowns[0], |_| yield_now())));
            drop(pump.executor().when((), |()| ()).wait());
        });
        assert!(result.is_err());
        assert_eq!(live.load(SeqCst), 0, "seed {seed}");
    }
}

struct WaitsWhenDropped(Option<Handle<()>>);

impl Drop for WaitsWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.take().expect("it is dropped once").wait();
    }
}

#[test]
fn a_destructor_that_waits_for_ever_is_left_behind() {
    let failed = failure(Explorer::new(), |world| {
        let pump = Box::leak(Box::new(Pump::new()));
        let _waits = WaitsWhenDropped(Some(pump.executor().when((), |()| ())));
        world.when((), |()| ());
        panic!("and then the destructor waits");
    });
    // The panic is not known before the destructor is through.
    assert!(failed.reason().contains("deadlock"), "{failed}");
}

// Reports and the environment.

#[test]
fn check_panics_with_a_report() {
    let panic = panic::catch_unwind(|| Explorer::new().check(missing_dependency)).unwrap_err();
    let report = panic.downcast_ref::<String>().expect("a message");
    let failed = failure(Explorer::new(), missing_dependency);
    for part in [
        "the settings were not loaded".into(),
        format!("schedule {} of 1000, seed {}", failed.number(), failed.seed()),
        format!("BOC_SEED={} cargo test check_panics_with_a_report", failed.seed()),
        "Random".into(),
        "#1".into(),
        "main      schedules #2".into(),
        // The places of the `when`s.
        "tests/explore.rs:".into(),
    ] {
        assert!(report.contains(&part), "{part} is not in\n{report}");
    }
}

/// Run by the next test, with another environment.
#[test]
#[ignore = "the program of another test"]
fn subject() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let traces = traces(Explorer::new().schedules(7), move |world| {
        counted.fetch_add(1, SeqCst);
        mixture(world);
    });
    println!("schedules: {}\n{}", runs.load(SeqCst), traces[0]);
}

#[test]
fn the_environment_goes_before_the_program() {
    let run = |variables: &[(&str, &str)]| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "subject", "--ignored", "--nocapture"])
            .env_remove("BOC_SEED")
            .env_remove("BOC_SCHEDULES")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(run(&[]).1.contains("schedules: 7\n"));
    assert!(run(&[("BOC_SCHEDULES", "12")]).1.contains("schedules: 12\n"));
    let (succeeded, told) = run(&[("BOC_SEED", "5"), ("BOC_SCHEDULES", "12")]);
    assert!(succeeded && told.contains("schedules: 1\n"), "{told}");
    // Also in another process, a seed means the same.
    let trace = traces(Explorer::new().replay(5), mixture).pop().unwrap();
    assert!(told.contains(&trace), "{trace}\nis not in\n{told}");
    for wrong in ["", "five", "-1"] {
        assert!(!run(&[("BOC_SEED", wrong)]).0);
    }
    assert!(!run(&[("BOC_SCHEDULES", "0")]).0);
}
