//! What a behaviour schedules without saying where goes to its own executor, wherever that runs it; and
//! executors can end.

mod shelf;

use boc_core::{
    Builder, Cown, Failure, Promise, Pump, Runtime, Scope, inside_behaviour, raw, when,
};
use shelf::Shelf;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

#[test]
fn what_a_pumped_behaviour_schedules_runs_on_the_pump() {
    let pump = Pump::new();
    let inner = pump.executor().when((), |()| when((), |()| thread::current().id()));
    assert_eq!(pump.run_until_idle(), 2);
    let here = inner.wait().unwrap().wait().unwrap();
    assert_eq!(here, thread::current().id());
}

#[test]
fn what_a_behaviour_of_a_lane_schedules_stays_in_the_lane() {
    let pump = Pump::with_lanes(2);
    pump.lane(1).when_detached((), |()| drop(when((), |()| ())));
    assert!(pump.run_one());
    let urgent = pump.lane(0).when((), |()| ());
    assert!(pump.run_one());
    assert!(urgent.is_finished(), "it goes before what is in the second lane");
    assert!(pump.run_one());
}

#[test]
fn what_a_behaviour_schedules_that_a_worker_runs_for_another_executor_goes_there() {
    let shelf = Shelf::default();
    let runtime = Runtime::with_workers(1);
    shelf.executor().when_detached((), |()| drop(when((), |()| ())));
    let ready = shelf.take(0);
    let (mine, after) = runtime
        .when((), move |()| {
            let mine = raw::with_current_executor(|executor| format!("{executor:?}"));
            ready.run();
            // The worker's own behaviour schedules where it did before.
            (mine, raw::with_current_executor(|executor| format!("{executor:?}")))
        })
        .wait()
        .unwrap();
    assert_eq!(mine, after);
    assert_eq!(shelf.len(), 1, "the inner one");
    shelf.run_all();
}

#[test]
fn a_scope_over_a_pump_waits_for_what_its_behaviours_schedule() {
    let pump = Pump::new();
    let scope = Scope::new(pump.executor());
    scope.when((), |()| drop(when((), |()| ())));
    let ended = scope.close();
    assert!(pump.run_one());
    assert!(!ended.is_finished());
    assert!(pump.run_one());
    assert!(ended.is_finished());
}

#[test]
fn a_behaviour_can_close_the_pump_that_runs_it() {
    let pump = Arc::new(Pump::new());
    let closing = Arc::clone(&pump);
    pump.executor().when_detached((), move |()| closing.close());
    let late = pump.executor().when((), |()| ());
    assert_eq!(pump.run_until_idle(), 1);
    assert!(matches!(late.wait(), Err(Failure::Cancelled)));
    let refused = pump.executor().when((), |()| ());
    assert!(matches!(refused.wait(), Err(Failure::Cancelled)));
}

#[test]
fn a_closed_executor_says_so_before_anything_is_made() {
    let runtime = Runtime::with_workers(1);
    // What was begun, and not made, is not in flight.
    drop(raw::begin(runtime.executor(), 0));
    runtime.quiesce(None).unwrap();
    let pump = Pump::new();
    assert!(raw::begin(pump.executor(), 0).is_some());
    pump.close();
    assert!(raw::begin(pump.executor(), 0).is_none());
}

#[test]
fn a_runtime_without_workers_ends_when_it_is_told_to() {
    let runtime = Builder::new().workers(1).foreign_threads().build().unwrap();
    let cown = Cown::new(1);
    let never = runtime.when(&cown, |n| *n);
    runtime.drain();
    assert!(runtime.wait_ended(Some(Duration::ZERO)));
    assert!(matches!(never.wait(), Err(Failure::Cancelled)));
    assert_eq!(runtime.in_flight(), 0);
    // A worker that comes now finds nothing to do.
    runtime.run_worker(&mut ()).unwrap();
}

#[test]
fn who_is_told_of_the_end_of_a_promise_must_not_wait() {
    let told = Arc::new(AtomicUsize::new(0));
    let fulfil = |promise: Promise<i32>| promise.fulfil(1).unwrap();
    for end in [fulfil as fn(_), drop] {
        let (promise, handle) = Promise::new();
        let result = raw::ResultCown::try_from(handle.cown().clone()).unwrap();
        let told = Arc::clone(&told);
        result.on_finished(move || {
            assert!(inside_behaviour());
            told.fetch_add(1, SeqCst);
        });
        end(promise);
        assert!(!inside_behaviour());
    }
    assert_eq!(told.load(SeqCst), 2);
}

#[test]
fn who_is_told_of_a_cancellation_must_not_wait() {
    let pump = Pump::new();
    let handle = pump.executor().when((), |()| ());
    let (tell, told) = mpsc::channel();
    let result = raw::ResultCown::try_from(handle.cown().clone()).unwrap();
    result.on_finished(move || tell.send(inside_behaviour()).unwrap());
    assert!(handle.cancel());
    assert!(told.recv().unwrap());
}
