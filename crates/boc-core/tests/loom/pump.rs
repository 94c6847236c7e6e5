//! Executors that are pumped: scheduling from several threads, and their end.

use boc_core::{Failure, Pump};
use loom::thread;

use crate::model::check;

#[test]
fn two_producers_against_the_consumer() {
    check(3, |ledger| {
        let pump = Pump::new();
        let cown = ledger.log();
        let produce = |n| {
            let (executor, cown, ledger) = (pump.executor().clone(), cown.clone(), ledger.clone());
            move || {
                let token = ledger.token();
                executor.when(&cown, move |log| {
                    log.push(n);
                    drop(token);
                });
            }
        };
        let others = [thread::spawn(produce(1)), thread::spawn(produce(2))];
        let early = pump.run_until_idle();
        others.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(early + pump.run_until_idle(), 2);
    });
}

/// What is scheduled while the pump goes has run, or its handle says that it was cancelled; it never
/// stays behind.
#[test]
fn scheduling_against_the_end_of_the_pump() {
    check(4, |ledger| {
        let pump = Pump::new();
        let executor = pump.executor().clone();
        let token = ledger.token();
        let other = thread::spawn(move || executor.when((), move |()| drop(token)));
        drop(pump);
        let handle = other.join().unwrap();
        assert!(handle.is_finished());
        assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    });
}

#[test]
fn two_producers_against_the_end_of_the_pump() {
    check(2, |ledger| {
        let pump = Pump::new();
        let schedule = || {
            let (executor, token) = (pump.executor().clone(), ledger.token());
            move || executor.when((), move |()| drop(token))
        };
        let others = [thread::spawn(schedule()), thread::spawn(schedule())];
        drop(pump);
        let handles = others.map(|thread| thread.join().unwrap());
        assert!(handles.iter().all(|handle| handle.is_finished()));
    });
}
