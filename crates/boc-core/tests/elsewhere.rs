//! What is told of behaviours that a runtime counts and another executor runs.
#![cfg(not(loom))]

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use boc_core::{
    Builder, Cown, ExecutorRef, Panic, Pump, Runtime, Scope,
    observe::{BehaviourState::*, CownId, Event, EventKind, Report, Stall},
    raw::{self, Access, Held, ResultCown, State},
};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

struct Nothing;

impl State for Nothing {
    fn panicked(&mut self, _: Panic) {}
    fn cancelled(&mut self) {}
}

/// Schedules `body` over a cown, for a pump.
fn pinned(
    executor: &ExecutorRef,
    pump: &Pump,
    cown: &Cown<i32>,
    body: impl FnOnce() + Send + 'static,
) -> ResultCown<Nothing> {
    let begun = raw::begin_elsewhere(executor, pump.executor(), 1).unwrap();
    let label = || Some("pinned".into());
    let work = |_: Held<'_>, _: &mut Nothing| body();
    // SAFETY: the cown is alive.
    unsafe { begun.when([Access::from(cown)].into_iter(), label, Nothing, work) }.unwrap()
}

fn observed() -> Arc<Runtime> {
    Arc::new(Builder::new().workers(1).events(100).build().unwrap())
}

fn at_rest(runtime: &Runtime) {
    runtime.quiesce(Some(LONG)).unwrap();
    let report = runtime.report();
    assert!(report.behaviours.is_empty() && report.elsewhere.is_empty(), "{report}");
    assert!(report.queues.is_empty(), "{report}");
}

/// What has happened, and whether that was elsewhere.
fn happened(runtime: &Runtime) -> Vec<(String, EventKind, Option<usize>, bool)> {
    let tell = |event: &Event| {
        let name = event.behaviour().to_string();
        (name, event.kind, event.worker, event.elsewhere)
    };
    runtime.take_events().events.iter().map(tell).collect()
}

#[test]
fn it_waits_and_is_ready_and_runs() {
    let (runtime, pump) = (observed(), Pump::new());
    let cown = Cown::new(1);
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let first = runtime.when(&cown, move |_| may_go_on.recv().unwrap());
    let told = Arc::new(Mutex::new(None));
    let body = {
        let (runtime, told) = (Arc::clone(&runtime), Arc::clone(&told));
        move || *told.lock().unwrap() = Some(runtime.report())
    };
    pinned(runtime.executor(), &pump, &cown, body);
    runtime.when_detached(&cown, |_| ());

    let report = runtime.report();
    let one = &report.behaviours[1];
    assert_eq!((one.state, one.elsewhere, one.label.as_deref()), (Waiting, true, Some("pinned")));
    assert!(!report.behaviours[0].elsewhere && !report.behaviours[2].elsewhere);
    assert_eq!(report.before(&one.waits_for[0])[0].behaviour, report.behaviours[0].id);

    go_on.send(()).unwrap();
    first.wait().unwrap();
    // The worker says so before it gives the cown to the pump.
    while runtime.report().behaviours.iter().all(|one| one.state != Ready) {
        thread::yield_now();
    }
    let report = runtime.report();
    let one = report.behaviours.iter().find(|one| one.elsewhere).unwrap();
    assert_eq!(one.holds[0].cown, CownId::from(&cown));
    assert!(report.to_string().contains(&format!("\n{} ready elsewhere for ", one.id)), "{report}");
    assert!(report.elsewhere.is_empty());

    while !pump.run_one() {
        thread::yield_now();
    }
    let report: Report = told.lock().unwrap().take().expect("it has run");
    let one = report.behaviours.iter().find(|one| one.elsewhere).unwrap();
    assert_eq!((one.state, one.holds[0].cown), (Running, CownId::from(&cown)));
    assert_eq!(report.elsewhere.iter().map(|one| one.behaviour).collect::<Vec<_>>(), [one.id]);
    assert!(report.workers.iter().all(Option::is_none));
    assert!(report.to_string().contains("\nelsewhere: inside of #2 for "), "{report}");
    let behind: Vec<_> = report.waiting_for(one).map(|one| one.id.number()).collect();
    assert_eq!(behind, [3]);
    at_rest(&runtime);
}

#[test]
fn what_it_does_is_written_down() {
    let (runtime, pump) = (observed(), Pump::new());
    let cown = Cown::new(1);
    let body = {
        let runtime = Arc::clone(&runtime);
        move || {
            thread::scope(|scope| {
                scope.spawn(|| runtime.when_detached((), |()| ()));
            });
            runtime.when_detached((), |()| ());
        }
    };
    pinned(runtime.executor(), &pump, &cown, body);
    assert_eq!(pump.run_until_idle(), 1);
    at_rest(&runtime);
    let events = happened(&runtime);
    let of = |number: &str| -> Vec<_> {
        events.iter().filter(|one| one.0 == number).map(|one| (one.1, one.2, one.3)).collect()
    };
    use EventKind::{Ended, Scheduled, Started};
    assert_eq!(
        of("#1"),
        [
            (Scheduled, None, false),
            (EventKind::Ready, None, false),
            (Started, None, true),
            (Ended, None, true),
        ],
    );
    assert_eq!(of("#2")[0], (Scheduled, None, false), "another thread did that");
    assert_eq!(of("#3")[0], (Scheduled, None, true));
    assert_eq!(of("#3")[3], (Ended, Some(0), false));
}

#[test]
fn one_inside_of_another() {
    let (runtime, pump, inner) = (observed(), Arc::new(Pump::new()), Arc::new(Pump::new()));
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let (runtime, told) = (Arc::clone(&runtime), Arc::clone(&told));
        move || {
            let report = runtime.report();
            let inside =
                report.elsewhere.iter().map(|one| one.behaviour.number()).collect::<Vec<_>>();
            told.lock().unwrap().push(inside);
        }
    };
    let (a, b) = (Cown::new(1), Cown::new(2));
    pinned(runtime.executor(), &inner, &b, tell.clone());
    pinned(runtime.executor(), &pump, &a, move || {
        assert!(inner.run_one());
        tell();
        // A behaviour that nobody observes, and then one that is.
        inner.executor().when_detached((), |()| ());
        assert!(inner.run_one());
        tell();
    });
    assert!(pump.run_one());
    assert_eq!(*told.lock().unwrap(), [vec![2, 1], vec![2], vec![2]]);
    at_rest(&runtime);
    let started = happened(&runtime).into_iter().filter(|one| one.1 == EventKind::Started);
    assert!(started.into_iter().all(|one| one.3));
}

#[test]
fn what_is_cancelled_or_refused_has_not_run() {
    let (runtime, pump) = (observed(), Pump::new());
    let (a, b) = (Cown::new(1), Cown::new(2));
    let one = pinned(runtime.executor(), &pump, &a, || unreachable!());
    let other = pinned(runtime.executor(), &pump, &b, || unreachable!());
    let late = pinned(runtime.executor(), &pump, &b, || unreachable!());
    assert!(one.cancel());
    assert_eq!(runtime.report().behaviours.len(), 3);
    drop(pump);
    assert!(other.is_finished() && late.is_finished());
    at_rest(&runtime);
    let ends: Vec<_> = happened(&runtime)
        .into_iter()
        .filter(|one| !matches!(one.1, EventKind::Scheduled | EventKind::Ready))
        .map(|one| (one.0, one.1, one.3))
        .collect();
    let cancelled = |name: &str| (name.to_owned(), EventKind::Cancelled, false);
    let mut names: Vec<_> = ends.iter().map(|end| end.0.clone()).collect();
    names.sort();
    assert_eq!(names, ["#1", "#2", "#3"]);
    assert!(ends.iter().all(|end| *end == cancelled(&end.0)), "{ends:?}");
}

#[test]
fn one_that_panics_is_not_inside_any_more() {
    let (runtime, pump) = (observed(), Pump::new());
    pinned(runtime.executor(), &pump, &Cown::new(1), || panic!("on purpose"));
    assert_eq!(pump.run_until_idle(), 1);
    at_rest(&runtime);
    assert_eq!(happened(&runtime).last().unwrap().1, EventKind::Ended);
}

#[test]
fn in_scopes_and_batches() {
    let (runtime, pump) = (observed(), Pump::new());
    let cown = Cown::new(1);
    let scope = Scope::new(runtime.executor());
    pinned(scope.executor(), &pump, &cown, || {
        raw::with_current_executor(|executor| assert!(executor.is_none()));
    });
    let mut batch = runtime.batch();
    let cowns = [Access::from(&cown)];
    let label = || Some("in a batch".into());
    let work = |_: Held<'_>, _: &mut Nothing| ();
    // SAFETY: the cown is alive.
    let added = unsafe {
        raw::add_elsewhere(&mut batch, pump.executor(), &cowns, label, Nothing, work).unwrap()
    };
    let states = |report: Report| -> Vec<_> {
        report.behaviours.iter().map(|one| (one.state, one.elsewhere)).collect()
    };
    assert_eq!(states(runtime.report()), [(Ready, true), (InBatch, true)]);
    batch.schedule();
    assert_eq!(states(runtime.report()), [(Ready, true), (Waiting, true)]);
    assert_eq!(pump.run_until_idle(), 2);
    assert!(added.unwrap().is_finished());
    scope.close().wait().unwrap();
    at_rest(&runtime);
}

#[test]
fn who_is_not_observed_is_not_asked_for_a_label() {
    let (runtime, pump) = (Builder::new().workers(1).observable().build().unwrap(), Pump::new());
    let cown = Cown::new(1);
    let schedule = |label: &'static str| {
        let begun = raw::begin_elsewhere(runtime.executor(), pump.executor(), 1).unwrap();
        let label = || if label.is_empty() { unreachable!() } else { Some(label.into()) };
        let work = |_: Held<'_>, (): &mut ()| ();
        // SAFETY: the cown is alive.
        unsafe { begun.when_detached([Access::from(&cown)].into_iter(), label, work) }.unwrap();
    };
    schedule("");
    let observation = runtime.observation().unwrap();
    observation.observe(true);
    schedule("later");
    observation.observe(false);
    schedule("");
    let report = observation.report();
    let labels: Vec<_> = report.behaviours.iter().map(|one| one.label.as_deref()).collect();
    assert_eq!(labels, [Some("later")]);
    assert_eq!(pump.run_until_idle(), 3);
    runtime.quiesce(Some(LONG)).unwrap();
    let activity = observation.activity();
    assert_eq!((activity.calls, activity.elsewhere.len()), (1, 0));
}

#[test]
fn the_watchdog_tells_of_it_once() {
    let (told, stalls) = mpsc::channel();
    let hook = move |stall: &Stall| drop(told.send(stall.clone()));
    let limit = Duration::from_millis(5);
    let runtime = Builder::new().workers(1).watchdog(limit, hook).build().unwrap();
    let pump = Pump::new();
    let (seen, told) = mpsc::channel();
    let stalls = Arc::new(Mutex::new(stalls));
    for _ in 0..2 {
        let (seen, stalls) = (seen.clone(), Arc::clone(&stalls));
        pinned(runtime.executor(), &pump, &Cown::new(1), move || {
            seen.send(stalls.lock().unwrap().recv_timeout(LONG).unwrap()).unwrap();
        });
    }
    assert_eq!(pump.run_until_idle(), 2);
    for number in 1..=2 {
        let stall = told.recv().unwrap();
        assert_eq!((stall.worker, stall.behaviour.id.number()), (None, number));
        assert!(stall.behaviour.elsewhere && stall.behaviour.elapsed >= limit);
        let text = stall.to_string();
        assert!(text.starts_with(&format!("another executor has been inside of #{number} for ")));
    }
    drop(runtime);
    assert!(stalls.lock().unwrap().try_recv().is_err());
}
