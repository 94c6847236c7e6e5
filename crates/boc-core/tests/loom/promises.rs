//! Promises: outcomes that come from another thread.

use boc_core::{ExecutorRef, Failure, Handle, Promise};
use loom::{cell::UnsafeCell, thread};

use crate::model::{Ledger, Token, check};

/// A value that shows whether who reads it comes after who wrote it.
struct Written {
    number: UnsafeCell<u32>,
    _token: Token,
}

impl Written {
    fn new(ledger: &Ledger) -> Self {
        Self { number: UnsafeCell::new(0), _token: ledger.token() }
    }

    /// To be called where it is fulfilled.
    fn write(self) -> Self {
        // SAFETY: `self` is nobody else's.
        self.number.with_mut(|number| unsafe { *number = 7 });
        self
    }

    fn read(&self) -> u32 {
        // SAFETY: `&self`, and nobody writes without having all of it.
        self.number.with(|number| unsafe { *number })
    }
}

/// Runs when the outcome is there, on either thread.
fn read_over(handle: &Handle<Written>) -> Handle<Result<u32, Failure>> {
    ExecutorRef::inline().when(handle, |outcome| outcome.take().map(|value| value.read()))
}

#[test]
fn scheduling_over_a_handle_against_the_fulfilment() {
    check(3, |ledger| {
        let ((promise, handle), value) = (Promise::new(), Written::new(ledger));
        let other = thread::spawn(move || assert!(promise.fulfil(value.write()).is_ok()));
        assert_eq!(read_over(&handle).wait().unwrap().unwrap(), 7);
        other.join().unwrap();
    });
}

/// The handle is gone when the promise is fulfilled, or goes meanwhile; who is over it sees the value
/// all the same.
#[test]
fn a_handle_is_dropped_against_the_fulfilment() {
    check(3, |ledger| {
        let ((promise, handle), value) = (Promise::new(), Written::new(ledger));
        let other = thread::spawn(move || assert!(promise.fulfil(value.write()).is_ok()));
        let over = read_over(&handle);
        drop(handle);
        other.join().unwrap();
        assert!(over.is_finished());
        assert_eq!(over.wait().unwrap().unwrap(), 7);
    });
}

#[test]
fn scheduling_over_a_handle_against_the_end_of_the_promise() {
    check(3, |ledger| {
        let (promise, handle) = Promise::<Written>::new();
        let token = ledger.token();
        let other = thread::spawn(move || drop(promise));
        let over = ExecutorRef::inline().when(&handle, move |outcome| {
            drop(token);
            outcome.take().map(|value| value.read())
        });
        assert!(matches!(over.wait().unwrap(), Err(Failure::Broken)));
        other.join().unwrap();
    });
}

/// One of the two is first, both know who, and so does a behaviour over the handle.
#[test]
fn cancelling_against_the_fulfilment() {
    check(3, |ledger| {
        let ((promise, handle), value) = (Promise::new(), Written::new(ledger));
        let other = thread::spawn(move || promise.fulfil(value.write()).err());
        let over = read_over(&handle);
        let cancelled = handle.cancel();
        let given_back = other.join().unwrap();
        assert!(over.is_finished());
        match over.wait().unwrap() {
            Ok(number) => assert!(number == 7 && !cancelled && given_back.is_none()),
            Err(Failure::Cancelled) => assert!(cancelled && given_back.is_some()),
            Err(other) => panic!("{other}"),
        }
    });
}

/// Whoever waits is a third thread.
#[test]
fn waiting_against_fulfilment_and_cancellation() {
    check(3, |ledger| {
        let ((promise, handle), value) = (Promise::new(), Written::new(ledger));
        let over = read_over(&handle);
        let fulfilling = thread::spawn(move || promise.fulfil(value.write()).is_ok());
        let cancelling = thread::spawn(move || handle.cancel());
        let outcome = over.wait().unwrap();
        let (fulfilled, cancelled) = (fulfilling.join().unwrap(), cancelling.join().unwrap());
        assert!(fulfilled != cancelled);
        assert_eq!(outcome.is_ok(), fulfilled);
    });
}
