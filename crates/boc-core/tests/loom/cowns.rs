//! Reference counts of cowns, of handles to results too.

use boc_core::Pump;
use loom::thread;

use crate::model::{check, push_elsewhere};

#[test]
fn the_last_of_three_handles_drops_the_value() {
    check(None, |ledger| {
        let cown = ledger.log();
        let others = [cown.clone(), cown.clone()].map(|cown| thread::spawn(move || drop(cown)));
        drop(cown);
        others.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_handle_is_cloned_while_another_one_goes() {
    check(None, |ledger| {
        let cown = ledger.log();
        let other = cown.clone();
        let other = thread::spawn(move || {
            let clone = other.clone();
            drop(other);
            drop(clone);
        });
        drop(cown);
        other.join().unwrap();
    });
}

/// What a behaviour wrote happened before the value is dropped, whoever does that.
#[test]
fn a_value_that_was_written_is_dropped_by_another_thread() {
    check(None, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 1, ledger.token());
        drop(cown);
        other.join().unwrap();
    });
}

/// The frame of a behaviour goes with the last reference to its result, which is that of the run or
/// a handle.
#[test]
fn a_handle_is_dropped_while_the_behaviour_runs() {
    check(None, |ledger| {
        let pump = Pump::new();
        let token = ledger.token();
        let handle = pump.executor().when((), move |()| token);
        let other = thread::spawn(move || assert!(pump.run_one()));
        drop(handle);
        other.join().unwrap();
    });
}
