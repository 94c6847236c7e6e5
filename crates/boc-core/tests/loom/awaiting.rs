//! Tasks that await a handle.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use boc_core::{Cown, ExecutorRef, Handle, Pump, raw::Signal};
use loom::thread;

use crate::model::{Ledger, Log, Token, check};

/// What a task that is not ready sleeps on.
struct Bell(Signal);

impl Bell {
    fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self(Signal::new()));
        (Arc::clone(&bell), Waker::from(bell))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.set();
    }
}

fn poll<T: Send + 'static>(handle: &mut Handle<T>, waker: &Waker) -> Option<T> {
    match Pin::new(handle).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(outcome) => Some(outcome.unwrap()),
        Poll::Pending => None,
    }
}

/// Sleeps whenever the handle is not ready. If it is not woken, that is a deadlock.
fn block_on<T: Send + 'static>(mut handle: Handle<T>) -> T {
    loop {
        let (bell, waker) = Bell::new();
        if let Some(value) = poll(&mut handle, &waker) {
            return value;
        }
        assert!(bell.0.wait(None));
    }
}

/// A behaviour that gives a token, and a thread that runs it.
fn running(ledger: &Ledger, cown: &Cown<Log>) -> (Handle<Token>, thread::JoinHandle<()>) {
    let (pump, mut token) = (Pump::new(), ledger.token());
    let handle = pump.executor().when(cown, move |log| {
        log.push(1);
        token.touch();
        token
    });
    (handle, thread::spawn(move || assert!(pump.run_one())))
}

#[test]
fn awaiting_against_the_end() {
    check(3, |ledger| {
        let (handle, other) = running(ledger, &ledger.log());
        drop(block_on(handle));
        other.join().unwrap();
    });
}

/// A task that asks once more, with another waker, is woken by the second one.
#[test]
fn a_waker_is_replaced_against_the_end() {
    check(3, |ledger| {
        let (mut handle, other) = running(ledger, &ledger.log());
        let (_unheard, waker) = Bell::new();
        let value = poll(&mut handle, &waker).unwrap_or_else(|| block_on(handle));
        drop(value);
        other.join().unwrap();
    });
}

/// A task loses interest while the outcome is handed over to it, and somebody is behind it.
#[test]
fn losing_interest_against_the_end() {
    check(3, |ledger| {
        let (mut handle, other) = running(ledger, &ledger.log());
        let first = poll(&mut handle, Waker::noop());
        let second = ExecutorRef::inline().when(&handle, |first| first.take().is_ok());
        drop(handle);
        other.join().unwrap();
        assert!(second.is_finished());
        assert!(first.is_some() != second.wait().unwrap(), "one of the two has the value");
    });
}

/// The same with nobody behind: what the behaviour has given is dropped by one of the two threads.
#[test]
fn losing_interest_against_the_last_end() {
    check(3, |ledger| {
        let (mut handle, other) = running(ledger, &ledger.log());
        drop(poll(&mut handle, Waker::noop()));
        drop(handle);
        other.join().unwrap();
    });
}

/// Asking without waiting leaves no place behind.
#[test]
fn trying_to_take_against_the_end() {
    check(3, |ledger| {
        let (mut handle, other) = running(ledger, &ledger.log());
        let early = handle.try_take();
        other.join().unwrap();
        assert!(early.is_some() || handle.try_take().is_some());
    });
}
