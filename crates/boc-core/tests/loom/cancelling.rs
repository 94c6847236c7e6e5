//! Behaviours that are cancelled by somebody who then lets the handle go, while others hand them their cowns.

use boc_core::{
    Batch, Cown, Handle, Panic, Pump,
    raw::{self, Access, Held, Mode, State},
    read,
};
use loom::thread;

use crate::model::{Log, assert_free, check};

/// Cancels on a thread of its own.
fn cancel<R: Send + 'static>(handle: Handle<R>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        handle.cancel();
        drop(handle);
    })
}

/// All that is ready runs while the other thread does what it does, and the cowns are free afterwards.
fn run(pump: &Pump, other: thread::JoinHandle<()>, cowns: &[&Cown<Log>]) {
    pump.run_until_idle();
    other.join().unwrap();
    pump.run_until_idle();
    cowns.iter().for_each(|cown| assert_free(pump, cown));
}

#[test]
fn behind_a_writer() {
    check(3, |ledger| {
        let (pump, cown, token) = (Pump::new(), ledger.log(), ledger.token());
        pump.executor().when_detached(&cown, |log| log.push(1));
        let handle = pump.executor().when(&cown, move |log| {
            log.push(2);
            drop(token);
        });
        run(&pump, cancel(handle), &[&cown]);
    });
}

#[test]
fn behind_writers_of_two_cowns() {
    check(3, |ledger| {
        let (pump, [a, b], token) = (Pump::new(), ledger.logs(), ledger.token());
        pump.executor().when_detached(&a, |log| log.push(1));
        pump.executor().when_detached(&b, |log| log.push(1));
        let handle = pump.executor().when((&a, &b), move |(a, b)| {
            a.push(2);
            b.push(2);
            drop(token);
        });
        run(&pump, cancel(handle), &[&a, &b]);
    });
}

#[test]
fn in_a_row_of_readers() {
    check(3, |ledger| {
        let (pump, cown) = (Pump::new(), ledger.log());
        pump.executor().when_detached(&cown, |log| log.push(1));
        let handle = pump.executor().when(read(&cown), |log| drop(log.read()));
        pump.executor().when_detached(read(&cown), |log| drop(log.read()));
        pump.executor().when_detached(&cown, |log| log.push(2));
        run(&pump, cancel(handle), &[&cown]);
    });
}

struct Plain;

impl State for Plain {
    fn panicked(&mut self, _: Panic) {}

    fn cancelled(&mut self) {}
}

/// The only behaviour of a batch reads a cown twice, and is cancelled while that becomes of the batch.
fn in_a_batch_that(end: fn(Batch)) {
    check(3, move |ledger| {
        let (pump, cown, token) = (Pump::new(), ledger.log(), ledger.token());
        let mut batch = pump.executor().batch();
        let reads = Access { mode: Mode::Read, ..Access::from(&cown) };
        let work = move |_: Held<'_>, _: &mut Plain| drop(token);
        // SAFETY: the closure does not look at what it holds.
        let member = unsafe { raw::add(&mut batch, &[reads, reads], || None, Plain, work) };
        let member = member.unwrap().unwrap();
        let other = thread::spawn(move || {
            member.cancel();
            drop(member);
        });
        end(batch);
        run(&pump, other, &[&cown]);
    });
}

#[test]
fn in_a_batch() {
    in_a_batch_that(|batch| drop(batch.schedule()));
}

#[test]
fn in_a_batch_that_is_dropped() {
    in_a_batch_that(drop);
}
