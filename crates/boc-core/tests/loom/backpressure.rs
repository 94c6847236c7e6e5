//! A bound on what is in flight: who is held back goes on when there is room.
//!
//! If nobody tells a thread that is held back, it sleeps for ever, and the checker reports a deadlock.

use boc_core::{Builder, ExecutorRef, Runtime};
use loom::{sync::Arc, thread};

use crate::{
    model::{Ledger, check},
    runtime::{ran, refused_elsewhere, started_worker, write},
};

/// A runtime with one worker that has room for so many behaviours.
fn bounded(limit: usize) -> Arc<Runtime> {
    let builder = Builder::new().workers(1).foreign_threads().max_in_flight(limit);
    Arc::new(builder.build().unwrap())
}

/// A thread that schedules a behaviour.
fn producer(ledger: &Ledger, runtime: &Runtime) -> thread::JoinHandle<bool> {
    let (executor, token) = (runtime.executor().clone(), ledger.token());
    thread::spawn(move || executor.when((), move |()| drop(token)).wait().is_ok())
}

#[test]
fn being_held_back_against_the_end_of_a_behaviour() {
    check(3, |ledger| {
        let runtime = bounded(1);
        let worker = started_worker(&runtime);
        for _ in 0..2 {
            let token = ledger.token();
            runtime.when_detached((), move |()| drop(token));
        }
        runtime.shutdown();
        worker.join().unwrap();
    });
}

/// Two are held back, and there is room for one of them at a time.
#[test]
fn two_are_held_back_against_ends() {
    check(3, |ledger| {
        let runtime = bounded(1);
        let worker = started_worker(&runtime);
        let other = producer(ledger, &runtime);
        let token = ledger.token();
        runtime.when_detached((), move |()| drop(token));
        assert!(other.join().unwrap());
        runtime.shutdown();
        worker.join().unwrap();
    });
}

/// What is in the way ends on a thread that is no worker, since its request is refused. There is no
/// worker, and the other thread may be held back, too, until the runtime is told to end.
#[test]
fn being_held_back_against_an_end_outside() {
    check(3, |ledger| {
        let runtime = bounded(2);
        let other = refused_elsewhere(ledger, &runtime);
        for _ in 0..2 {
            let token = ledger.token();
            runtime.when_detached((), move |()| drop(token));
        }
        runtime.stop();
        other.join().unwrap();
    });
}

/// Who is held back when the runtime is told to end learns that, too.
#[test]
fn being_held_back_against_the_end_of_the_runtime() {
    check(4, |ledger| {
        let runtime = bounded(1);
        let (cown, token) = (ledger.log(), ledger.token());
        let held = ExecutorRef::inline().when(&cown, move |_| drop(token));
        let first = write(runtime.executor(), &cown, ledger.token(), 1);
        let other = producer(ledger, &runtime);
        runtime.drain();
        assert!(!other.join().unwrap());
        drop(runtime);
        assert!(ran(held));
        ran(first);
    });
}
