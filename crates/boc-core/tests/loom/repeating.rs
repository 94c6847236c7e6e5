//! Behaviours that run again.

use boc_core::{Cown, ExecutorRef, Failure, Handle, Pump, Step, read};
use loom::thread;

use crate::model::{Ledger, Log, Token, assert_free, check, entries, push_elsewhere};

/// Writes into the log so many times.
struct Writer {
    entry: u32,
    left: u32,
    token: Token,
}

impl Writer {
    fn new(ledger: &Ledger, entry: u32) -> Self {
        Self { entry, left: 2, token: ledger.token() }
    }

    fn write(&mut self, log: &mut Log) -> Step<()> {
        // It may be called, and dropped, by different threads.
        self.token.touch();
        log.push(self.entry);
        self.left -= 1;
        if self.left > 0 { Step::Again } else { Step::Done(()) }
    }
}

fn repeat(executor: &ExecutorRef, cown: &Cown<Log>, mut writer: Writer) -> Handle<()> {
    executor.when_repeated(cown, move |log| writer.write(log))
}

/// The other one comes before, between, or behind.
#[test]
fn again_against_entering_the_queue() {
    check(3, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 2, ledger.token());
        let repeated = repeat(&ExecutorRef::inline(), &cown, Writer::new(ledger, 1));
        other.join().unwrap();
        assert!(repeated.is_finished());
        repeated.wait().unwrap();
        let mut all = entries(&cown);
        all.sort_unstable();
        assert_eq!(all, [1, 1, 2]);
    });
}

/// Two that repeat take turns, or the one comes when the other is through.
#[test]
fn again_against_again() {
    check(3, |ledger| {
        let cown = ledger.log();
        let other = {
            let (cown, writer) = (cown.clone(), Writer::new(ledger, 2));
            thread::spawn(move || repeat(&ExecutorRef::inline(), &cown, writer))
        };
        let one = repeat(&ExecutorRef::inline(), &cown, Writer::new(ledger, 1));
        let other = other.join().unwrap();
        assert!(one.is_finished() && other.is_finished());
        let mut all = entries(&cown);
        all.sort_unstable();
        assert_eq!(all, [1, 1, 2, 2]);
    });
}

/// It leaves the cown that it reads as the last reader or as one of two, and comes back to it.
#[test]
fn again_as_a_reader_against_a_reader_and_a_writer() {
    check(3, |ledger| {
        let [cown, other] = ledger.logs();
        let reader = {
            let (cown, mut writer) = (cown.clone(), Writer::new(ledger, 1));
            thread::spawn(move || {
                ExecutorRef::inline().when_repeated((read(&cown), &other), move |(seen, log)| {
                    assert!(seen.read().len() < 2);
                    writer.write(log)
                })
            })
        };
        ExecutorRef::inline().when_detached(read(&cown), |log| drop(log.read()));
        ExecutorRef::inline().when_detached(&cown, |log| log.push(2));
        let reader = reader.join().unwrap();
        assert!(reader.is_finished());
        reader.wait().unwrap();
        assert_eq!(entries(&cown), [2]);
    });
}

/// Before the first run, during one, between two, or too late.
#[test]
fn again_against_cancellation() {
    check(3, |ledger| {
        let (pump, cown) = (Pump::new(), ledger.log());
        let handle = repeat(pump.executor(), &cown, Writer::new(ledger, 1));
        let other = thread::spawn(move || {
            let cancelled = handle.cancel();
            (handle, cancelled)
        });
        let ran = pump.run_until_idle();
        let (handle, cancelled) = other.join().unwrap();
        pump.run_until_idle();
        assert!(handle.is_finished());
        match handle.wait() {
            Ok(()) => assert!(!cancelled && ran == 2),
            Err(Failure::Cancelled) => assert!(cancelled),
            Err(other) => panic!("{other}"),
        }
        assert!(entries(&cown).len() <= ran);
    });
}

/// Who cancels it lets the handle go at once.
#[test]
fn again_against_cancellation_without_a_handle() {
    check(3, |ledger| {
        let (pump, cown) = (Pump::new(), ledger.log());
        let handle = repeat(pump.executor(), &cown, Writer::new(ledger, 1));
        let other = thread::spawn(move || {
            handle.cancel();
            drop(handle);
        });
        pump.run_until_idle();
        other.join().unwrap();
        pump.run_until_idle();
        assert_free(&pump, &cown);
    });
}
