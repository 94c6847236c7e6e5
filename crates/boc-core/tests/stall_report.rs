//! What the documentation promises of reports, and of the watchdog.
#![cfg(not(loom))]

use std::{
    panic,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use boc_core::{
    Builder, Cown, Promise, Pump, Runtime, Step,
    observe::{BehaviourReport, BehaviourState, BehaviourState::*, CownId, Mode, Report, Stall},
    read, when_detached,
};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

fn observed(workers: usize) -> Runtime {
    Builder::new().workers(workers).observe().build().expect("threads")
}

/// Lets a behaviour go on that is blocked.
struct Gate(mpsc::Sender<()>);

impl Gate {
    fn open(self) {
        self.0.send(()).unwrap();
    }
}

/// A gate, and what stands before it: a closure that returns when it is open, and that says before
/// that it has started.
fn gate() -> (Gate, impl FnOnce() + Send + 'static, mpsc::Receiver<()>) {
    let (open, is_open) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let block = move || {
        started.send(()).unwrap();
        is_open.recv().unwrap();
    };
    (Gate(open), block, has_started)
}

/// A behaviour over the cowns of the request that blocks its worker.
macro_rules! block {
    ($runtime:expr, $request:expr) => {{
        let (gate, block, has_started) = gate();
        $runtime.when_detached($request, move |_| block());
        has_started.recv_timeout(LONG).unwrap();
        gate
    }};
}

/// The behaviour with this number.
fn numbered(report: &Report, number: usize) -> &BehaviourReport {
    let one = report.behaviours.iter().find(|one| one.id.to_string() == format!("#{number}"));
    one.unwrap_or_else(|| panic!("there is no #{number} in\n{report}"))
}

fn states(report: &Report) -> Vec<BehaviourState> {
    report.behaviours.iter().map(|one| one.state).collect()
}

fn holds(one: &BehaviourReport) -> Vec<CownId> {
    one.holds.iter().map(|named| named.cown).collect()
}

/// For each cown that a behaviour waits for: which, and the numbers of those that are before it.
fn waits(report: &Report, number: usize) -> Vec<(CownId, Vec<String>)> {
    let one = numbered(report, number);
    let before = |wait| report.before(wait).iter().map(|place| place.behaviour.to_string());
    one.waits_for.iter().map(|wait| (wait.named.cown, before(wait).collect())).collect()
}

fn at_rest(runtime: &Runtime) {
    runtime.quiesce(Some(LONG)).expect("it comes to rest");
    let report = runtime.report();
    assert!(report.behaviours.is_empty() && report.queues.is_empty(), "{report}");
    assert!(report.workers.iter().all(Option::is_none));
}

#[test]
fn a_report_says_who_is_in_the_way_of_whom() {
    let runtime = observed(1);
    let (a, b) = (Cown::new(1), Cown::new(2));
    let line = line!() + 1;
    let gate = block!(runtime, &a);
    runtime.when_detached((&a, &b), |_| ());
    runtime.when_detached(&b, |_| ());
    runtime.when_detached((), |()| ());

    let report = runtime.report();
    assert!(report.observed);
    assert_eq!(report.in_flight, 4);
    assert_eq!(states(&report), [Running, Waiting, Waiting, Ready], "{report}");
    let first = numbered(&report, 1);
    assert_eq!((first.location.file(), first.location.line()), (file!(), line));
    assert_eq!(report.workers[0].unwrap().behaviour, first.id);
    assert_eq!(holds(first), [(&a).into()]);
    assert_eq!(waits(&report, 2), [((&a).into(), vec!["#1".into()])]);
    assert_eq!(holds(numbered(&report, 2)), [(&b).into()], "nobody is before it there");
    assert_eq!(waits(&report, 3), [((&b).into(), vec!["#2".into()])]);
    assert!(report.before(&numbered(&report, 3).waits_for[0])[0].holds);

    let text = report.to_string();
    for part in [
        "workers: 1, behaviours that have not ended: 4",
        "worker 0: inside of #1 for ",
        &format!("#1 running for {:.1?}, scheduled at {}:{line}:", first.elapsed, file!()),
        &format!("holds {} to write", CownId::from(&a)),
        &format!("waits for {} to write, behind #2, who holds it", CownId::from(&b)),
        "#4 ready for ",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    gate.open();
    at_rest(&runtime);
}

#[test]
fn who_waits_for_an_outcome_waits_for_its_behaviour() {
    let runtime = observed(1);
    let gate = block!(runtime, ());
    let handle = runtime.when((), |()| 1);
    let over = runtime.when(&handle, |outcome| outcome.take().unwrap());
    let report = runtime.report();
    assert_eq!(states(&report), [Running, Ready, Waiting]);
    assert_eq!(numbered(&report, 2).result, Some((&handle).into()));
    assert_eq!(waits(&report, 3), [((&handle).into(), vec!["#2".into()])]);
    assert!(holds(numbered(&report, 2)).is_empty(), "its outcome is not part of the request");
    gate.open();
    assert_eq!(over.wait().unwrap(), 1);
    at_rest(&runtime);
}

#[test]
fn who_waits_for_somebody_else_waits_for_nobody_who_is_seen() {
    let runtime = observed(1);
    let (pump, cown) = (Pump::new(), Cown::new(1));
    let (promise, promised) = Promise::new();
    pump.executor().when(&cown, |_| ());
    runtime.when_detached(&cown, |_| ());
    runtime.when_detached(&promised, |_| ());
    let report = runtime.report();
    assert_eq!(states(&report), [Waiting, Waiting]);
    assert_eq!(waits(&report, 1), [((&cown).into(), vec![])]);
    assert_eq!(waits(&report, 2), [((&promised).into(), vec![])]);
    assert!(report.behaviours.iter().all(|one| one.holds.is_empty()));
    assert!(report.to_string().contains("behind nobody who is seen"));
    pump.run_until_idle();
    promise.fulfil(()).unwrap();
    at_rest(&runtime);
}

#[test]
fn readers_hold_a_cown_together() {
    let runtime = observed(2);
    let cown = Cown::new(1);
    let first = block!(runtime, read(&cown));
    let second = block!(runtime, read(&cown));
    runtime.when_detached(&cown, |_| ());
    runtime.when_detached(read(&cown), |_| ());
    runtime.when_detached(read(&cown), |_| ());
    let report = runtime.report();
    assert_eq!(states(&report), [Running, Running, Waiting, Waiting, Waiting]);
    assert_eq!(report.workers.iter().flatten().count(), 2);
    for number in [1, 2] {
        let named = numbered(&report, number).holds[0];
        assert_eq!((named.cown, named.mode), ((&cown).into(), Mode::Read));
    }
    let [queue] = &report.queues[..] else { panic!("{report}") };
    let places: Vec<_> = queue.places.iter().map(|place| (place.mode, place.holds)).collect();
    assert_eq!(
        places,
        [
            (Mode::Read, true),
            (Mode::Read, true),
            (Mode::Write, false),
            (Mode::Read, false),
            (Mode::Read, false),
        ]
    );
    let third = vec!["#1".into(), "#2".into(), "#3".into()];
    assert_eq!(waits(&report, 4), [((&cown).into(), third)]);
    first.open();
    second.open();
    at_rest(&runtime);
}

#[test]
fn a_reader_behind_readers_that_wait_does_not_hold_the_cown_if_they_do_not() {
    let runtime = observed(1);
    let (a, b) = (Cown::new(1), Cown::new(2));
    let gate = block!(runtime, &a);
    // Holds `b` and waits for `a`; the next one joins it on `b`.
    runtime.when_detached((&a, read(&b)), |_| ());
    runtime.when_detached((&a, read(&b)), |_| ());
    let report = runtime.report();
    assert_eq!(holds(numbered(&report, 3)), [(&b).into()]);
    assert_eq!(waits(&report, 3), [((&a).into(), vec!["#1".into(), "#2".into()])]);
    gate.open();
    at_rest(&runtime);
}

#[test]
fn a_batch_stands_in_no_queue_before_it_is_scheduled() {
    let runtime = observed(1);
    let cown = Cown::new(1);
    let gate = block!(runtime, &cown);
    let mut batch = runtime.batch();
    batch.when(&cown, |_| ());
    batch.when(&cown, |_| ());
    runtime.when_detached(&cown, |_| ());
    let report = runtime.report();
    assert_eq!(states(&report), [Running, InBatch, InBatch, Waiting]);
    assert_eq!(waits(&report, 4), [((&cown).into(), vec!["#1".into()])]);
    batch.schedule();
    let report = runtime.report();
    assert_eq!(states(&report), [Running, Waiting, Waiting, Waiting]);
    let before = ["#1", "#4", "#2"].map(String::from).to_vec();
    assert_eq!(waits(&report, 3), [((&cown).into(), before)], "behind who was faster");
    gate.open();
    at_rest(&runtime);
}

#[test]
fn a_behaviour_that_runs_again_is_behind_the_others() {
    let runtime = observed(1);
    let cown = Cown::new(());
    let (started, has_started) = mpsc::channel();
    let (step, steps) = mpsc::channel();
    let again = runtime.executor().when_repeated(&cown, move |()| {
        started.send(()).unwrap();
        steps.recv().unwrap()
    });
    has_started.recv_timeout(LONG).unwrap();
    let (gate, block, other_started) = gate();
    runtime.when_detached(&cown, move |_| block());
    step.send(Step::Again).unwrap();
    other_started.recv_timeout(LONG).unwrap();
    // The worker is inside of the second now, so the first is where it belongs.
    let report = runtime.report();
    assert_eq!(states(&report), [Waiting, Running]);
    assert_eq!(waits(&report, 1), [((&cown).into(), vec!["#2".into()])]);
    step.send(Step::Done(())).unwrap();
    gate.open();
    again.wait().unwrap();
    at_rest(&runtime);
}

#[test]
fn who_is_over_the_outcome_of_a_cancelled_behaviour_does_not_wait_for_that() {
    let runtime = observed(1);
    let cown = Cown::new(1);
    let gate = block!(runtime, &cown);
    let handle = runtime.when(&cown, |_| ());
    runtime.when_detached(&handle, |_| ());
    runtime.when_detached(&handle, |_| ());
    assert!(handle.cancel());
    let report = runtime.report();
    assert_eq!(states(&report), [Running, Waiting, Ready, Waiting], "{report}");
    assert_eq!(
        waits(&report, 2),
        [((&cown).into(), vec!["#1".into()])],
        "its place is still there"
    );
    assert_eq!(waits(&report, 4), [((&handle).into(), vec!["#3".into()])]);
    gate.open();
    at_rest(&runtime);
}

#[test]
fn a_long_queue_is_told_in_few_words() {
    let runtime = observed(1);
    let cown = Cown::new(0);
    let gate = block!(runtime, &cown);
    for _ in 0..10_000 {
        runtime.when_detached(&cown, |n| *n += 1);
    }
    let report = runtime.report();
    let last = report.behaviours.last().unwrap();
    assert_eq!(report.before(&last.waits_for[0]).len(), 10_000);
    let text = report.to_string();
    assert!(text.ends_with("behind #1, who holds it, #2, #3, #4, and 9996 more"), "…");
    gate.open();
    at_rest(&runtime);
}

#[test]
fn a_behaviour_can_ask_for_a_report() {
    let runtime = Arc::new(observed(1));
    let asked = Arc::clone(&runtime);
    let report = runtime.when((), move |()| asked.report()).wait().unwrap();
    assert_eq!(states(&report), [Running]);
    at_rest(&runtime);
}

#[test]
fn a_runtime_that_is_not_observed_says_so() {
    let runtime = Runtime::with_workers(1);
    let (promise, promised) = Promise::<()>::new();
    runtime.when_detached(&promised, |_| ());
    let report = runtime.report();
    assert!(!report.observed && report.behaviours.is_empty());
    assert_eq!(report.in_flight, 1);
    assert!(
        report
            .to_string()
            .contains("behaviours in flight: 1; the runtime was not made to be observed")
    );
    drop(promise);
}

/// A runtime whose watchdog says what it sees.
fn watched(workers: usize, limit: Duration) -> (Runtime, mpsc::Receiver<Stall>) {
    let (told, stalls) = mpsc::channel();
    let hook = move |stall: &Stall| drop(told.send(stall.clone()));
    (Builder::new().workers(workers).watchdog(limit, hook).build().unwrap(), stalls)
}

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn the_watchdog_tells_who_stalls_and_who_waits() {
    let (runtime, stalls) = watched(1, SHORT);
    let (a, b) = (Cown::new(1), Cown::new(2));
    let (gate, block, _started) = gate();
    // Nothing starts before all is scheduled.
    let (promise, start) = Promise::new();
    let line = line!() + 1;
    let handle = runtime.when((&a, read(&b), &start), move |_| block());
    runtime.when_detached(&a, |_| ());
    runtime.when_detached(&b, |_| ());
    runtime.when_detached(read(&b), |_| ());
    runtime.when_detached(&handle, |_| ());
    runtime.when_detached((), |()| ());
    promise.fulfil(()).unwrap();

    let stall = stalls.iter().find(|stall| stall.behaviour.id.to_string() == "#1").unwrap();
    assert_eq!((stall.worker, stall.behaviour.location.line()), (Some(0), line));
    assert!(stall.behaviour.elapsed >= SHORT);
    assert_eq!(holds(&stall.behaviour), [(&a).into(), (&b).into(), (&start).into()]);
    let waiting: Vec<_> = stall.waiting.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(waiting, ["#2", "#3", "#4", "#5"], "{stall}");
    assert!(stall.waiting.iter().all(|one| one.state == Waiting));
    let text = stall.to_string();
    for part in ["worker 0 has been inside of #1 for ", "in the way of #2 waiting for "] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    gate.open();
    at_rest(&runtime);
}

#[test]
fn the_watchdog_tells_once_of_each_call() {
    let (runtime, stalls) = watched(2, SHORT);
    let first = block!(runtime, ());
    let one = stalls.recv_timeout(LONG).unwrap();
    assert_eq!(one.behaviour.id.to_string(), "#1");
    // Each of these was noticed later, so it looked at the first one again.
    for number in 2..5 {
        let other = block!(runtime, ());
        let stall = stalls.recv_timeout(LONG).unwrap();
        assert_eq!(stall.behaviour.id.to_string(), format!("#{number}"));
        assert_ne!(stall.worker, one.worker);
        other.open();
    }
    first.open();
    // Two calls of one closure are two.
    let mut left = 2;
    let (gates, entered) = mpsc::channel();
    runtime.executor().when_repeated((), move |()| {
        let (open, is_open) = mpsc::channel::<()>();
        gates.send(open).unwrap();
        is_open.recv().unwrap();
        left -= 1;
        if left == 0 { Step::Done(()) } else { Step::Again }
    });
    for _ in 0..2 {
        let open = entered.recv_timeout(LONG).unwrap();
        assert_eq!(stalls.recv_timeout(LONG).unwrap().behaviour.id.to_string(), "#5");
        open.send(()).unwrap();
    }
    at_rest(&runtime);
    drop(runtime);
    assert!(stalls.recv_timeout(LONG).is_err(), "nothing more, and the hook is gone");
}

#[test]
fn a_hook_that_panics_is_called_again() {
    let (told, calls) = mpsc::channel();
    let hook = move |_: &Stall| {
        told.send(()).unwrap();
        panic::resume_unwind(Box::new("on purpose"));
    };
    let runtime = Builder::new().workers(1).watchdog(SHORT, hook).build().unwrap();
    for _ in 0..3 {
        let gate = block!(runtime, ());
        calls.recv_timeout(LONG).unwrap();
        gate.open();
    }
    at_rest(&runtime);
}

#[test]
fn the_watchdog_ends_with_the_runtime() {
    for end in [Runtime::shutdown, Runtime::shutdown_now, |_: &Runtime| ()] {
        for limit in [Duration::ZERO, SHORT, Duration::MAX] {
            let token = Arc::new(());
            let kept = Arc::clone(&token);
            let builder = Builder::new().workers(1).watchdog(limit, move |_| drop(kept.clone()));
            let runtime = builder.build().unwrap();
            runtime.when((), |()| ()).wait().unwrap();
            end(&runtime);
            drop(runtime);
            assert_eq!(Arc::strong_count(&token), 1, "the hook is gone, and its thread");
        }
    }
}

/// A runtime that ends from the inside has nobody to wait for the watchdog.
#[test]
fn the_watchdog_ends_with_a_runtime_that_ends_itself() {
    let (told, ended) = mpsc::channel::<()>();
    let hook = move |_: &Stall| told.send(()).unwrap();
    let builder = Builder::new().workers(1).watchdog(LONG, hook);
    let runtime = Arc::new(builder.build().unwrap());
    let inner = Arc::clone(&runtime);
    runtime.when_detached((), move |()| inner.shutdown());
    drop(runtime);
    assert_eq!(ended.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_hook_can_end_the_runtime() {
    let place = Arc::new(OnceLock::<Runtime>::new());
    let (inner, (told, ended)) = (Arc::clone(&place), mpsc::channel());
    let (gate, block, started) = gate();
    let gate = std::sync::Mutex::new(Some(gate));
    let hook = move |_: &Stall| {
        let runtime = inner.get().unwrap();
        runtime.drain();
        gate.lock().unwrap().take().unwrap().open();
        runtime.shutdown();
        told.send(()).unwrap();
    };
    let runtime = Builder::new().workers(1).watchdog(SHORT, hook).build().unwrap();
    let runtime = place.get_or_init(|| runtime);
    runtime.when_detached((), move |()| block());
    started.recv_timeout(LONG).unwrap();
    ended.recv_timeout(LONG).unwrap();
    assert!(runtime.when((), |()| ()).wait().is_err());
}

/// Behaviours of scopes, and what they lead to, are seen like others.
#[test]
fn the_watchdog_sees_into_scopes() {
    let (runtime, stalls) = watched(1, SHORT);
    let cown = Cown::new(0);
    thread::scope(|threads| {
        let (gate, block, _started) = gate();
        let inner = cown.clone();
        let scoped = threads.spawn(|| {
            runtime.scope(|scope| {
                scope.when((), move |()| when_detached(&inner, move |_| block()));
            });
        });
        // The outer one is told of, too, if the machine is slow.
        assert!(stalls.iter().any(|stall| holds(&stall.behaviour) == [(&cown).into()]));
        gate.open();
        scoped.join().unwrap();
    });
    at_rest(&runtime);
}
