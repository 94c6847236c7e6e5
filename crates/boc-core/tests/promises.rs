//! What the documentation promises of cowns, behaviours, handles and runtimes.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use boc_core::{Cown, Failure, QuiesceError, RunWorkerError, Runtime, inside_behaviour, when};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn behaviours_on_one_cown_run_in_scheduling_order() {
    let runtime = Runtime::with_workers(2);
    let log = Cown::new(Vec::new());
    for n in 0..1_000 {
        runtime.when(&log, move |log| log.push(n));
    }
    let log = runtime.when(&log, std::mem::take).wait().unwrap();
    assert!(log.into_iter().eq(0..1_000));
}

#[test]
fn a_behaviour_holds_all_its_cowns_whatever_their_order() {
    let runtime = Runtime::with_workers(2);
    let (a, b) = (Cown::new(500_i64), Cown::new(500_i64));
    for n in 0..2_000 {
        let step = move |(from, to): (&mut i64, &mut i64)| {
            *from -= n;
            *to += n;
        };
        if n % 2 == 0 {
            runtime.when((&a, &b), step);
        } else {
            runtime.when((&b, &a), step);
        }
    }
    assert_eq!(runtime.when((&a, &b), |(a, b)| *a + *b).wait().unwrap(), 1_000);
}

#[test]
fn requests_of_every_form() {
    let runtime = Runtime::with_workers(2);
    let one = Cown::new(1);
    let many: Vec<Cown<i32>> = (2..=40).map(Cown::new).collect();
    let pair = [Cown::new(41), Cown::new(42)];
    assert_eq!(runtime.when((), |()| 7).wait().unwrap(), 7);
    assert_eq!(runtime.when(&one, |n| *n).wait().unwrap(), 1);
    assert_eq!(runtime.when(&many[..], |many| many.len()).wait().unwrap(), 39);
    assert_eq!(runtime.when([&pair[1], &pair[0]], |[a, b]| *a - *b).wait().unwrap(), 1);
    let sum = runtime.when((&one, &many, &pair), |(one, many, pair)| {
        *one + many.iter().map(|n| **n).sum::<i32>() + pair.iter().map(|n| **n).sum::<i32>()
    });
    assert_eq!(sum.wait().unwrap(), (1..=42).sum());
    let empty: [Cown<i32>; 0] = [];
    assert_eq!(runtime.when(&empty[..], |none| none.len()).wait().unwrap(), 0);
}

#[test]
fn a_cown_named_twice_is_refused_and_nothing_is_scheduled() {
    let runtime = Runtime::with_workers(1);
    let (a, b) = (Cown::new(0), Cown::new(0));
    let token = Arc::new(());
    for clone in [a.clone(), b.clone()] {
        let held = Arc::clone(&token);
        let refused = runtime.try_when((&a, &b, &clone), move |_| drop(held));
        assert!(refused.is_err());
    }
    let held = Arc::clone(&token);
    assert!(runtime.try_when((&a, &a), move |_| drop(held)).is_err());
    let many: Vec<_> = (0..20).map(Cown::new).chain([a.clone(), a.clone()]).collect();
    assert!(runtime.try_when(&many, |_| ()).is_err());
    assert_eq!(Arc::strong_count(&token), 1);
    assert_eq!(runtime.in_flight(), 0);
    // The cowns are free.
    runtime.when((&a, &b), |_| ()).wait().unwrap();
}

#[test]
fn a_panic_reaches_the_handle_and_the_cowns_are_released() {
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(5);
    let handle = runtime.when(&cown, |_| -> i32 { panic!("out of {}", "tea") });
    match handle.wait() {
        Err(Failure::Panicked(panic)) => assert_eq!(panic.message(), Some("out of tea")),
        other => panic!("{other:?}"),
    }
    assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 5);
}

#[test]
fn a_value_whose_destructor_panics_harms_nobody() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("bang");
        }
    }
    let runtime = Runtime::with_workers(1);
    let (grenade, other) = (Cown::new(Grenade), Cown::new(1));
    runtime.when((&other, &grenade), |_| ());
    drop(grenade);
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(&other, |n| *n).wait().unwrap(), 1);
}

#[test]
fn behaviours_over_a_handle_run_after_it_and_see_its_outcome() {
    let runtime = Runtime::with_workers(2);
    let first = runtime.when((), |()| {
        thread::sleep(Duration::from_millis(20));
        20
    });
    let second = runtime.when(&first, |first| first.value().copied().map(|n| n + 1));
    let third = runtime.when((&first, &second), |(first, second)| {
        first.take().unwrap() + second.take().unwrap().unwrap()
    });
    assert_eq!(third.wait().unwrap(), 41);
    assert!(matches!(first.wait(), Err(Failure::Taken)));
}

#[test]
fn waiting_with_a_timeout_gives_the_handle_back() {
    let runtime = Runtime::with_workers(1);
    let (sender, receiver) = mpsc::channel::<()>();
    let handle = runtime.when((), move |()| receiver.recv().is_err());
    let handle = handle.wait_timeout(Duration::from_millis(10)).unwrap_err();
    assert!(!handle.is_finished());
    drop(sender);
    assert!(handle.wait_timeout(LONG).unwrap().unwrap());
}

#[test]
fn nested_behaviours_over_the_cowns_of_the_outer_one_run_after_it() {
    let runtime = Runtime::with_workers(2);
    let log = Cown::new(Vec::new());
    let inner = log.clone();
    runtime.when(&log, move |entries| {
        let again = inner.clone();
        when(&inner, move |entries| {
            entries.push("inner");
            when(&again, |entries| entries.push("innermost"));
        });
        entries.push("outer");
    });
    runtime.quiesce(Some(LONG)).unwrap();
    let log = runtime.when(&log, std::mem::take).wait().unwrap();
    assert_eq!(log, ["outer", "inner", "innermost"]);
}

#[test]
fn a_behaviour_that_is_ready_is_stolen_from_one_that_takes_long() {
    let runtime = Runtime::with_workers(2);
    let (sender, receiver) = mpsc::channel();
    // Waits inside of a behaviour for another one, which therefore needs the second worker.
    let handle = runtime.when((), move |()| {
        when((), move |()| sender.send(()).unwrap());
        receiver.recv_timeout(LONG).is_ok()
    });
    assert!(handle.wait().unwrap());
}

#[test]
fn a_behaviour_that_schedules_itself_over_and_over_starves_nobody() {
    fn again(cown: &Cown<bool>, rounds: Arc<AtomicUsize>) {
        let this = cown.clone();
        when(cown, move |stop| {
            rounds.fetch_add(1, SeqCst);
            if !*stop {
                again(&this, rounds);
            }
        });
    }
    let runtime = Runtime::with_workers(1);
    let rounds = Arc::new(AtomicUsize::new(0));
    let stop = Cown::new(false);
    let (cown, counter) = (stop.clone(), Arc::clone(&rounds));
    runtime.when((), move |()| again(&cown, counter));
    while rounds.load(SeqCst) < 1_000 {
        thread::yield_now();
    }
    runtime.when((), |()| ()).wait_timeout(LONG).unwrap().unwrap();
    runtime.when(&stop, |stop| *stop = true);
    runtime.quiesce(Some(LONG)).unwrap();
}

#[test]
fn who_waits_for_all_to_end_can_be_told_of_something_else() {
    let runtime = Runtime::with_workers(1);
    let (go_on, may_go_on) = mpsc::channel::<()>();
    runtime.when_detached((), move |()| may_go_on.recv().unwrap());
    let (wanted, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let unless = || {
        asked.fetch_add(1, SeqCst);
        wanted.load(SeqCst) > 0
    };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime.quiesce_unless(Some(LONG), &unless));
        while asked.load(SeqCst) == 0 {
            thread::yield_now();
        }
        wanted.store(1, SeqCst);
        runtime.look_again();
        assert_eq!(waiting.join().unwrap(), Err(QuiesceError::TimedOut));
    });
    go_on.send(()).unwrap();
    wanted.store(0, SeqCst);
    runtime.quiesce_unless(Some(LONG), &unless).unwrap();
}

#[test]
fn quiesce_times_out_and_is_refused_inside_of_a_behaviour() {
    let runtime = Arc::new(Runtime::with_workers(1));
    let (sender, receiver) = mpsc::channel::<()>();
    let inner = Arc::clone(&runtime);
    let handle = runtime.when((), move |()| {
        receiver.recv().unwrap_err();
        assert!(inside_behaviour());
        inner.quiesce(None)
    });
    assert_eq!(runtime.quiesce(Some(Duration::from_millis(10))), Err(QuiesceError::TimedOut));
    drop(sender);
    assert_eq!(handle.wait().unwrap(), Err(QuiesceError::InsideBehaviour));
    runtime.quiesce(Some(LONG)).unwrap();
    assert!(!inside_behaviour());
}

#[test]
fn shutdown_runs_what_was_scheduled_and_what_that_schedules() {
    let runtime = Runtime::with_workers(2);
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let count = Arc::clone(&count);
        runtime.when((), move |()| {
            count.fetch_add(1, SeqCst);
            when((), move |()| count.fetch_add(1, SeqCst));
        });
    }
    runtime.shutdown();
    assert_eq!(count.load(SeqCst), 200);
    let late = runtime.when((), |()| ());
    assert!(matches!(late.wait(), Err(Failure::Cancelled)));
}

#[test]
fn shutdown_now_cancels_what_has_not_started_and_drops_it_once() {
    let runtime = Runtime::with_workers(1);
    let token = Arc::new(());
    let cown = Cown::new(Arc::clone(&token));
    let (started, start) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = runtime.when(&cown, move |_| {
        started.send(()).unwrap();
        released.recv().unwrap_err();
    });
    start.recv().unwrap();
    // A queue long enough to overflow the stack of whoever would cancel it recursively.
    let queued: Vec<_> = (0..100_000)
        .map(|_| {
            let token = Arc::clone(&token);
            runtime.when(&cown, move |_| drop(token))
        })
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| runtime.shutdown_now());
        thread::sleep(Duration::from_millis(20));
        drop(release);
    });
    running.wait().unwrap();
    for handle in queued {
        assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    }
    assert_eq!(runtime.in_flight(), 0);
    drop(cown);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_runtime_that_is_dropped_inside_of_its_own_behaviour_still_finishes() {
    let runtime = Arc::new(Runtime::with_workers(2));
    let (sender, receiver) = mpsc::channel();
    let inner = Arc::clone(&runtime);
    let executor = runtime.executor().clone();
    let gate = Arc::new(Barrier::new(2));
    let passed = Arc::clone(&gate);
    executor.when((), move |()| {
        passed.wait();
        passed.wait();
        drop(inner);
        when((), move |()| sender.send("done").unwrap());
    });
    gate.wait();
    drop(runtime);
    gate.wait();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), "done");
}

#[test]
fn runtimes_share_cowns() {
    let (first, second) = (Runtime::with_workers(1), Runtime::with_workers(1));
    let log = Cown::new(Vec::new());
    for n in 0..500 {
        let runtime = if n % 2 == 0 { &first } else { &second };
        runtime.when(&log, move |log| log.push(n));
    }
    let log = first.when(&log, std::mem::take).wait().unwrap();
    assert!(log.into_iter().eq(0..500));
}

#[test]
fn what_waits_for_another_runtime_outlives_its_own() {
    let first = Runtime::with_workers(1);
    let cown = Cown::new(0);
    let (release, released) = mpsc::channel::<()>();
    first.when(&cown, move |_| released.recv().unwrap_err());
    let second = Runtime::with_workers(1);
    let handle = second.when(&cown, |_| ());
    second.shutdown_now();
    drop(second);
    drop(release);
    assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    first.when(&cown, |_| ()).wait().unwrap();
}

#[test]
fn threads_of_somebody_else_can_be_the_workers() {
    let runtime = boc_core::Builder::new().workers(2).foreign_threads().build().unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| runtime.run_worker(&mut ()).unwrap());
        }
        let cown = Cown::new(0);
        for _ in 0..1_000 {
            runtime.when(&cown, |n| *n += 1);
        }
        assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 1_000);
        // Two behaviours that meet run on two workers.
        let meeting = Arc::new(Barrier::new(2));
        let meet = || {
            let meeting = Arc::clone(&meeting);
            runtime.when((), move |()| meeting.wait().is_leader())
        };
        let (one, other) = (meet(), meet());
        assert!(one.wait().unwrap() != other.wait().unwrap());
        assert_eq!(runtime.run_worker(&mut ()), Err(RunWorkerError::NoPlace));
        runtime.shutdown();
    });
}

#[test]
fn a_worker_cannot_become_a_second_one() {
    let runtime = Arc::new(boc_core::Builder::new().workers(2).foreign_threads().build().unwrap());
    let inner = Arc::clone(&runtime);
    let handle = runtime.when((), move |()| inner.run_worker(&mut ()));
    thread::scope(|scope| {
        scope.spawn(|| runtime.run_worker(&mut ()).unwrap());
        assert_eq!(handle.wait().unwrap(), Err(RunWorkerError::AlreadyWorker));
        runtime.shutdown();
    });
}

#[test]
fn a_host_is_asked_around_every_wait() {
    struct Counting(usize);
    impl boc_core::Host for Counting {
        fn park(&mut self, wait: &mut dyn FnMut()) {
            self.0 += 1;
            wait();
        }
    }
    let runtime = boc_core::Builder::new().workers(1).foreign_threads().build().unwrap();
    let parks = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut host = Counting(0);
            runtime.run_worker(&mut host).unwrap();
            host.0
        });
        while runtime.stats()[0].parked == 0 {
            thread::yield_now();
        }
        runtime.when((), |()| ()).wait().unwrap();
        runtime.shutdown();
        worker.join().unwrap()
    });
    assert!(parks > 0);
}

#[test]
fn the_worker_counts_what_it_does() {
    let runtime = Runtime::with_workers(1);
    for _ in 0..10 {
        runtime.when((), |()| ());
    }
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.stats()[0].run, 10);
}
