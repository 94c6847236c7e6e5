//! What the documentation promises of a bound on what is in flight.
#![cfg(not(loom))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use boc_core::{Builder, Cown, Failure, Runtime, Step, when};

fn bounded(workers: usize, limit: usize) -> Runtime {
    Builder::new().workers(workers).max_in_flight(limit).build().expect("threads")
}

#[test]
fn a_thread_that_schedules_too_much_waits() {
    let runtime = bounded(1, 3);
    let (release, blocked) = mpsc::channel::<()>();
    runtime.when_detached((), move |()| blocked.recv().unwrap());
    let scheduled = AtomicUsize::new(1);
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            for _ in 0..10 {
                runtime.when_detached((), |()| ());
                scheduled.fetch_add(1, SeqCst);
            }
        });
        while scheduled.load(SeqCst) < 3 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        assert_eq!(scheduled.load(SeqCst), 3);
        assert!(!producer.is_finished());
        release.send(()).unwrap();
    });
    runtime.quiesce(None).unwrap();
    assert_eq!(scheduled.load(SeqCst), 11);
}

#[test]
fn many_producers_and_every_bound() {
    for limit in [1, 2, 7, 1_000] {
        let runtime = bounded(2, limit);
        let sum = Cown::new(0_u64);
        let (scheduled, ran) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2_000 {
                        let counted = Arc::clone(&ran);
                        runtime.when_detached(&sum, move |sum| {
                            *sum += n;
                            counted.fetch_add(1, SeqCst);
                        });
                        // In this order it is not too much, whatever happens between the two.
                        let scheduled = scheduled.fetch_add(1, SeqCst) + 1;
                        let in_flight = scheduled.saturating_sub(ran.load(SeqCst));
                        // The other three can be past their check.
                        assert!(in_flight <= limit + 3);
                    }
                });
            }
        });
        assert_eq!(runtime.when(&sum, |sum| *sum).wait().unwrap(), 4 * (0..2_000).sum::<u64>());
    }
}

#[test]
fn a_behaviour_never_waits() {
    let runtime = bounded(1, 2);
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    runtime
        .when((), move |()| {
            for _ in 0..100 {
                let counted = Arc::clone(&counted);
                when((), move |()| counted.fetch_add(1, SeqCst));
            }
        })
        .wait()
        .unwrap();
    runtime.quiesce(None).unwrap();
    assert_eq!(ended.load(SeqCst), 100);
}

#[test]
fn an_endless_behaviour_leaves_room_for_others() {
    let runtime = bounded(1, 2);
    let endless = runtime.executor().when_repeated((), |()| Step::<()>::Again);
    for _ in 0..100 {
        runtime.when_detached((), |()| ());
    }
    while !endless.cancel() {}
}

#[test]
fn a_batch_is_not_held_back() {
    let runtime = bounded(1, 2);
    let cown = Cown::new(0);
    let mut batch = runtime.batch();
    let members: Vec<_> = (0..50).map(|_| batch.when(&cown, |n| *n += 1)).collect();
    let scheduled = batch.schedule();
    members.into_iter().for_each(|member| scheduled.handle(member).wait().unwrap());
}

#[test]
fn who_waits_learns_that_the_runtime_ends() {
    let runtime = bounded(1, 1);
    let (release, blocked) = mpsc::channel::<()>();
    let running = runtime.when((), move |()| blocked.recv().unwrap());
    thread::scope(|scope| {
        let held_back = scope.spawn(|| runtime.when((), |()| ()));
        thread::sleep(Duration::from_millis(5));
        runtime.drain();
        assert!(matches!(held_back.join().unwrap().wait(), Err(Failure::Cancelled)));
        release.send(()).unwrap();
    });
    running.wait().unwrap();
}

#[test]
#[should_panic(expected = "nothing can be scheduled")]
fn a_bound_of_zero_is_refused() {
    let _ = Builder::new().max_in_flight(0);
}
