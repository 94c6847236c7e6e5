//! Scopes: one end for all that is counted.

use std::sync::Arc;

use boc_core::{ExecutorRef, Promise, Pump, Scope};
use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use crate::model::{Ledger, check};

/// What behaviours write that share no cown, so that only the scope orders them before who reads.
#[derive(Clone)]
struct Board(Arc<Places>);

struct Places([UnsafeCell<u32>; 2]);

// SAFETY: the checker complains if somebody writes to a place at the same time as somebody else uses it.
unsafe impl Sync for Places {}

impl Board {
    fn new() -> Self {
        Self(Arc::new(Places([0; 2].map(UnsafeCell::new))))
    }

    fn write(&self, place: usize) {
        // SAFETY: each place is written once, and the checker watches.
        self.0.0[place].with_mut(|number| unsafe { *number += 1 });
    }

    fn read(&self) -> [u32; 2] {
        // SAFETY: as above.
        self.0.0.each_ref().map(|place| place.with(|number| unsafe { *number }))
    }
}

/// Schedules a behaviour in the scope that schedules another one.
fn nest(ledger: &Ledger, executor: &ExecutorRef, board: &Board) {
    let (inner, token, place) = (executor.clone(), ledger.token(), board.clone());
    executor.when_detached((), move |()| {
        let board = place.clone();
        inner.when_detached((), move |()| {
            drop(token);
            board.write(1);
        });
        place.write(0);
    });
}

#[test]
fn closing_against_the_end_of_a_nested_behaviour() {
    check(3, |ledger| {
        let (pump, board) = (Pump::new(), Board::new());
        let scope = Scope::new(pump.executor());
        nest(ledger, scope.executor(), &board);
        let other = thread::spawn(move || assert_eq!(pump.run_until_idle(), 2));
        scope.close().wait().unwrap();
        assert_eq!(board.read(), [1, 1]);
        other.join().unwrap();
    });
}

/// The same for a behaviour over the end, which runs on whichever thread brings it about.
#[test]
fn scheduling_over_the_end_of_a_scope() {
    check(3, |ledger| {
        let (pump, board) = (Pump::new(), Board::new());
        let scope = Scope::new(pump.executor());
        nest(ledger, scope.executor(), &board);
        let other = thread::spawn(move || assert_eq!(pump.run_until_idle(), 2));
        let seen = ExecutorRef::inline().when(&scope.close(), move |_| board.read());
        other.join().unwrap();
        assert!(seen.is_finished());
        assert_eq!(seen.wait().unwrap(), [1, 1]);
    });
}

/// Two threads schedule in the scope while a third one closes it. What comes too late is cancelled; what
/// does not has ended before the scope has.
#[test]
fn closing_against_scheduling() {
    check(3, |_| {
        let (scope, board) = (Scope::new(&ExecutorRef::inline()), Board::new());
        let others = [0, 1].map(|place| {
            let (executor, board) = (scope.executor().clone(), board.clone());
            thread::spawn(move || executor.when((), move |()| board.write(place)))
        });
        scope.close().wait().unwrap();
        let written = board.read();
        for (handle, written) in others.into_iter().zip(written) {
            let handle = handle.join().unwrap();
            assert!(handle.is_finished());
            assert_eq!(handle.wait().is_ok(), written == 1);
        }
    });
}

/// Says when it is dropped, by a step that the checker knows of.
struct Telling(Arc<AtomicBool>);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// A scope has not ended before its behaviours' closures are gone, whoever drops them.
#[test]
fn becoming_ready_against_a_cancellation() {
    check(3, |_| {
        let pump = Pump::new();
        let scope = Scope::new(pump.executor());
        let (promise, input) = Promise::<()>::new();
        let gone = Arc::new(AtomicBool::new(false));
        let closure = Telling(Arc::clone(&gone));
        let handle = scope.when(&input, move |_| drop(closure));
        let other = thread::spawn(move || {
            promise.fulfil(()).unwrap();
            pump.run_until_idle();
            scope.close().wait().unwrap();
            assert!(gone.load(SeqCst), "the scope has ended, and the closure is still there");
        });
        handle.cancel();
        other.join().unwrap();
    });
}
