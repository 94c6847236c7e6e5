//! What is told of a runtime that is observed, while it goes on: one instant, at which everything is
//! somewhere.

use boc_core::{
    Builder, Cown, ExecutorRef, Pump, Runtime,
    observe::{BehaviourState, Report},
    raw::{self, Access, Held},
};
use loom::{sync::Arc, thread};

use crate::{
    model::{Log, Token, check, entries},
    runtime::{started_worker, write, write_elsewhere},
};

fn observed() -> Arc<Runtime> {
    let builder = Builder::new().workers(1).foreign_threads();
    Arc::new(builder.events(3).build().unwrap())
}

/// All behaviours write the same cown, and are numbered in the order in which they were scheduled.
fn assert_possible(report: &Report) {
    let inside = report.workers.iter().flatten().chain(&report.elsewhere);
    let inside: Vec<_> = inside.map(|one| one.behaviour).collect();
    let running = |state| state == BehaviourState::Running;
    let told: Vec<_> =
        report.behaviours.iter().filter(|one| running(one.state)).map(|one| one.id).collect();
    assert_eq!(inside, told, "who is inside of a worker runs");
    let held = report.behaviours.iter().filter(|one| !one.holds.is_empty());
    assert!(held.count() <= 1, "one at a time holds the cown");
    // Those that wait stand in one row behind who holds it.
    for one in &report.behaviours {
        let before = one.waits_for.iter().flat_map(|wait| report.before(wait));
        assert!(before.clone().all(|place| place.behaviour < one.id));
        let over = |id| report.behaviour(id).expect("told of").state == BehaviourState::Ending;
        assert!(before.clone().all(|place| !over(place.behaviour)));
    }
}

fn assert_empty(report: &Report) {
    assert!(report.behaviours.is_empty() && report.queues.is_empty());
    assert!(report.workers.iter().all(Option::is_none) && report.elsewhere.is_empty());
}

/// A behaviour that the runtime counts and a pump runs.
fn write_on_pump(runtime: &Runtime, pump: &Pump, cown: &Cown<Log>, token: Token, entry: u32) {
    let begun = raw::begin_elsewhere(runtime.executor(), pump.executor(), 1).unwrap();
    let log = cown.clone();
    let work = move |_: Held<'_>, (): &mut ()| {
        // SAFETY: the behaviour holds the cown, to write.
        unsafe { &mut *raw::value_ptr(&log) }.push(entry);
        drop(token);
    };
    // SAFETY: the cown is alive.
    unsafe { begun.when_detached([Access::from(cown)].into_iter(), || None, work) }.unwrap();
}

#[test]
fn a_report_against_starts_and_ends() {
    check(2, |ledger| {
        let runtime = observed();
        let worker = started_worker(&runtime);
        let cown = ledger.log();
        write(runtime.executor(), &cown, ledger.token(), 1);
        write(runtime.executor(), &cown, ledger.token(), 2);
        assert_possible(&runtime.report());
        runtime.shutdown();
        worker.join().unwrap();
        assert_empty(&runtime.report());
        assert_eq!(entries(&cown), [1, 2]);
    });
}

/// The cown comes from a thread that is no worker, which makes the behaviour ready.
#[test]
fn a_report_against_a_cown_from_elsewhere() {
    check(2, |ledger| {
        let runtime = observed();
        let worker = started_worker(&runtime);
        let cown = ledger.log();
        let other = write_elsewhere(&ExecutorRef::inline(), &cown, ledger.token(), 2);
        write(runtime.executor(), &cown, ledger.token(), 1);
        assert_possible(&runtime.report());
        runtime.shutdown();
        worker.join().unwrap();
        other.join().unwrap();
        assert_empty(&runtime.report());
        assert_eq!(entries(&cown).len(), 2);
    });
}

/// Two threads schedule: who is before whom is not known, but all else is. The runtime ends meanwhile.
#[test]
fn a_report_against_scheduling_and_the_end() {
    check(2, |ledger| {
        let runtime = observed();
        let cown = ledger.log();
        let other = write_elsewhere(runtime.executor(), &cown, ledger.token(), 2);
        let reporter = {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || {
                let report = runtime.report();
                assert!(report.behaviours.len() <= 2);
            })
        };
        write(runtime.executor(), &cown, ledger.token(), 1);
        runtime.shutdown_now();
        other.join().unwrap();
        reporter.join().unwrap();
        assert_empty(&runtime.report());
        assert!(entries(&cown).is_empty(), "there was no worker");
    });
}

/// Another thread makes the first one ready, and a third one reports while this one pumps.
#[test]
fn a_report_against_what_another_executor_runs() {
    check(2, |ledger| {
        let (runtime, pump) = (observed(), Pump::new());
        let cown = ledger.log();
        let other = write_elsewhere(&ExecutorRef::inline(), &cown, ledger.token(), 3);
        write_on_pump(&runtime, &pump, &cown, ledger.token(), 1);
        let reporter = {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || assert_possible(&runtime.report()))
        };
        let early = pump.run_until_idle();
        other.join().unwrap();
        reporter.join().unwrap();
        assert_eq!(early + pump.run_until_idle(), 1);
        assert_empty(&runtime.report());
        runtime.shutdown_now();
        assert_eq!(entries(&cown).len(), 2);
    });
}

/// The end of the pump cancels what it has not run, while somebody reports.
#[test]
fn a_report_against_the_end_of_another_executor() {
    check(2, |ledger| {
        let (runtime, pump) = (observed(), Pump::new());
        let cown = ledger.log();
        write_on_pump(&runtime, &pump, &cown, ledger.token(), 1);
        write_on_pump(&runtime, &pump, &cown, ledger.token(), 2);
        let reporter = {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || assert_possible(&runtime.report()))
        };
        assert!(pump.run_one());
        drop(pump);
        reporter.join().unwrap();
        assert_empty(&runtime.report());
        runtime.shutdown_now();
        assert_eq!(entries(&cown), [1]);
    });
}
