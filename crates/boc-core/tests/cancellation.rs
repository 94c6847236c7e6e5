//! What the documentation promises of cancelling a behaviour.

#[path = "shelf/mod.rs"]
mod shelf;
#[path = "tally/mod.rs"]
mod tally;

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use boc_core::{
    Builder, Cown, Failure, Handle, Pump, Runtime, acquire,
    raw::{self, ResultCown},
    read, when,
};
use shelf::Shelf;
use tally::{Tally, Token};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

fn assert_cancelled<R: Send + 'static>(handle: Handle<R>) {
    assert!(handle.is_finished());
    assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
}

#[test]
fn before_it_starts() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new((0, tally.token()));
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&cown, move |_| released.recv().unwrap_err());
    let behind = [(); 3].map(|()| {
        let token = tally.token();
        runtime.when(&cown, move |(n, _)| {
            let _token = token;
            *n += 1;
        })
    });
    let [first, cancelled, last] = behind;
    assert_eq!(tally.left(), 1 + 3);
    assert!(!cancelled.is_finished());
    assert!(cancelled.cancel());
    assert_eq!(tally.left(), 1 + 2, "the closure goes at once");
    assert_cancelled(cancelled);
    drop(release);
    first.wait().unwrap();
    last.wait().unwrap();
    assert_eq!(runtime.when(&cown, |(n, _)| *n).wait().unwrap(), 2);
    drop((cown, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn after_it_started_and_after_it_ended() {
    let runtime = Runtime::with_workers(1);
    let (started, start) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let handle = runtime.when((), move |()| {
        started.send(()).unwrap();
        released.recv().unwrap_err();
        7
    });
    start.recv().unwrap();
    assert!(!handle.cancel());
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    assert!(handle.is_finished());
    assert!(!handle.cancel());
    assert_eq!(handle.wait().unwrap(), 7);

    let handle = runtime.when((), |()| panic!("drawn"));
    runtime.quiesce(Some(LONG)).unwrap();
    assert!(!handle.cancel());
    let handle: Handle<()> = handle;
    assert!(matches!(handle.wait(), Err(Failure::Panicked(_))));
}

#[test]
fn twice() {
    let pump = Pump::new();
    let handle = pump.executor().when((), |()| ());
    assert!(handle.cancel());
    assert!(!handle.cancel());
    pump.run_until_idle();
    assert!(!handle.cancel());
    assert_cancelled(handle);
}

#[test]
fn a_pump_passes_over_what_was_cancelled() {
    let pump = Pump::new();
    let handles = [(); 4].map(|()| pump.executor().when((), |()| ()));
    for cancelled in [0, 1, 3] {
        assert!(handles[cancelled].cancel());
    }
    assert!(pump.run_one(), "the one that is left");
    assert!(handles[2].is_finished());
    assert!(!pump.run_one());
    let handles = [(); 3].map(|()| pump.executor().when((), |()| ()));
    assert!(handles[1].cancel());
    assert_eq!(pump.run_until_idle(), 2);
}

#[test]
fn what_was_refused_was_not_cancelled_by_the_handle() {
    let runtime = Runtime::with_workers(1);
    runtime.shutdown();
    let handle = runtime.when((), |()| ());
    assert!(!handle.cancel());
    assert_cancelled(handle);
}

#[test]
fn of_several_threads_one_wins() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(tally.token());
    let (mut cancelled, mut ran) = (0, 0);
    for round in 0..2_000 {
        // In turns: behind somebody, ready, and about to start.
        let (release, released) = mpsc::channel::<()>();
        if round % 3 == 0 {
            runtime.when(&cown, move |_| released.recv().unwrap_err());
        }
        let token = tally.token();
        let work = move |_: &Token| drop(token);
        let handle = if round % 2 == 0 {
            runtime.when(&cown, move |value| work(value))
        } else {
            runtime.when(read(&cown), work)
        };
        let start = Barrier::new(3);
        let cancel = || {
            start.wait();
            handle.cancel()
        };
        let won = thread::scope(|scope| {
            let others = [scope.spawn(cancel), scope.spawn(cancel)];
            let own = cancel();
            usize::from(own)
                + others.into_iter().filter_map(|t| t.join().ok()).filter(|won| *won).count()
        });
        drop(release);
        match handle.wait_timeout(LONG).unwrap() {
            Ok(()) => {
                assert_eq!(won, 0);
                ran += 1;
            }
            Err(Failure::Cancelled) => {
                assert_eq!(won, 1);
                cancelled += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(cancelled + ran, 2_000);
    assert!(cancelled > 600, "a third waits for somebody who waits for this thread");
    runtime.quiesce(Some(LONG)).unwrap();
    drop((cown, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn a_cancellation_races_the_start() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let ran = Arc::new(AtomicBool::new(false));
        let (token, runs) = (tally.token(), Arc::clone(&ran));
        let handle = runtime.when((), move |()| {
            let _token = token;
            runs.store(true, SeqCst);
        });
        (0..rng.usize(0..300)).for_each(|_| std::hint::spin_loop());
        let cancelled = handle.cancel();
        let keep = rng.bool();
        if keep {
            let outcome = handle.wait_timeout(LONG).unwrap();
            assert_eq!(outcome.is_err(), cancelled);
        } else {
            // While the worker may be about to find that it was cancelled.
            drop(handle);
            runtime.quiesce(Some(LONG)).unwrap();
        }
        assert_eq!(ran.load(SeqCst), !cancelled);
    }
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.in_flight(), 0);
    tally.assert_each_dropped_once();
}

#[test]
fn those_over_the_outcome_learn_at_once_though_the_cowns_are_held() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(2);
    let cown = Cown::new(tally.token());
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&cown, move |_| released.recv().unwrap_err());
    let token = tally.token();
    let handle = runtime.when(&cown, move |_| drop(token));
    let outcome = |outcome: &mut boc_core::Outcome<()>| outcome.take().is_err();
    let before = runtime.when(&handle, outcome);
    let read_before = runtime.when((read(&handle), read(&handle)), |(one, other)| {
        one.value().is_none() && other.value().is_none()
    });
    let over_those = runtime.when((&before, read(&read_before)), |(one, other)| {
        (one.value().copied(), other.value().copied())
    });
    let (told, tell) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| told.send(over_those.wait_timeout(LONG).unwrap().unwrap()).unwrap());
        assert!(handle.cancel());
        // The behaviour over the cown still runs: nobody has released it.
        assert_eq!(tell.recv_timeout(LONG).unwrap(), (Some(true), Some(true)));
    });
    let late = runtime.when(&handle, outcome);
    assert!(late.wait_timeout(LONG).unwrap().unwrap());
    assert!(before.wait_timeout(LONG).unwrap().unwrap());
    // Others may not be counted out yet.
    assert!(runtime.in_flight() >= 2, "the one that runs, and the place behind it");
    assert_eq!(tally.left(), 1);
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    assert_cancelled(handle);
    drop((cown, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn a_thread_that_waits_learns_at_once() {
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(());
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&cown, move |_| released.recv().unwrap_err());
    let first = Arc::new(runtime.when(&cown, |_| ()));
    let second = runtime.when(&*first, |first| first.take());
    thread::scope(|scope| {
        // The only worker is busy, so this one is for a pump.
        let pump = Pump::new();
        let third = pump.executor().when(&*first, |first| first.take().is_err());
        let waiting = scope.spawn(move || third.wait_timeout(LONG).unwrap().unwrap());
        assert!(second.cancel());
        assert!(first.cancel());
        while !waiting.is_finished() {
            pump.run_until_idle();
            thread::yield_now();
        }
        assert!(waiting.join().unwrap());
    });
    assert_cancelled(second);
    drop(release);
    assert_cancelled(Arc::into_inner(first).unwrap());
}

/// Who is scheduled over the result of a behaviour comes to have a handle of it when that has run, also if
/// nobody had one before.
#[test]
fn too_late_by_who_holds_the_result() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let token = tally.token();
    let first = shelf.executor().when((), move |()| drop(token));
    let second = shelf.executor().when(acquire(first.cown()), |result| {
        ResultCown::try_from(result.cown().clone()).unwrap().cancel()
    });
    drop(first);
    shelf.run_all();
    assert!(!second.wait().unwrap());
    drop(shelf);
    tally.assert_each_dropped_once();
}

#[test]
fn a_cancelled_behaviour_keeps_its_place_and_nothing_else() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let executor = shelf.executor();
    let (a, b) = (Cown::new((0, tally.token())), Cown::new((0, tally.token())));
    let add = |(a, b): (&mut (i32, Token), &mut (i32, Token))| {
        a.0 += 1;
        b.0 += 10;
    };
    executor.when(&a, |a| a.0 += 1);
    let cancelled = executor.when((&a, &b), add);
    let behind = executor.when(&b, |b| b.0);
    assert_eq!(shelf.len(), 1);
    assert!(cancelled.cancel());
    // It holds one cown, and gives it up when it would hold the other one.
    assert_eq!(shelf.len(), 1);
    shelf.take(0).run();
    assert_eq!(shelf.len(), 1);
    shelf.run_all();
    assert_eq!(behind.wait().unwrap(), 0);
    assert_cancelled(cancelled);

    // Without its handle and with the last references to its cowns.
    executor.when(&a, |a| a.0 += 1);
    assert!(executor.when((read(&a), &b), |_| ()).cancel());
    let weak = (a.downgrade(), b.downgrade());
    drop((a, b));
    assert_eq!(tally.left(), 2);
    assert!(weak.1.upgrade().is_some());
    shelf.run_all();
    assert!(weak.0.upgrade().is_none() && weak.1.upgrade().is_none());
    tally.assert_each_dropped_once();
}

#[test]
fn readers_are_cancelled_like_all_others() {
    // One of a row of readers, with a writer before and one behind, waiting or ready.
    for (victim, ready) in (0..3).flat_map(|victim| [(victim, false), (victim, true)]) {
        let (shelf, tally) = (Shelf::default(), Tally::default());
        let executor = shelf.executor();
        let cown = Cown::new((0, tally.token()));
        drop(executor.when(&cown, |value| value.0 += 1));
        let readers = [(); 3].map(|()| {
            let token = tally.token();
            executor.when(read(&cown), move |value| {
                let _token = token;
                value.0
            })
        });
        let writer = executor.when(&cown, |value| {
            value.0 += 1;
            value.0
        });
        if ready {
            shelf.take(0).run();
            assert_eq!(shelf.len(), 3);
            assert!(readers[victim].cancel());
            assert_eq!(shelf.len(), 3, "nobody takes it off the shelf");
        } else {
            assert!(readers[victim].cancel());
            shelf.take(0).run();
            assert_eq!(shelf.len(), 2);
        }
        assert_eq!(tally.left(), 3);
        shelf.run_all();
        for (index, reader) in readers.into_iter().enumerate() {
            assert_eq!(reader.wait().ok(), (index != victim).then_some(1));
        }
        assert_eq!(writer.wait().unwrap(), 2);
        drop(cown);
        tally.assert_each_dropped_once();
    }
}

#[test]
fn quiescence_comes_when_the_place_is_given_up() {
    let runtime = Runtime::with_workers(1);
    let other = Runtime::with_workers(1);
    let cown = Cown::new(());
    let (release, released) = mpsc::channel::<()>();
    other.when(&cown, move |_| released.recv().unwrap_err());
    let handle = runtime.when(&cown, |_| ());
    let ready = runtime.when((), |()| ());
    assert!(handle.cancel());
    ready.wait_timeout(LONG).unwrap().unwrap();
    assert!(runtime.quiesce(Some(Duration::from_millis(10))).is_err());
    assert!(runtime.in_flight() >= 1);
    thread::scope(|scope| {
        // Somebody waits already when the other runtime's worker counts it out.
        let waiting = scope.spawn(|| runtime.quiesce(Some(LONG)));
        thread::sleep(Duration::from_millis(10));
        drop(release);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(runtime.in_flight(), 0);
    // Shutdown waits for it, too.
    let (release, released) = mpsc::channel::<()>();
    other.when(&cown, move |_| released.recv().unwrap_err());
    assert!(runtime.when(&cown, |_| ()).cancel());
    runtime.drain();
    assert!(!runtime.wait_retired(Some(Duration::from_millis(10))));
    drop(release);
    assert!(runtime.wait_retired(Some(LONG)));
}

#[test]
fn a_behaviour_that_cancels_itself_is_told_that_it_runs() {
    let runtime = Runtime::with_workers(1);
    let own = Cown::new(None::<Handle<bool>>);
    // SAFETY: the cown is alive.
    let claim = unsafe { raw::claim(&[raw::Access::from(&own)]) }.unwrap();
    assert!(claim.wait(None));
    let handle = runtime.when(&own, |own| own.as_ref().is_some_and(Handle::cancel));
    // SAFETY: the claim holds the cown.
    unsafe { *raw::value_ptr(&own) = Some(handle) };
    drop(claim);
    let handle = runtime.when(&own, Option::take).wait().unwrap().unwrap();
    assert!(!handle.wait().unwrap());
}

#[test]
fn a_behaviour_cancels_others() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new((0, tally.token()));
    let inner = cown.clone();
    let counting = tally.clone();
    let handle = runtime.when(&cown, move |_| {
        let add = |token: Token| {
            move |value: &mut (i32, Token)| {
                let _token = token;
                value.0 += 1;
            }
        };
        let waits = when(&inner, add(counting.token()));
        let token = counting.token();
        let ready = when((), move |()| drop(token));
        let left = counting.left();
        let both = waits.cancel() && ready.cancel() && !waits.cancel();
        drop((when(&inner, add(counting.token())), ready));
        (both, left - counting.left(), waits)
    });
    let (both, dropped, waits) = handle.wait_timeout(LONG).unwrap().unwrap();
    // One was scheduled after they were counted.
    assert!(both);
    assert_eq!(dropped, 1);
    assert_cancelled(waits);
    assert_eq!(runtime.when(&cown, |value| value.0).wait().unwrap(), 1);
    runtime.quiesce(Some(LONG)).unwrap();
    drop((cown, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn what_sits_ready_in_a_pump() {
    let tally = Tally::default();
    let pump = Pump::new();
    let cown = Cown::new((0, tally.token()));
    let handles = [(); 3].map(|()| {
        let token = tally.token();
        pump.executor().when(read(&cown), move |value| {
            let _token = token;
            value.0
        })
    });
    let writer = pump.executor().when(&cown, |value| value.0 += 1);
    assert!(handles[1].cancel());
    assert!(handles[1].is_finished());
    assert_eq!(tally.left(), 1 + 2);
    pump.run_until_idle();
    writer.wait().unwrap();
    let [first, second, third] = handles;
    assert_cancelled(second);
    assert_eq!((first.wait().unwrap(), third.wait().unwrap()), (0, 0));
    // The same when the pump never runs again.
    let handles = [(); 3].map(|()| {
        let token = tally.token();
        pump.executor().when(&cown, move |_| drop(token))
    });
    assert!(handles[0].cancel() && handles[2].cancel());
    drop(pump);
    assert!(!handles[1].cancel());
    handles.into_iter().for_each(assert_cancelled);
    drop(cown);
    tally.assert_each_dropped_once();
}

#[test]
fn a_runtime_without_a_thread_forgets_nothing() {
    let tally = Tally::default();
    let runtime = Builder::new().workers(1).foreign_threads().build().unwrap();
    let cown = Cown::new(tally.token());
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let token = tally.token();
            runtime.when(&cown, move |_| drop(token))
        })
        .collect();
    assert!(handles.iter().rev().step_by(2).all(Handle::cancel));
    assert_eq!((tally.left(), runtime.in_flight()), (51, 100));
    runtime.shutdown_now();
    assert_eq!(runtime.in_flight(), 0);
    handles.into_iter().for_each(assert_cancelled);
    drop((cown, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn claims_before_and_behind() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Cown::new(tally.token());
    // SAFETY: the cown is alive.
    let claim = || unsafe { raw::claim(&[raw::Access::from(&cown)]) }.unwrap();
    let first = claim();
    assert!(first.wait(None));
    let token = tally.token();
    let handle = shelf.executor().when(&cown, move |_| drop(token));
    let second = claim();
    assert!(handle.cancel());
    assert_eq!(tally.left(), 1);
    assert_cancelled(handle);
    let given_up = claim();
    drop(given_up);
    assert!(!second.wait(Some(Instant::now())));
    drop(first);
    assert!(second.wait(None));
    // Behind one that was given up, and with nobody to run it.
    assert!(shelf.executor().when(&cown, |_| ()).cancel());
    drop((second, cown));
    assert_eq!(shelf.len(), 0);
    tally.assert_each_dropped_once();
}

#[test]
fn a_long_queue_is_cancelled_without_a_deep_stack() {
    const MANY: usize = 100_000;
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Cown::new(tally.token());
    shelf.executor().when(&cown, |_| ());
    let handles: Vec<_> = (0..MANY)
        .map(|n| {
            let token = tally.token();
            if n % 3 == 0 {
                shelf.executor().when(read(&cown), move |_| drop(token))
            } else {
                shelf.executor().when(&cown, move |_| drop(token))
            }
        })
        .collect();
    assert!(handles.iter().all(Handle::cancel));
    assert_eq!((tally.left(), shelf.len()), (1, 1));
    shelf.run_all();
    handles.into_iter().for_each(assert_cancelled);

    // A chain of outcomes.
    let first = shelf.executor().when((), |()| true);
    let mut chain = vec![first];
    for _ in 0..MANY {
        let last = chain.last().unwrap();
        let token = tally.token();
        chain.push(shelf.executor().when(last, move |last| {
            drop(token);
            last.take().is_err()
        }));
    }
    assert!(chain.iter().rev().all(Handle::cancel));
    assert_eq!(tally.left(), 1);
    shelf.run_all();
    chain.into_iter().for_each(assert_cancelled);
    drop(cown);
    tally.assert_each_dropped_once();
}

#[test]
fn a_closure_whose_end_cancels_schedules_and_panics() {
    /// Does something when the closure that it is part of is dropped.
    struct AtTheEnd<F: FnMut()>(F);
    impl<F: FnMut()> Drop for AtTheEnd<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let pump = Pump::new();
    let executor = pump.executor().clone();
    let log = Arc::new(Mutex::new(Vec::new()));
    let other = executor.when((), |()| ());
    let (noted, scheduling) = (Arc::clone(&log), executor.clone());
    let at_the_end = AtTheEnd(move || {
        let noted_later = Arc::clone(&noted);
        noted.lock().unwrap().push(other.cancel());
        scheduling.when((), move |()| noted_later.lock().unwrap().push(true));
        panic!("drawn");
    });
    let handle = executor.when((), move |()| drop(at_the_end));
    assert!(handle.cancel());
    assert_cancelled(handle);
    assert_eq!(*log.lock().unwrap(), [true]);
    pump.run_until_idle();
    assert_eq!(*log.lock().unwrap(), [true, true]);
}

#[test]
fn the_cancelled_are_not_counted_as_run_and_nothing_is_left() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(2);
    let ran = Arc::new(AtomicUsize::new(0));
    let cowns: Vec<_> = (0..4).map(|_| Cown::new(tally.token())).collect();
    let mut rng = fastrand::Rng::with_seed(2);
    let mut cancelled = 0;
    for _ in 0..200 {
        let handles: Vec<_> = (0..50)
            .map(|_| {
                let cowns = rng.choose_multiple(cowns.iter(), 2);
                let (token, ran) = (tally.token(), Arc::clone(&ran));
                runtime.when((cowns[0], read(cowns[1])), move |_| {
                    drop(token);
                    ran.fetch_add(1, SeqCst);
                })
            })
            .collect();
        cancelled += handles.iter().filter(|_| rng.bool()).filter(|one| one.cancel()).count();
    }
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(ran.load(SeqCst) + cancelled, 200 * 50);
    assert!(cancelled > 0);
    drop((cowns, runtime));
    tally.assert_each_dropped_once();
}
