//! What the documentation promises of events.
#![cfg(not(loom))]

use std::{
    collections::HashMap,
    panic,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use boc_core::{
    Builder, Cown, Failure, Runtime, Scope, Step,
    observe::{BehaviourId, CownId, Event, EventKind, EventKind::*, Events, Mode},
    raw, read, when, when_detached,
};

fn observed(workers: usize) -> Runtime {
    Builder::new().workers(workers).events(100_000).build().expect("threads")
}

/// All events of a runtime in which nothing goes on any more.
fn events(runtime: &Runtime) -> Vec<Event> {
    runtime.quiesce(Some(Duration::from_secs(60))).expect("it comes to rest");
    let Events { events, lost, .. } = runtime.take_events();
    assert_eq!(lost, 0);
    events
}

/// What happened to each behaviour, in the order of the behaviours.
fn lives(events: &[Event]) -> Vec<Vec<EventKind>> {
    let mut ids: Vec<_> = events.iter().map(Event::behaviour).collect();
    ids.sort_unstable();
    ids.dedup();
    let of = |id| events.iter().filter(move |event| event.behaviour() == id);
    ids.into_iter().map(|id| of(id).map(|event| event.kind).collect()).collect()
}

const ALL: [EventKind; 4] = [Scheduled, Ready, Started, Ended];

#[test]
fn a_behaviour_is_scheduled_ready_started_and_ended() {
    let runtime = observed(1);
    let (a, b) = (Cown::new(1), Cown::new(2));
    let handle = runtime.when((read(&a), &b), |(a, b)| *b += *a);
    let result = CownId::from(&handle);
    handle.wait().unwrap();
    let events = events(&runtime);
    assert_eq!(lives(&events), [ALL]);
    let [scheduled, .., ended] = &events[..] else { panic!("there are four") };
    assert_eq!((scheduled.worker, ended.worker), (None, Some(0)));
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let cowns: Vec<_> = ended.cowns().iter().map(|named| (named.cown, named.mode)).collect();
    assert_eq!(cowns, [((&a).into(), Mode::Read), ((&b).into(), Mode::Write)]);
    assert_eq!(ended.result(), Some(result));
    assert!(runtime.take_events().events.is_empty(), "they were taken");
}

#[test]
fn every_form_of_scheduling_tells_its_place() {
    let runtime = observed(2);
    let cown = Cown::new(0);
    let mut lines = vec![];
    let mut here = |line: u32| lines.push(line);
    here(line!() + 1);
    runtime.when(&cown, |_| ()).wait().unwrap();
    here(line!() + 1);
    runtime.try_when(&cown, |_| ()).unwrap().wait().unwrap();
    here(line!() + 1);
    runtime.when_detached(&cown, |_| ());
    here(line!() + 1);
    runtime.executor().when_repeated(&cown, |_| Step::Done(())).wait().unwrap();
    here(line!() + 1);
    runtime.scope(|scope| scope.when(&cown, |_| ())).wait().unwrap();
    let mut batch = runtime.batch();
    here(line!() + 1);
    let in_batch = batch.when(&cown, |_| ());
    let in_batch = batch.schedule().handle(in_batch);
    here(line!() + 1);
    in_batch.then(runtime.executor(), |_| ()).wait().unwrap();
    let inner = cown.clone();
    let (first, second) = (line!() + 3, line!() + 4);
    here(line!() + 1);
    runtime.when(&cown, move |_| {
        when(&inner, |_| ());
        when_detached(&inner, |_| ());
    });
    here(first);
    here(second);
    // SAFETY: the cown is alive.
    let scheduled = unsafe {
        here(line!() + 1);
        raw::when(runtime.executor(), &[raw::Access::from(&cown)], (), |_, ()| ())
    };
    scheduled.unwrap();

    let mut events = events(&runtime);
    events.retain(|event| event.kind == Scheduled);
    assert!(events.iter().all(|event| event.location().file() == file!()));
    let mut found: Vec<_> = events.iter().map(|event| event.location().line()).collect();
    found.sort_unstable();
    assert_eq!(found, lines);
}

#[test]
fn a_label_stands_for_the_place() {
    let runtime = observed(1);
    let begun = raw::begin(runtime.executor(), 0).unwrap();
    let label = || Some("fill in shop.c".into());
    // SAFETY: there are no cowns.
    unsafe { begun.when_detached([].into_iter(), label, |_, ()| ()) }.unwrap();
    let events = events(&runtime);
    assert!(!events.is_empty());
    for event in &events {
        assert_eq!(event.label(), Some("fill in shop.c"));
        assert!(event.to_string().ends_with("(fill in shop.c)"), "{event}");
        assert!(event.location().file().ends_with("events.rs"));
    }
    // Who is not observed is not asked.
    let runtime = Runtime::with_workers(1);
    let begun = raw::begin(runtime.executor(), 0).unwrap();
    let label = || unreachable!("nobody wants to know");
    // SAFETY: as above.
    unsafe { begun.when_detached([].into_iter(), label, |_, ()| ()) }.unwrap();
}

#[test]
fn what_is_cancelled_is_not_started() {
    let runtime = observed(1);
    let cown = Cown::new(0);
    let (release, blocked) = mpsc::channel::<()>();
    runtime.when_detached(&cown, move |_| blocked.recv().unwrap());
    let waiting = runtime.when(&cown, |_| ());
    let ready = runtime.when((), |()| ());
    assert!(waiting.cancel() && ready.cancel());
    release.send(()).unwrap();
    let events = events(&runtime);
    let [ran, waiting, ready] = &lives(&events)[..] else { panic!("{events:?}") };
    assert_eq!(ran, &ALL);
    assert_eq!(waiting, &[Scheduled, Cancelled]);
    assert_eq!(ready, &[Scheduled, Ready, Cancelled]);
}

#[test]
fn the_end_of_the_runtime_cancels() {
    let runtime = observed(1);
    let cown = Cown::new(0);
    let (started, has_started) = mpsc::channel();
    let (release, blocked) = mpsc::channel::<()>();
    runtime.when_detached(&cown, move |_| {
        started.send(()).unwrap();
        blocked.recv().unwrap();
    });
    has_started.recv().unwrap();
    let late = runtime.when(&cown, |_| ());
    runtime.stop();
    let refused = runtime.when(&cown, |_| ());
    release.send(()).unwrap();
    runtime.shutdown_now();
    assert!(matches!(late.wait(), Err(Failure::Cancelled)));
    assert!(matches!(refused.wait(), Err(Failure::Cancelled)));
    // What was refused never was one of the runtime's.
    assert_eq!(lives(&events(&runtime)), [&ALL[..], &[Scheduled, Ready, Cancelled]]);
}

#[test]
fn a_request_that_is_refused_is_no_event() {
    let runtime = observed(1);
    let cown = Cown::new(0);
    assert!(runtime.try_when((&cown, &cown), |_| ()).is_err());
    assert!(runtime.try_when((read(&cown), &cown), |_| ()).is_err());
    assert!(runtime.batch().try_when((&cown, read(&cown)), |_| ()).is_err());
    assert!(events(&runtime).is_empty());
    // One that only reads names the cown once.
    let other = Cown::new(0);
    runtime.when((read(&other), read(&cown), read(&other)), |_| ()).wait().unwrap();
    let cowns = events(&runtime)[0].cowns().to_vec();
    assert_eq!(
        cowns.iter().map(|named| named.cown).collect::<Vec<_>>(),
        [CownId::from(&other), CownId::from(&cown)]
    );
}

#[test]
fn a_batch_is_scheduled_or_cancelled() {
    let runtime = observed(1);
    let cown = Cown::new(0);
    let mut batch = runtime.batch();
    batch.when(&cown, |_| ());
    batch.when(&cown, |_| ());
    assert!(runtime.take_events().events.is_empty(), "it is not scheduled");
    batch.schedule();
    let mut dropped = runtime.batch();
    dropped.when(&cown, |_| ());
    drop(dropped);
    assert_eq!(lives(&events(&runtime)), [&ALL[..], &ALL, &[Cancelled]]);
}

#[test]
fn each_run_of_a_repeated_behaviour_is_told() {
    let runtime = observed(2);
    let cown = Cown::new(0);
    let count = |n: &mut i32| {
        *n += 1;
        if *n < 3 { Step::Again } else { Step::Done(()) }
    };
    runtime.executor().when_repeated(&cown, count).wait().unwrap();
    assert_eq!(lives(&events(&runtime)), [[ALL, ALL, ALL].concat()]);
}

#[test]
fn a_panic_ends_a_behaviour() {
    let runtime = observed(1);
    let handle = runtime.when((), |()| panic::resume_unwind(Box::new("on purpose")));
    assert!(matches!(handle.wait(), Err(Failure::Panicked(_))));
    assert_eq!(lives(&events(&runtime)), [ALL]);
}

/// What is scheduled from inside goes to the same runtime, by way of scopes, too, and is told of like
/// any other.
#[test]
fn behaviours_of_behaviours_and_of_scopes_are_told() {
    let runtime = observed(2);
    let executor = runtime.executor().clone();
    runtime.scope(|scope| {
        scope.when((), move |()| {
            when((), |()| ());
            // A scope in a behaviour of a scope, which schedules on it.
            let inner = raw::with_current_executor(|executor| Scope::new(executor.unwrap()));
            inner.when((), |()| when_detached((), |()| ()));
            let ended = inner.close();
            when(&ended, |ended| ended.take().unwrap());
            executor.when((), |()| ());
        });
    });
    let lives = lives(&events(&runtime));
    assert_eq!(lives, [ALL; 6]);
}

#[test]
fn an_executor_that_was_taken_out_of_a_behaviour_stays_good() {
    let runtime = observed(1);
    let current = || raw::with_current_executor(|executor| executor.unwrap().clone());
    let executor = runtime.when((), move |()| current()).wait().unwrap();
    executor.when((), |()| ()).wait().unwrap();
    let scoped = runtime.scope(|scope| scope.when((), move |()| current())).wait().unwrap();
    assert!(scoped.when((), |()| ()).wait().is_err(), "the scope has ended");
    drop((executor, scoped));
    assert_eq!(lives(&events(&runtime)), [ALL; 3]);
}

#[test]
fn the_oldest_events_make_room_and_are_counted() {
    let runtime = Builder::new().workers(1).events(4).build().unwrap();
    for _ in 0..10 {
        runtime.when((), |()| ()).wait().unwrap();
    }
    runtime.quiesce(None).unwrap();
    let Events { events, lost, .. } = runtime.take_events();
    // Each has two events on the thread here, and two on the worker.
    assert_eq!((events.len(), lost), (8, 2 * (20 - 4)));
    assert_eq!(lives(&events), [ALL; 2], "the last ones are kept");
    assert_eq!(runtime.take_events().lost, 0, "told once");
}

#[test]
fn who_writes_a_cown_is_alone_between_start_and_end() {
    let runtime = observed(2);
    let cown = Cown::new(0_u32);
    let both = Arc::new(Barrier::new(2));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                both.wait();
                for _ in 0..500 {
                    runtime.when_detached(&cown, |n| *n += 1);
                }
            });
        }
    });
    let events = events(&runtime);
    assert_eq!(lives(&events), vec![ALL; 1_000]);
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let mut inside: Option<BehaviourId> = None;
    for event in &events {
        match event.kind {
            Started => assert_eq!(inside.replace(event.behaviour()), None, "{event}"),
            Ended => assert_eq!(inside.take(), Some(event.behaviour()), "{event}"),
            _ => (),
        }
    }
}

#[test]
fn runtimes_that_share_a_cown_tell_of_their_own_behaviours() {
    let (one, other, silent) = (observed(1), observed(1), Runtime::with_workers(1));
    let cown = Cown::new(Vec::new());
    for n in 0..300 {
        let runtime = [&one, &other, &silent][n % 3];
        runtime.when_detached(&cown, move |log| log.push(n));
    }
    let log = silent.when(&cown, std::mem::take).wait().unwrap();
    assert!(log.into_iter().eq(0..300));
    for runtime in [&one, &other] {
        let events = events(runtime);
        assert_eq!(lives(&events), vec![ALL; 100]);
        let workers: HashMap<_, _> =
            events.iter().map(|event| (event.kind, event.worker)).collect();
        assert_eq!(workers[&Started], Some(0));
    }
    silent.quiesce(None).unwrap();
    assert!(silent.take_events().events.is_empty(), "it is not observed");
}

#[test]
fn a_bound_holds_for_an_observed_runtime() {
    let runtime = Builder::new().workers(1).max_in_flight(3).events(10).build().unwrap();
    for _ in 0..500 {
        runtime.when_detached((), |()| ());
        assert!(runtime.in_flight() <= 3);
    }
}

/// Events refer to nothing, so that they outlive all.
#[test]
fn events_outlive_the_runtime() {
    let runtime = observed(1);
    runtime.when(&Cown::new(1), |_| ()).wait().unwrap();
    let events = events(&runtime);
    drop(runtime);
    assert_eq!(events[0].cowns().len(), 1);
    let line = events[0].to_string();
    assert!(line.contains("#1 scheduled") && line.contains(file!()), "{line}");
}

#[test]
#[should_panic(expected = "keeps none")]
fn a_buffer_of_none_is_refused() {
    let _ = Builder::new().events(0);
}

#[test]
fn a_runtime_that_can_be_observed_is_when_asked() {
    let runtime = Builder::new().workers(2).observable().build().expect("threads");
    let observation = runtime.observation().expect("it can be observed");
    let run = || {
        runtime.when_detached((), |()| ());
        runtime.quiesce(None).unwrap();
    };
    run();
    assert!(!runtime.report().observed);
    observation.observe(true);
    run();
    assert!(observation.take_events().events.is_empty(), "nothing is written down");
    assert_eq!(observation.activity().calls, 1);
    observation.keep_events(100);
    run();
    let kinds = |events: Events| events.events.iter().map(|one| one.kind).collect::<Vec<_>>();
    assert_eq!(kinds(runtime.take_events()), [Scheduled, Ready, Started, Ended]);
    observation.observe(false);
    run();
    assert!(kinds(observation.take_events()).is_empty());
    observation.observe(true);
    run();
    observation.keep_events(2);
    let events = observation.take_events();
    // One lane has those of this thread, the other those of the worker.
    assert_eq!(kinds(events), [Scheduled, Ready, Started, Ended]);
    run();
    observation.keep_events(0);
    assert!(kinds(observation.take_events()).is_empty());
    drop(runtime);
    assert!(observation.report().behaviours.is_empty());
}

#[test]
fn one_that_began_unobserved_is_no_part_of_the_report() {
    let runtime = Builder::new().workers(1).observable().build().expect("threads");
    let observation = runtime.observation().expect("it can be observed");
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let cown = Cown::new(0);
    runtime.when_detached(&cown, move |n| {
        may_go_on.recv().unwrap();
        *n += 1;
    });
    observation.observe(true);
    // What it schedules is observed all the same, and comes behind it.
    let second = runtime.when(&cown, |n| *n += 1);
    let report = runtime.report();
    assert_eq!((report.behaviours.len(), report.in_flight), (1, 2));
    assert_eq!(runtime.progress().scheduled, 2);
    go_on.send(()).unwrap();
    second.wait().unwrap();
    runtime.quiesce(None).unwrap();
    assert_eq!(runtime.progress().ended, 2);
}
