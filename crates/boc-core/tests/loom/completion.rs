//! The end of a behaviour, and those who wait for it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use boc_core::{
    ExecutorRef, Panic, Pump,
    raw::{self, ResultCown},
};
use loom::{cell::UnsafeCell, thread};

use crate::model::{Token, check};

/// What a behaviour writes, and others read when it has ended.
struct Written {
    value: UnsafeCell<u32>,
    _token: Token,
}

impl raw::State for Written {
    fn panicked(&mut self, _: Panic) {}
    fn cancelled(&mut self) {}
}

fn read(result: &ResultCown<Written>) -> u32 {
    // SAFETY: called when the behaviour has ended, and no other one is scheduled over its result.
    unsafe { (*raw::value_ptr(result.cown())).value.with(|value| *value) }
}

/// Two callbacks from two threads, each early or late, are called once and see what was written.
#[test]
fn callbacks_against_the_end() {
    check(3, |ledger| {
        let pump = Pump::new();
        let called = Arc::new(AtomicUsize::new(0));
        let state = Written { value: UnsafeCell::new(0), _token: ledger.token() };
        let write = |_: raw::Held<'_>, state: &mut Written| {
            // SAFETY: `&mut`.
            state.value.with_mut(|value| unsafe { *value = 7 });
        };
        // SAFETY: there are no cowns.
        let result = unsafe { raw::when(pump.executor(), &[], state, write) }.unwrap();
        let subscribe = || {
            let (result, called, ledger) = (result.clone(), Arc::clone(&called), ledger.clone());
            move || {
                let (ended, token) = (result.clone(), ledger.token());
                result.on_finished(move || {
                    assert_eq!(read(&ended), 7);
                    called.fetch_add(1, SeqCst);
                    drop(token);
                });
                assert!(!result.is_finished() || read(&result) == 7);
            }
        };
        let others = [thread::spawn(subscribe()), thread::spawn(subscribe())];
        assert!(pump.run_one());
        others.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(called.load(SeqCst), 2);
    });
}

/// A thread blocks until the behaviour has ended, and takes its value.
#[test]
fn waiting_against_the_end() {
    check(3, |ledger| {
        let pump = Pump::new();
        let cown = ledger.log();
        let token = ledger.token();
        let handle = pump.executor().when(&cown, move |log| {
            log.push(1);
            token
        });
        let other = thread::spawn(move || assert!(pump.run_one()));
        drop(handle.wait().unwrap());
        other.join().unwrap();
    });
}

/// A behaviour over the handle runs after the one it belongs to, and sees its value.
#[test]
fn scheduling_over_a_handle_against_the_end() {
    check(3, |ledger| {
        let pump = Pump::new();
        let state = ledger.log();
        let first = pump.executor().when(&state, |log| {
            log.push(1);
            log.read()
        });
        let other = thread::spawn(move || assert!(pump.run_one()));
        let second = ExecutorRef::inline().when(&first, |first| first.take().unwrap());
        assert_eq!(second.wait().unwrap(), [1]);
        other.join().unwrap();
    });
}
