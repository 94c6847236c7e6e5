//! What the documentation promises of cowns that are only read.

#[path = "scribble/mod.rs"]
mod scribble;
#[path = "shelf/mod.rs"]
mod shelf;
#[path = "tally/mod.rs"]
mod tally;

use std::{
    ptr,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use boc_core::{
    Access, Accessed, Cown, DuplicateCown, Failure, Handle, Pump, Runtime,
    raw::{self, Mode},
    read, when,
};
use scribble::Scribble;
use shelf::Shelf;
use tally::{Tally, Token};

#[global_allocator]
static ALLOCATOR: Scribble = Scribble;

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

/// The value of a cown that a test counts.
struct Counted {
    number: usize,
    _token: Token,
}

impl Counted {
    fn new(tally: &Tally) -> Cown<Self> {
        Cown::new(Self { number: 0, _token: tally.token() })
    }
}

/// A behaviour that reads the number.
fn look(shelf: &Shelf, cown: &Cown<Counted>, tally: &Tally) -> Handle<usize> {
    let token = tally.token();
    shelf.executor().when(read(cown), move |value| {
        let _token = token;
        value.number
    })
}

/// A behaviour that adds one to the number.
fn add(shelf: &Shelf, cown: &Cown<Counted>, tally: &Tally) -> Handle<usize> {
    let token = tally.token();
    shelf.executor().when(cown, move |value| {
        let _token = token;
        value.number += 1;
        value.number
    })
}

#[test]
fn two_readers_run_at_the_same_time() {
    let runtime = Runtime::with_workers(2);
    let cown = Cown::new(7);
    let meeting = Arc::new(Barrier::new(2));
    let meet = || {
        let meeting = Arc::clone(&meeting);
        runtime.when(read(&cown), move |value| {
            meeting.wait();
            *value
        })
    };
    let (one, other) = (meet(), meet());
    assert_eq!((one.wait().unwrap(), other.wait().unwrap()), (7, 7));
}

#[test]
fn readers_behind_a_writer_run_at_the_same_time() {
    let runtime = Runtime::with_workers(2);
    let cown = Cown::new(7);
    let (release, released) = mpsc::channel::<()>();
    runtime.when(&cown, move |value| {
        released.recv().unwrap_err();
        *value = 8;
    });
    let meeting = Arc::new(Barrier::new(2));
    let meet = || {
        let meeting = Arc::clone(&meeting);
        runtime.when(read(&cown), move |value| {
            meeting.wait();
            *value
        })
    };
    let (one, other) = (meet(), meet());
    drop(release);
    assert_eq!((one.wait().unwrap(), other.wait().unwrap()), (8, 8));
}

#[test]
fn a_waiting_writer_is_not_passed_by_later_readers() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Counted::new(&tally);
    let before = look(&shelf, &cown, &tally);
    assert_eq!(shelf.len(), 1);
    let writer = add(&shelf, &cown, &tally);
    let behind = [look(&shelf, &cown, &tally), look(&shelf, &cown, &tally)];
    assert_eq!(shelf.len(), 1, "the writer waits for the reader, the others wait for the writer");
    shelf.take(0).run();
    assert_eq!(shelf.len(), 1);
    shelf.take(0).run();
    assert_eq!(shelf.len(), 2);
    shelf.run_all();
    assert_eq!(before.wait().unwrap(), 0);
    assert_eq!(writer.wait().unwrap(), 1);
    for reader in behind {
        assert_eq!(reader.wait().unwrap(), 1);
    }
    drop(cown);
    tally.assert_each_dropped_once();
}

#[test]
fn a_writer_starts_when_all_readers_have_left_in_whatever_order() {
    for order in [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [2, 0, 0], [2, 1, 0]] {
        for behind_a_writer in [false, true] {
            let (shelf, tally) = (Shelf::default(), Tally::default());
            let cown = Counted::new(&tally);
            if behind_a_writer {
                drop(add(&shelf, &cown, &tally));
            }
            // Without their handles, the memory of the readers goes as soon as they end.
            (0..3).for_each(|_| drop(look(&shelf, &cown, &tally)));
            let writer = add(&shelf, &cown, &tally);
            if behind_a_writer {
                shelf.take(0).run();
            }
            for (index, left) in order.into_iter().zip((1..=3).rev()) {
                assert_eq!(shelf.len(), left);
                assert!(!writer.is_finished());
                shelf.take(index).run();
            }
            assert_eq!(shelf.len(), 1);
            shelf.run_all();
            assert_eq!(writer.wait().unwrap(), 1 + usize::from(behind_a_writer));
            drop(cown);
            tally.assert_each_dropped_once();
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_not_looked_at_by_the_one_before() {
    // Alone, and in a row behind a writer; the first one to leave is the last one in the row.
    for row in 2..6 {
        for behind_a_writer in [false, true] {
            let (shelf, tally) = (Shelf::default(), Tally::default());
            let cown = Counted::new(&tally);
            if behind_a_writer {
                drop(add(&shelf, &cown, &tally));
            }
            (0..row).for_each(|_| drop(look(&shelf, &cown, &tally)));
            if behind_a_writer {
                shelf.take(0).run();
            }
            (0..row).rev().for_each(|last| shelf.take(last).run());
            let writer = add(&shelf, &cown, &tally);
            shelf.run_all();
            assert_eq!(writer.wait().unwrap(), 1 + usize::from(behind_a_writer));
            drop(cown);
            tally.assert_each_dropped_once();
        }
    }
}

#[test]
fn readers_join_those_that_hold_the_cown() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Counted::new(&tally);
    drop(look(&shelf, &cown, &tally));
    for round in 0..10 {
        drop(look(&shelf, &cown, &tally));
        assert_eq!(shelf.len(), 2, "it does not wait for the one before");
        // The older one, or the newer one.
        shelf.take(round % 2).run();
    }
    // The queue is empty, and a reader still holds the cown.
    let writer = add(&shelf, &cown, &tally);
    assert_eq!(shelf.len(), 1);
    shelf.take(0).run();
    assert_eq!(shelf.len(), 1);
    shelf.run_all();
    assert_eq!(writer.wait().unwrap(), 1);
    drop(cown);
    tally.assert_each_dropped_once();
}

#[test]
fn a_writer_parks_while_the_last_reader_leaves() {
    let tally = Tally::default();
    let cown = Counted::new(&tally);
    let runtime = Runtime::with_workers(2);
    let rounds = 20_000;
    let right = Arc::new(AtomicUsize::new(0));
    for round in 0..rounds {
        let (token, right) = (tally.token(), Arc::clone(&right));
        drop(runtime.when(read(&cown), move |value| {
            drop(token);
            right.fetch_add(usize::from(value.number == round), SeqCst);
        }));
        drop(runtime.when(&cown, |value| value.number += 1));
    }
    assert_eq!(runtime.when(read(&cown), |value| value.number).wait().unwrap(), rounds);
    assert_eq!(right.load(SeqCst), rounds);
    drop((cown, runtime));
    tally.assert_each_dropped_once();
}

#[test]
fn one_request_reads_some_cowns_and_writes_others() {
    let runtime = Runtime::with_workers(2);
    let source = Cown::new(5);
    let target = Cown::new(0);
    let many: Vec<_> = (0..3).map(Cown::new).collect();
    let pair = [Cown::new(10), Cown::new(20)];
    let sum = runtime.when(
        (&target, read(&source), read(&many), read(&pair), read([&pair[1], &source])),
        |(target, source, many, [a, b], [c, d])| {
            *target = *source + many.iter().copied().sum::<i32>() + *a + *b + *c + *d;
            *target
        },
    );
    assert_eq!(sum.wait().unwrap(), 5 + 3 + 10 + 20 + 20 + 5);
    assert_eq!(runtime.when(read(&target), |target| *target).wait().unwrap(), 63);
    assert_eq!(runtime.when(read(&many[..]), |many| many.len()).wait().unwrap(), 3);
}

#[test]
fn a_request_says_of_hundreds_of_cowns_which_are_read() {
    let runtime = Runtime::with_workers(2);
    let cells: Vec<Cown<usize>> = (0..400).map(Cown::new).collect();
    let writes = |index: usize, shift: usize| (index + shift).is_multiple_of(3);
    for shift in 0..30 {
        let access = |(index, cell)| {
            if writes(index, shift) { Access::Write(cell) } else { Access::Read(cell) }
        };
        let request: Vec<_> = cells.iter().enumerate().map(access).collect();
        let as_asked = runtime.when(request, move |mut cells| {
            for cell in cells.iter_mut().filter_map(Accessed::as_mut) {
                *cell += 1000;
            }
            let written = |cell: &Accessed<'_, usize>| matches!(cell, Accessed::Write(_));
            (0..).zip(&cells).all(|(index, cell)| written(cell) == writes(index, shift))
        });
        assert!(as_asked.wait().unwrap());
    }
    let sum = runtime.when(read(&cells), |cells| cells.into_iter().sum::<usize>());
    assert_eq!(sum.wait().unwrap(), (0..400).sum::<usize>() + 400 * 10 * 1000);
}

#[test]
fn a_cown_that_is_only_read_may_be_named_twice() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let (a, b) = (Counted::new(&tally), Counted::new(&tally));
    let twice = shelf.executor().when((read(&a), read(&a)), |(one, other)| ptr::eq(one, other));
    let among_others =
        shelf.executor().when((read(&a), &b, read([&a, &a])), |(one, b, [two, three])| {
            b.number += 1;
            ptr::eq(one, two) && ptr::eq(two, three)
        });
    let list: Vec<_> = (0..20).map(|_| Access::Read(&a)).collect();
    let many = shelf.executor().when(list, |many| {
        let first: &Counted = &many[0];
        many.iter().all(|other| ptr::eq(first, &**other))
    });
    let writer = add(&shelf, &a, &tally);
    assert_eq!(shelf.len(), 3);
    shelf.run_all();
    for handle in [twice, among_others, many] {
        assert!(handle.wait().unwrap());
    }
    assert_eq!(writer.wait().unwrap(), 1);
    drop((a, b));
    tally.assert_each_dropped_once();
}

#[test]
fn a_cown_that_is_written_may_not_be_named_twice() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let (a, b) = (Counted::new(&tally), Counted::new(&tally));
    let executor = shelf.executor();
    let token = || tally.token();
    let refused = |result: Result<Handle<()>, DuplicateCown>| {
        assert!(matches!(result, Err(DuplicateCown)));
    };
    let held = token();
    refused(executor.try_when((&a, read(&a)), move |_| drop(held)));
    let held = token();
    refused(executor.try_when((read(&a), &a), move |_| drop(held)));
    let held = token();
    refused(executor.try_when((read(&a), &b, read(&a), &a), move |_| drop(held)));
    // In every order, with others between.
    for count in [2, 3, 4, 20] {
        let others: Vec<_> = (0..count).map(|_| Counted::new(&tally)).collect();
        for (written, read) in (0..count).flat_map(|n| (0..count).map(move |m| (n, m))) {
            if written != read {
                let mut list: Vec<_> = others.iter().map(Access::Write).collect();
                list[written] = Access::Write(&a);
                list[read] = Access::Read(&a);
                let held = token();
                refused(executor.try_when(list, move |_| drop(held)));
            }
        }
    }
    assert_eq!(shelf.len(), 0);
    // The cowns are free.
    let sum = executor.when((&a, read(&b)), |(a, b)| a.number + b.number);
    shelf.run_all();
    assert_eq!(sum.wait().unwrap(), 0);
    drop((a, b));
    tally.assert_each_dropped_once();
}

#[test]
fn results_are_read_by_many_at_the_same_time() {
    let runtime = Runtime::with_workers(2);
    let (release, released) = mpsc::channel::<()>();
    let answer = runtime.when((), move |()| {
        released.recv().unwrap_err();
        42
    });
    let meeting = Arc::new(Barrier::new(2));
    let meet = || {
        let meeting = Arc::clone(&meeting);
        runtime.when(read(&answer), move |answer| {
            meeting.wait();
            answer.value().copied()
        })
    };
    let (one, other) = (meet(), meet());
    let both = runtime.when((read([&one, &other]), read(&answer)), |([one, other], answer)| {
        one.value() == other.value() && answer.value() == Some(&42)
    });
    drop(release);
    assert!(both.wait().unwrap());
    assert_eq!(one.wait().unwrap(), Some(42));
    assert_eq!(other.wait().unwrap(), Some(42));
    assert_eq!(answer.wait().unwrap(), 42);
}

#[test]
fn a_result_that_is_not_there_is_read_as_that() {
    let pump = Pump::new();
    let cancelled = pump.executor().when((), |()| 1);
    assert!(cancelled.cancel());
    let panicked = pump.executor().when((), |()| -> i32 { panic!("drawn") });
    let list = [Access::Read(&cancelled), Access::Read(&panicked)];
    let values = pump.executor().when(&list[..], |outcomes| {
        outcomes.iter().map(|outcome| outcome.value().copied()).collect::<Vec<_>>()
    });
    pump.run_until_idle();
    assert_eq!(values.wait().unwrap(), [None, None]);
    // Reading takes nothing away.
    assert!(matches!(cancelled.wait(), Err(Failure::Cancelled)));
    assert!(matches!(panicked.wait(), Err(Failure::Panicked(_))));
}

#[test]
fn many_readers_a_writer_and_many_readers() {
    const MANY: usize = 2_000;
    for writer_first in [false, true] {
        let tally = Tally::default();
        let cown = Counted::new(&tally);
        let runtime = Runtime::with_workers(2);
        let readers = |expected: usize| {
            (0..MANY)
                .map(|_| {
                    let token = tally.token();
                    runtime.when(read(&cown), move |value| {
                        let _token = token;
                        value.number == expected
                    })
                })
                .collect::<Vec<_>>()
        };
        let write = || drop(runtime.when(&cown, |value| value.number += 1));
        let mut all = Vec::new();
        if writer_first {
            write();
        }
        for round in 0..3 {
            all.extend(readers(round + usize::from(writer_first)));
            write();
        }
        let every_second = all.len() / 2;
        let mut rest = all.into_iter().enumerate();
        // Half of the handles go while the readers may still run.
        let kept: Vec<_> = rest.by_ref().filter(|(n, _)| n % 2 == 0).map(|(_, h)| h).collect();
        assert_eq!(kept.len(), every_second);
        for handle in kept {
            assert!(handle.wait_timeout(LONG).unwrap().unwrap());
        }
        let last = runtime.when(&cown, |value| value.number).wait().unwrap();
        assert_eq!(last, 3 + usize::from(writer_first));
        drop((cown, runtime));
        tally.assert_each_dropped_once();
    }
}

#[test]
fn a_reader_that_panics_harms_nobody() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Counted::new(&tally);
    let before = look(&shelf, &cown, &tally);
    let token = tally.token();
    let panics = shelf.executor().when(read(&cown), move |_| {
        let _token = token;
        panic!("drawn")
    });
    let panics: Handle<()> = panics;
    let behind = look(&shelf, &cown, &tally);
    let writer = add(&shelf, &cown, &tally);
    shelf.take(1).run();
    assert_eq!(shelf.len(), 2);
    shelf.run_all();
    assert!(matches!(panics.wait(), Err(Failure::Panicked(_))));
    assert_eq!((before.wait().unwrap(), behind.wait().unwrap()), (0, 0));
    assert_eq!(writer.wait().unwrap(), 1);
    drop(cown);
    tally.assert_each_dropped_once();
}

#[test]
fn a_reader_that_schedules_over_its_own_cown() {
    let runtime = Runtime::with_workers(2);
    let tally = Tally::default();
    let cown = Counted::new(&tally);
    let inner = cown.clone();
    let (sender, seen) = mpsc::channel();
    let token = tally.token();
    runtime.when(read(&cown), move |value| {
        let _token = token;
        sender.send(("outer", value.number)).unwrap();
        let joined = sender.clone();
        let (met, meet) = mpsc::channel();
        // It does not wait for this one to end.
        when(read(&inner), move |value| {
            met.send(()).unwrap();
            joined.send(("joined", value.number)).unwrap();
        });
        meet.recv_timeout(LONG).unwrap();
        let again = inner.clone();
        let written = sender.clone();
        when(&inner, move |value| {
            value.number += 1;
            written.send(("wrote", value.number)).unwrap();
            when(read(&again), move |value| written.send(("read", value.number)).unwrap());
        });
        // Behind the writer, so it waits.
        when(read(&inner), move |value| sender.send(("waited", value.number)).unwrap());
    });
    runtime.quiesce(Some(LONG)).unwrap();
    let mut seen: Vec<_> = seen.try_iter().collect();
    seen[3..].sort_unstable();
    assert_eq!(seen, [("outer", 0), ("joined", 0), ("wrote", 1), ("read", 1), ("waited", 1)]);
    drop(cown);
    tally.assert_each_dropped_once();
}

#[test]
fn readers_and_a_writer_that_hold_what_the_other_waits_for() {
    // Two cowns, named in either order, read or written at random: nobody waits for ever.
    let runtime = Runtime::with_workers(2);
    let tally = Tally::default();
    let cowns = [Counted::new(&tally), Counted::new(&tally)];
    let writes = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..2 {
            let (runtime, cowns, writes) = (&runtime, &cowns, &writes);
            let mut rng = fastrand::Rng::with_seed(seed);
            scope.spawn(move || {
                for _ in 0..5_000 {
                    let mut request = [(0, rng.bool()), (1, rng.bool())];
                    rng.shuffle(&mut request);
                    let list: Vec<_> = request
                        .iter()
                        .map(|(index, write)| {
                            let cown = &cowns[*index];
                            if *write { Access::Write(cown) } else { Access::Read(cown) }
                        })
                        .collect();
                    let writes = Arc::clone(writes);
                    drop(runtime.when(list, move |mut values| {
                        for value in values.iter_mut().filter_map(Accessed::as_mut) {
                            value.number += 1;
                            writes.fetch_add(1, SeqCst);
                        }
                    }));
                }
            });
        }
    });
    runtime.quiesce(Some(LONG)).unwrap();
    let sum = runtime.when(read(&cowns), |[a, b]| a.number + b.number).wait().unwrap();
    assert_eq!(sum, writes.load(SeqCst));
    drop(cowns);
    tally.assert_each_dropped_once();
}

#[test]
fn the_last_handle_goes_while_readers_wait() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Counted::new(&tally);
    drop(add(&shelf, &cown, &tally));
    drop(look(&shelf, &cown, &tally));
    drop(look(&shelf, &cown, &tally));
    drop(cown);
    assert_eq!(tally.left(), 4);
    shelf.take(0).run();
    assert_eq!((shelf.len(), tally.left()), (2, 3));
    shelf.take(1).run();
    assert_eq!(tally.left(), 2, "the value, and the reader that is left");
    shelf.run_all();
    tally.assert_each_dropped_once();
}

#[test]
fn claims_that_read() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Counted::new(&tally);
    let claim = |mode| {
        // SAFETY: the cown is alive.
        unsafe { raw::claim(&[raw::Access { cown: (&cown).into(), mode }]) }.unwrap()
    };
    let now = Some(Instant::now());
    let (one, other) = (claim(Mode::Read), claim(Mode::Read));
    assert!(one.wait(now) && other.wait(now));
    let reader = look(&shelf, &cown, &tally);
    shelf.run_all();
    assert_eq!(reader.wait().unwrap(), 0);
    let writer = claim(Mode::Write);
    let behind = claim(Mode::Read);
    drop(other);
    assert!(!writer.wait(now));
    drop(one);
    assert!(writer.wait(now) && !behind.wait(now));
    // Two places that are given up: behind a writer, and by a writer between readers.
    let (gone, last) = (claim(Mode::Write), claim(Mode::Read));
    drop(gone);
    assert!(!last.wait(now));
    drop(writer);
    assert!(behind.wait(now) && !last.wait(now));
    drop(behind);
    assert!(last.wait(now));
    drop((last, cown));
    tally.assert_each_dropped_once();
}
