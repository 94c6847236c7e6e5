//! Executors that are pumped: scheduling from several threads, and their end.

use std::sync::Arc;

use boc_core::{Cown, ExecutorRef, Failure, Handle, Pump};
use loom::thread;

use crate::model::{Ledger, Log, Token, check, entries};

/// A thread that schedules a behaviour.
fn schedule(executor: &ExecutorRef, ledger: &Ledger) -> thread::JoinHandle<Handle<()>> {
    let (executor, token) = (executor.clone(), ledger.token());
    thread::spawn(move || executor.when((), move |()| drop(token)))
}

/// What a behaviour does that is not over the log.
fn push(log: &Cown<Log>, entry: u32, token: Token) {
    ExecutorRef::inline().when_detached(log, move |log| {
        log.push(entry);
        drop(token);
    });
}

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

/// A behaviour is found as soon as it is there, and by nobody twice.
#[test]
fn scheduling_against_running_one() {
    check(None, |ledger| {
        let pump = Pump::new();
        let other = schedule(pump.executor(), ledger);
        let early = pump.run_one();
        let handle = other.join().unwrap();
        assert_eq!(handle.is_finished(), early);
        assert_eq!(pump.run_one(), !early);
        assert!(!pump.run_one());
        handle.wait().unwrap();
    });
}

/// Two threads pump. They may find nothing, because the other one is at it or a third one is just handing
/// something in, but nothing is lost.
#[test]
fn scheduling_against_running_one_on_two_threads() {
    check(3, |ledger| {
        let pump = Arc::new(Pump::new());
        let first = pump.executor().when((), {
            let token = ledger.token();
            move |()| drop(token)
        });
        let pumping = {
            let pump = Arc::clone(&pump);
            thread::spawn(move || usize::from(pump.run_one()))
        };
        let second = schedule(pump.executor(), ledger);
        let early = usize::from(pump.run_one()) + pumping.join().unwrap();
        let second = second.join().unwrap();
        assert_eq!(early + pump.run_until_idle(), 2);
        assert!(first.is_finished() && second.is_finished());
    });
}

/// What is ready in the first lane goes first, whatever a thread is about to hand in.
#[test]
fn scheduling_in_a_lane_against_running_one() {
    check(3, |ledger| {
        let (pump, order) = (Pump::with_lanes(2), ledger.log());
        let [urgent, other] = [0, 1].map(|lane| pump.lane(lane).clone());
        let log = order.clone();
        let (before, behind) = (ledger.token(), ledger.token());
        let scheduling = thread::spawn(move || {
            other.when_detached((), {
                let log = log.clone();
                move |()| push(&log, 2, before)
            });
            urgent.when_detached((), move |()| push(&log, 1, behind));
        });
        let early = usize::from(pump.run_one());
        scheduling.join().unwrap();
        assert_eq!(early + pump.run_until_idle(), 2);
        let first = entries(&order)[0];
        // Nothing but the other one was there, or else the urgent one goes first.
        assert!(early == 1 || first == 1);
    });
}

#[test]
fn scheduling_in_lanes_against_the_end_of_the_pump() {
    check(3, |ledger| {
        let pump = Pump::with_lanes(2);
        let others = [0, 1].map(|lane| schedule(pump.lane(lane), ledger));
        drop(pump);
        for handle in others.map(|thread| thread.join().unwrap()) {
            assert!(handle.is_finished());
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
    });
}

/// What is scheduled while the pump goes has run, or its handle says that it was cancelled; it never
/// stays behind.
#[test]
fn scheduling_against_the_end_of_the_pump() {
    check(4, |ledger| {
        let pump = Pump::new();
        let other = schedule(pump.executor(), ledger);
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
        let others = [(), ()].map(|()| schedule(pump.executor(), ledger));
        drop(pump);
        let handles = others.map(|thread| thread.join().unwrap());
        assert!(handles.iter().all(|handle| handle.is_finished()));
    });
}
