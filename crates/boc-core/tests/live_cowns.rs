//! What the documentation promises of the number of live cowns.
//!
//! It is one number for the process, so that the tests take turns.
#![cfg(not(loom))]

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use boc_core::{Cown, Promise, Runtime, live_cowns};

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_cown_counts_until_its_last_handle_goes() {
    let _turn = alone();
    let before = live_cowns();
    let cown = Cown::new(1);
    let other = cown.clone();
    drop(cown);
    assert_eq!(live_cowns(), before + 1);
    drop(other);
    assert_eq!(live_cowns(), before);
}

#[test]
fn a_behaviour_keeps_its_cowns() {
    let _turn = alone();
    let before = live_cowns();
    let runtime = Runtime::with_workers(1);
    let (promise, turn) = Promise::new();
    let handle = runtime.when((&Cown::new(1), &turn), |_| live_cowns());
    assert_eq!(live_cowns(), before + 1);
    promise.fulfil(()).unwrap();
    assert_eq!(handle.wait().unwrap(), before + 1);
    runtime.quiesce(None).unwrap();
    assert_eq!(live_cowns(), before);
}

#[test]
fn outcomes_do_not_count() {
    let _turn = alone();
    let before = live_cowns();
    let runtime = Runtime::with_workers(1);
    let handle = runtime.when((), |()| 1);
    let (_promise, _promised) = Promise::<u32>::new();
    assert_eq!(live_cowns(), before);
    handle.wait().unwrap();
}

#[test]
fn a_weak_cown_does_not_keep_it() {
    let _turn = alone();
    let before = live_cowns();
    let cown = Cown::new(1);
    let weak = cown.downgrade();
    drop(cown);
    assert_eq!(live_cowns(), before);
    drop(weak);
    assert_eq!(live_cowns(), before);
}

#[test]
fn a_cown_whose_value_panics_in_its_end_is_gone() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic::resume_unwind(Box::new("on purpose"));
        }
    }
    let _turn = alone();
    let before = live_cowns();
    let cown = Cown::new(Panics);
    assert!(panic::catch_unwind(AssertUnwindSafe(|| drop(cown))).is_err());
    assert_eq!(live_cowns(), before);
}

#[test]
fn a_list_of_cowns_goes_with_its_head() {
    struct Node(#[allow(dead_code)] Option<Cown<Node>>);
    let _turn = alone();
    let before = live_cowns();
    let mut head = None;
    for _ in 0..10_000 {
        head = Some(Cown::new(Node(head.take())));
    }
    assert_eq!(live_cowns(), before + 10_000);
    drop(head);
    assert_eq!(live_cowns(), before);
}

/// Whatever the thread that makes it, and the one that destroys it, and whether these are there still.
#[test]
fn threads_come_and_go() {
    let _turn = alone();
    let before = live_cowns();
    for round in 0..20 {
        let threads: Vec<_> =
            (0..4).map(|_| thread::spawn(|| (0..100).map(Cown::new).collect::<Vec<_>>())).collect();
        let cowns: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(live_cowns(), before + 400);
        if round % 2 == 0 {
            thread::scope(|scope| {
                cowns.into_iter().for_each(|some| drop(scope.spawn(|| drop(some))));
            });
        } else {
            drop(cowns);
        }
        assert_eq!(live_cowns(), before);
    }
}

#[test]
fn a_thread_that_ends_can_make_and_destroy() {
    struct AtTheEnd(Option<Cown<i32>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            drop(self.0.take());
            drop((Cown::new(1), Cown::new(2)));
        }
    }
    thread_local!(static KEPT: RefCell<AtTheEnd> = const { RefCell::new(AtTheEnd(None)) });
    let _turn = alone();
    let before = live_cowns();
    for _ in 0..10 {
        // Before and after the thread is known to the count: destructors run in some order of these.
        let first = thread::spawn(|| {
            KEPT.with_borrow_mut(|kept| kept.0 = Some(Cown::new(0)));
        });
        let second = thread::spawn(|| {
            let cown = Cown::new(0);
            KEPT.with_borrow_mut(|kept| kept.0 = Some(cown));
        });
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(live_cowns(), before);
    }
}

#[test]
fn the_count_is_never_less_than_what_there_is() {
    let _turn = alone();
    let before = live_cowns();
    let kept: Vec<_> = (0..10).map(Cown::new).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            let (sender, receiver) = std::sync::mpsc::sync_channel(4);
            scope.spawn(move || receiver.into_iter().for_each(drop::<Cown<i32>>));
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    sender.send(Cown::new(1)).unwrap();
                }
            });
        }
        for _ in 0..20_000 {
            let now = live_cowns();
            // Also not below zero, which would be a large number.
            assert!((before + kept.len()..1 << 40).contains(&now), "{now}");
        }
        stop.store(true, Relaxed);
    });
    assert_eq!(live_cowns(), before + kept.len());
}
