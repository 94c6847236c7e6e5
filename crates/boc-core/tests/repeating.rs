//! What the documentation promises of behaviours that run again.
#![cfg(not(loom))]

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use boc_core::{Cown, Failure, Pump, Runtime, Step, read, set_unobserved_panic_hook};

#[test]
fn others_get_the_cown_in_between() {
    let pump = Pump::new();
    let log = Cown::new(Vec::new());
    let mut left = 3;
    let repeated = pump.executor().when_repeated(&log, move |log: &mut Vec<&str>| {
        log.push("again");
        left -= 1;
        if left == 0 { Step::Done(log.len()) } else { Step::Again }
    });
    pump.executor().when(&log, |log| log.push("other"));
    assert_eq!(pump.run_until_idle(), 4);
    assert_eq!(repeated.wait().unwrap(), 4);
    let log = pump.executor().when(&log, std::mem::take);
    pump.run_until_idle();
    assert_eq!(log.wait().unwrap(), ["again", "other", "again", "again"]);
}

#[test]
fn many_over_overlapping_cowns_on_many_workers() {
    const STEPS: u32 = 2_000;
    let runtime = Runtime::with_workers(3);
    let cowns: Vec<_> = (0..5).map(|_| Cown::new(0)).collect();
    let handles: Vec<_> = (0..cowns.len())
        .map(|index| {
            let pair = (&cowns[index], &cowns[(index + 1) % cowns.len()]);
            let mut left = STEPS;
            runtime.executor().when_repeated(pair, move |(a, b): (&mut u32, &mut u32)| {
                *a += 1;
                *b += 1;
                left -= 1;
                if left == 0 { Step::Done(()) } else { Step::Again }
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.wait().unwrap());
    for cown in &cowns {
        assert_eq!(runtime.when(cown, |n| *n).wait().unwrap(), 2 * STEPS);
    }
}

#[test]
fn readers_repeat_beside_a_writer_and_see_each_value_grow() {
    let runtime = Runtime::with_workers(2);
    let number = Cown::new(0_u32);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut last = 0;
            runtime.executor().when_repeated((read(&number), read(&number)), move |(n, same)| {
                assert!(*n >= last && n == same);
                last = *n;
                if last == 500 { Step::Done(()) } else { Step::Again }
            })
        })
        .collect();
    for _ in 0..500 {
        runtime.when_detached(&number, |n| *n += 1);
    }
    readers.into_iter().for_each(|reader| reader.wait().unwrap());
}

#[test]
fn the_cown_lives_on_without_a_handle() {
    let value = Arc::new(());
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(Arc::clone(&value));
    let mut left = 10;
    let handle = runtime.executor().when_repeated(&cown, move |value: &mut Arc<()>| {
        left -= 1;
        if left == 0 { Step::Done(Arc::strong_count(value)) } else { Step::Again }
    });
    drop(cown);
    assert_eq!(handle.wait().unwrap(), 2);
    runtime.quiesce(None).unwrap();
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn cancelling_works_between_two_runs() {
    let pump = Pump::new();
    let closure = Arc::new(());
    let kept = Arc::clone(&closure);
    let cown = Cown::new(0);
    let handle = pump.executor().when_repeated(&cown, move |n| {
        let _kept = &kept;
        *n += 1;
        Step::<()>::Again
    });
    assert!(pump.run_one());
    assert!(pump.run_one());
    assert!(handle.cancel());
    assert_eq!(Arc::strong_count(&closure), 1);
    assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    pump.run_until_idle();
    let n = pump.executor().when(&cown, |n| *n);
    pump.run_until_idle();
    assert_eq!(n.wait().unwrap(), 2);
}

#[test]
fn cancelling_from_another_thread_while_it_runs() {
    let runtime = Runtime::with_workers(1);
    for _ in 0..200 {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let handle = runtime.executor().when_repeated((), move |()| {
            counted.fetch_add(1, SeqCst);
            Step::<()>::Again
        });
        while !handle.cancel() {}
        assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        runtime.quiesce(None).unwrap();
        assert_eq!(Arc::strong_count(&runs), 1);
    }
}

#[test]
fn a_panic_ends_it_and_drops_the_closure() {
    set_unobserved_panic_hook(|_| ());
    let runtime = Runtime::with_workers(1);
    let closure = Arc::new(());
    let kept = Arc::clone(&closure);
    let mut left = 3;
    let handle = runtime.executor().when_repeated((), move |()| {
        let _kept = &kept;
        left -= 1;
        if left == 0 {
            panic::resume_unwind(Box::new("enough"));
        }
        Step::<()>::Again
    });
    assert!(matches!(handle.wait(), Err(Failure::Panicked(_))));
    assert_eq!(Arc::strong_count(&closure), 1);
}

#[test]
fn it_does_not_starve_others() {
    let runtime = Runtime::with_workers(1);
    let (endless, other) = (Cown::new(0_u64), Cown::new(0));
    let handle = runtime.executor().when_repeated(&endless, |n| {
        *n += 1;
        Step::<()>::Again
    });
    for _ in 0..100 {
        runtime.when(&other, |n| *n += 1).wait().unwrap();
        runtime.when(&endless, |_| ()).wait().unwrap();
    }
    while !handle.cancel() {}
}

#[test]
fn a_runtime_that_stops_ends_it() {
    let runtime = Runtime::with_workers(2);
    let handle = runtime.executor().when_repeated((), |()| Step::<()>::Again);
    runtime.shutdown_now();
    assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
}
