//! What the documentation promises of batches.

#[path = "shelf/mod.rs"]
mod shelf;
#[path = "tally/mod.rs"]
mod tally;

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use boc_core::{Access, Cown, DuplicateCown, Failure, Pump, Runtime, read, when};
use shelf::Shelf;
use tally::Tally;

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

/// Who did something to a cown.
type Log = Vec<(char, usize)>;

#[test]
fn nothing_comes_between_the_behaviours_of_a_batch() {
    const ROUNDS: usize = 2_000;
    let tally = Tally::default();
    let runtime = Runtime::with_workers(2);
    let cowns = [(); 3].map(|()| Cown::new((Log::new(), tally.token())));
    let (runtime_ref, cowns_ref, tally_ref) = (&runtime, &cowns, &tally);
    thread::scope(|scope| {
        // Batches over crossing cowns, each behaviour over two of them.
        for (name, order) in [('a', [0, 1, 2]), ('b', [2, 0, 1])] {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mut batch = runtime_ref.batch();
                    for n in 0..4 {
                        let [one, other] =
                            [order[n % 3], order[(n + 1) % 3]].map(|index| &cowns_ref[index]);
                        let token = tally_ref.token();
                        batch.when((one, other), move |(one, other)| {
                            let _token = token;
                            one.0.push((name, round));
                            other.0.push((name, round));
                        });
                    }
                    batch.schedule();
                }
            });
        }
        scope.spawn(move || {
            for round in 0..ROUNDS {
                for cown in cowns_ref {
                    drop(runtime_ref.when(cown, move |(log, _)| log.push(('c', round))));
                }
            }
        });
    });
    let mut orders = Vec::new();
    for cown in &cowns {
        let log = runtime.when(cown, |(log, _)| std::mem::take(log)).wait().unwrap();
        // Two or three of the four behaviours of a batch are over each cown.
        let mut ended = Vec::new();
        for stretch in log.chunk_by(|a, b| a == b) {
            assert!(matches!(stretch.len(), 1..=3));
            assert!((stretch.len() == 1) == (stretch[0].0 == 'c'), "a batch in pieces");
            ended.push(stretch[0]);
        }
        assert_eq!(ended.len(), 3 * ROUNDS);
        ended.retain(|(name, _)| *name != 'c');
        orders.push(ended);
    }
    assert!(orders.iter().all(|order| *order == orders[0]), "one order on all cowns");
    drop((cowns, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn a_batch_takes_its_place_when_it_is_scheduled() {
    let pump = Pump::new();
    let log = Cown::new(Vec::new());
    let mut batch = pump.executor().batch();
    batch.when(&log, |log| log.push("first of the batch"));
    pump.executor().when(&log, |log| log.push("before"));
    batch.when(&log, |log| log.push("second of the batch"));
    pump.run_until_idle();
    batch.schedule();
    pump.executor().when(&log, |log| log.push("behind"));
    let log = pump.executor().when(&log, std::mem::take);
    pump.run_until_idle();
    let log = log.wait().unwrap();
    assert_eq!(log, ["before", "first of the batch", "second of the batch", "behind"]);
}

#[test]
fn behaviours_of_a_batch_that_share_no_cown_run_at_the_same_time() {
    let runtime = Runtime::with_workers(2);
    let (a, b, c) = (Cown::new(()), Cown::new(()), Cown::new(()));
    let meeting = Arc::new(Barrier::new(2));
    let mut batch = runtime.batch();
    // Both read one, too.
    let members = [&a, &b].map(|cown| {
        let meeting = Arc::clone(&meeting);
        batch.when((cown, read(&c)), move |_| meeting.wait().is_leader())
    });
    let scheduled = batch.schedule();
    let [one, other] = members.map(|member| scheduled.handle(member).wait().unwrap());
    assert!(one != other);
}

#[test]
fn readers_of_a_batch_join_others_and_are_joined() {
    let (shelf, log) = (Shelf::default(), Cown::new(Vec::new()));
    let executor = shelf.executor();
    let look = || executor.when(read(&log), |log| log.len());
    let before = look();
    let mut batch = executor.batch();
    let first = batch.when(read(&log), |log| log.len());
    let twice = batch.when((read(&log), read(&log)), |(log, _)| log.len());
    batch.when(&log, |log| log.push(1));
    batch.when(&log, |log| log.push(2));
    let last = batch.when(read(&log), |log| log.len());
    let scheduled = batch.schedule();
    let [first, twice, last] = [first, twice, last].map(|member| scheduled.handle(member));
    let behind = look();
    assert_eq!(shelf.len(), 3, "its first two join the one before");
    // The handles of the writers are gone, so are they when they have run.
    shelf.take(2).run();
    shelf.take(0).run();
    assert_eq!(shelf.len(), 1);
    shelf.take(0).run();
    assert_eq!(shelf.len(), 1);
    shelf.take(0).run();
    assert_eq!(shelf.len(), 1);
    shelf.take(0).run();
    assert_eq!(shelf.len(), 2, "one from outside joins its last one");
    shelf.take(1).run();
    shelf.run_all();
    let seen = [before, first, twice, last, behind].map(|handle| handle.wait().unwrap());
    assert_eq!(seen, [0, 0, 0, 2, 2]);
}

#[test]
fn an_empty_batch_and_a_batch_of_one() {
    let runtime = Runtime::with_workers(1);
    let batch = runtime.batch();
    assert!(batch.is_empty());
    assert_eq!(batch.len(), 0);
    batch.schedule();
    drop(runtime.batch());
    let cown = Cown::new(1);
    let mut batch = runtime.batch();
    let member = batch.when(&cown, |n| *n);
    assert!(!batch.is_empty());
    assert_eq!(batch.len(), 1);
    assert_eq!(batch.schedule().handle(member).wait().unwrap(), 1);
    runtime.quiesce(Some(LONG)).unwrap();
    // Without a cown, there is nothing to wait for but the batch.
    let mut batch = runtime.batch();
    let members = [batch.when((), |()| 1), batch.when((), |()| 2)];
    assert_eq!(runtime.in_flight(), 2);
    assert!(runtime.quiesce(Some(Duration::from_millis(5))).is_err());
    let scheduled = batch.schedule();
    assert_eq!(members.map(|member| scheduled.handle(member).wait().unwrap()), [1, 2]);
}

#[test]
fn a_batch_of_thousands() {
    const MANY: usize = 20_000;
    let tally = Tally::default();
    let runtime = Runtime::with_workers(2);
    let cowns: Vec<_> = (0..10).map(|_| Cown::new((Vec::new(), tally.token()))).collect();
    let mut batch = runtime.batch();
    for n in 0..MANY {
        let token = tally.token();
        batch.when((&cowns[n % 10], &cowns[(n + 3) % 10]), move |(one, other)| {
            let _token = token;
            one.0.push(n);
            other.0.push(n);
        });
    }
    assert_eq!((batch.len(), runtime.in_flight()), (MANY, MANY));
    batch.schedule();
    runtime.quiesce(Some(LONG)).unwrap();
    for cown in &cowns {
        let log = runtime.when(cown, |(log, _)| std::mem::take(log)).wait().unwrap();
        assert_eq!(log.len(), MANY / 5);
        assert!(log.is_sorted());
    }
    drop((cowns, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn a_batch_that_is_dropped_cancels_its_behaviours() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let (a, b) = (Cown::new(tally.token()), Cown::new(tally.token()));
    // Somebody holds one of the cowns meanwhile.
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&a, move |_| released.recv().unwrap_err());
    let mut batch = runtime.batch();
    let members: Vec<_> = (0..100)
        .map(|n| {
            let token = tally.token();
            match n % 3 {
                0 => batch.when((&a, &b), move |_| drop(token)),
                1 => batch.when((read(&b), read(&a), read(&b)), move |_| drop(token)),
                _ => batch.when((), move |()| drop(token)),
            }
        })
        .collect();
    assert_eq!(tally.left(), 2 + 100);
    drop(batch);
    assert_eq!(tally.left(), 2, "the closures go at once");
    assert_eq!(runtime.in_flight(), 1);
    drop(members);
    drop(release);
    runtime.when((&a, &b), |_| ()).wait().unwrap();
    drop((a, b, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn a_batch_keeps_the_cowns_of_its_behaviours() {
    for schedule in [true, false] {
        let (shelf, tally) = (Shelf::default(), Tally::default());
        let cown = Cown::new((5, tally.token()));
        let mut batch = shelf.executor().batch();
        let one = batch.when(&cown, |(n, _)| *n);
        let other = batch.when((read(&cown), read(&cown)), |(one, other)| one.0 + other.0);
        let weak = cown.downgrade();
        drop(cown);
        assert_eq!(tally.left(), 1);
        assert!(weak.upgrade().is_some());
        if schedule {
            let scheduled = batch.schedule();
            shelf.run_all();
            let [one, other] = [one, other].map(|member| scheduled.handle(member).wait().unwrap());
            assert_eq!((one, other), (5, 10));
        } else {
            drop(batch);
        }
        assert!(weak.upgrade().is_none());
        tally.assert_each_dropped_once();
    }
}

#[test]
fn a_member_can_be_cancelled_when_the_batch_is_scheduled() {
    for cancelled in 0..3 {
        let (shelf, tally) = (Shelf::default(), Tally::default());
        let executor = shelf.executor();
        let log = Cown::new((Vec::new(), tally.token()));
        let held = executor.when(&log, |(log, _)| log.push(100));
        let mut batch = executor.batch();
        let members = [0, 1, 2].map(|n| {
            let token = tally.token();
            batch.when(&log, move |(log, _)| {
                let _token = token;
                log.push(n);
            })
        });
        let scheduled = batch.schedule();
        let members = members.map(|member| scheduled.handle(member));
        let left = tally.left();
        assert!(members[cancelled].cancel());
        assert_eq!(tally.left(), left - 1);
        assert!(members[cancelled].is_finished());
        assert!(!members[cancelled].cancel());
        assert_eq!(shelf.len(), 1, "the places are kept");
        executor.when(&log, |(log, _)| log.push(200));
        shelf.run_all();
        held.wait().unwrap();
        for (n, member) in (0..).zip(members) {
            assert_eq!(matches!(member.wait(), Err(Failure::Cancelled)), n == cancelled);
        }
        let seen = executor.when(&log, |(log, _)| std::mem::take(log));
        shelf.run_all();
        let mut expected = vec![100, 0, 1, 2, 200];
        expected.retain(|n| *n != cancelled);
        assert_eq!(seen.wait().unwrap(), expected);
        drop(log);
        tally.assert_each_dropped_once();
    }
}

#[test]
fn a_batch_on_a_runtime_that_has_stopped() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let (a, b) = (Cown::new(tally.token()), Cown::new(tally.token()));
    let add = |batch: &mut boc_core::Batch| {
        [(); 5].map(|()| {
            let token = tally.token();
            batch.when((&a, read(&b)), move |_| drop(token))
        })
    };
    let (mut scheduled, mut dropped) = (runtime.batch(), runtime.batch());
    let before = [add(&mut scheduled), add(&mut dropped)];
    runtime.shutdown_now();
    let late = add(&mut scheduled);
    assert_eq!(scheduled.len(), 5, "what the runtime does not take is not in the batch");
    assert_eq!((runtime.in_flight(), tally.left()), (10, 2 + 10));
    let scheduled = scheduled.schedule();
    drop(dropped);
    assert_eq!((runtime.in_flight(), tally.left()), (0, 2));
    let [before, _of_the_dropped_one] = before;
    for handle in before.into_iter().chain(late).map(|member| scheduled.handle(member)) {
        assert!(handle.is_finished());
        assert!(!handle.cancel());
        assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    }
    drop(runtime);
    // The cowns are free.
    let pump = Pump::new();
    let both = pump.executor().when((&a, &b), |_| ());
    pump.run_until_idle();
    both.wait().unwrap();
    drop((a, b));
    tally.assert_each_dropped_once();
}

#[test]
fn a_runtime_that_drains_runs_the_batches_that_were_begun() {
    let runtime = Runtime::with_workers(1);
    let log = Cown::new(Vec::new());
    let mut batch = runtime.batch();
    batch.when(&log, |log| log.push("begun"));
    runtime.drain();
    let late = batch.when(&log, |log| log.push("late"));
    assert!(!runtime.wait_retired(Some(Duration::from_millis(10))));
    let late = batch.schedule().handle(late);
    assert!(matches!(late.wait(), Err(Failure::Cancelled)));
    runtime.shutdown();
    let pump = Pump::new();
    let log = pump.executor().when(&log, std::mem::take);
    pump.run_until_idle();
    assert_eq!(log.wait().unwrap(), ["begun"]);
}

#[test]
fn members_give_something_to_later_ones_by_a_cown() {
    let runtime = Runtime::with_workers(2);
    let (cown, between) = (Cown::new(1), Cown::new(None));
    let mut batch = runtime.batch();
    batch.when((&cown, &between), |(n, between)| *between = Some(*n + 1));
    let second = batch.when((&between, &cown), |(between, n)| between.take().map(|one| one + *n));
    assert_eq!(batch.schedule().handle(second).wait().unwrap(), Some(3));
}

#[test]
fn members_over_the_outcomes_of_behaviours_that_were_scheduled_before() {
    let runtime = Runtime::with_workers(2);
    let cown = Cown::new(1);
    let mut first = runtime.batch();
    let member = first.when(&cown, |n| *n + 1);
    let member = first.schedule().handle(member);
    let single = runtime.when(&cown, |n| *n);
    let mut second = runtime.batch();
    let sum = second.when((&member, read([&single]), &cown), |(member, [single], n)| {
        Some(member.take().ok()? + single.value()? + *n)
    });
    assert_eq!(second.schedule().handle(sum).wait().unwrap(), Some(4));
}

/// Was this possible before the batch is scheduled, the two could wait for each other.
#[test]
fn a_behaviour_over_a_member_and_over_one_of_its_cowns() {
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(1);
    let mut batch = runtime.batch();
    let member = batch.when(&cown, |n| *n);
    let member = batch.schedule().handle(member);
    let over = runtime.when((&member, &cown), |(member, n)| member.value().map(|one| one + *n));
    assert_eq!(over.wait_timeout(LONG).unwrap().unwrap(), Some(2));
}

#[test]
fn a_member_of_another_batch_has_no_handle() {
    let tally = Tally::default();
    let pump = Pump::new();
    let (mut one, mut other) = (pump.executor().batch(), pump.executor().batch());
    let member = {
        let token = tally.token();
        one.when((), move |()| token)
    };
    let own = other.when((), |()| 1);
    let scheduled = other.schedule();
    let refused = panic::catch_unwind(AssertUnwindSafe(|| scheduled.handle(member))).unwrap_err();
    let message = refused.downcast_ref::<&str>().unwrap();
    assert!(message.contains("of another batch"), "{message}");
    one.schedule();
    assert_eq!(pump.run_until_idle(), 2);
    assert_eq!(scheduled.handle(own).wait().unwrap(), 1);
    tally.assert_each_dropped_once();
}

#[test]
fn members_go_between_threads() {
    fn is_sent_and_shared<T: Send + Sync>(value: T) -> T {
        value
    }
    let runtime = Runtime::with_workers(1);
    let mut batch = runtime.batch();
    let member = is_sent_and_shared(batch.when((), |()| 1));
    let scheduled = is_sent_and_shared(batch.schedule());
    assert_eq!(thread::spawn(move || scheduled.handle(member).wait().unwrap()).join().unwrap(), 1);
}

#[test]
fn a_cown_that_is_named_twice_leaves_the_batch_as_it_was() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let (a, b) = (Cown::new(0), Cown::new(0));
    let mut batch = runtime.batch();
    let one = batch.when(&a, |n| *n);
    let token = tally.token();
    let refused = batch.try_when((&a, &b, read(&a)), move |_| drop(token));
    assert!(matches!(refused, Err(DuplicateCown)));
    let token = tally.token();
    let many: Vec<_> = (0..20).map(|_| Access::Write(&a)).collect();
    assert!(batch.try_when(many, move |_| drop(token)).is_err());
    let token = tally.token();
    let panicked =
        panic::catch_unwind(AssertUnwindSafe(|| batch.when((&b, &b), move |_| drop(token))));
    assert!(panicked.is_err());
    tally.assert_each_dropped_once();
    assert_eq!((batch.len(), runtime.in_flight()), (1, 1));
    // The same cown in several behaviours is what batches are for.
    let other = batch.when((&b, read(&a), read(&a)), |(_, a, _)| *a);
    let scheduled = batch.schedule();
    let [one, other] = [one, other].map(|member| scheduled.handle(member).wait().unwrap());
    assert_eq!((one, other), (0, 0));
}

#[test]
fn a_batch_is_made_inside_of_a_behaviour_and_scheduled_elsewhere() {
    let runtime = Runtime::with_workers(1);
    let executor = runtime.executor().clone();
    let log = Cown::new(Vec::new());
    let inner = log.clone();
    let handle = runtime.when(&log, move |log| {
        let mut batch = executor.batch();
        batch.when(&inner, |log| log.push("batch"));
        batch.when(&inner, |log| log.push("batch"));
        when(&inner, |log| log.push("nested"));
        log.push("outer");
        batch
    });
    let batch = handle.wait().unwrap();
    thread::spawn(|| batch.schedule()).join().unwrap();
    let log = runtime.when(&log, std::mem::take).wait().unwrap();
    assert_eq!(log, ["outer", "nested", "batch", "batch"]);
}

#[test]
fn batches_in_both_orders_over_many_cowns_do_not_wait_for_each_other() {
    let runtime = Runtime::with_workers(2);
    let cowns: Vec<_> = (0..50).map(|_| Cown::new(Vec::new())).collect();
    thread::scope(|scope| {
        for backwards in [false, true] {
            let (runtime, cowns) = (&runtime, &cowns);
            scope.spawn(move || {
                for round in 0..300 {
                    let mut batch = runtime.batch();
                    for n in 0..50 {
                        let index = if backwards { 49 - n } else { n };
                        batch.when(&cowns[index], move |log| log.push((backwards, round)));
                    }
                    batch.schedule();
                }
            });
        }
    });
    let logs = cowns.iter().map(|cown| runtime.when(cown, std::mem::take).wait().unwrap());
    let logs: Vec<Vec<(bool, i32)>> = logs.collect();
    assert!(logs.iter().all(|log| log.len() == 600 && *log == logs[0]), "one order on all cowns");
}
