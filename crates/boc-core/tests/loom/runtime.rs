//! The whole runtime, on workers that are threads of the checker.

use boc_core::{Builder, Cown, ExecutorRef, Failure, Handle, Host, Runtime, raw::Signal, when};
use loom::{sync::Arc, thread};

use crate::model::{Ledger, Log, Token, check, entries};

fn runtime(workers: usize) -> Arc<Runtime> {
    Arc::new(Builder::new().workers(workers).foreign_threads().build().unwrap())
}

/// Makes a thread a worker of the runtime.
pub(crate) fn worker(runtime: &Arc<Runtime>) -> thread::JoinHandle<()> {
    let runtime = Arc::clone(runtime);
    thread::spawn(move || runtime.run_worker(&mut ()).unwrap())
}

/// Makes a thread a worker of the runtime, and waits until it is about to sleep: a runtime without
/// workers would end at once when it is told to. How that comes about is not explored.
pub(crate) fn started_worker(runtime: &Arc<Runtime>) -> thread::JoinHandle<()> {
    struct Tell(Option<Arc<Signal>>);
    impl Host for Tell {
        fn park(&mut self, wait: &mut dyn FnMut()) {
            if let Some(signal) = self.0.take() {
                signal.set();
            }
            wait();
        }
    }
    loom::stop_exploring();
    let (runtime, asleep) = (Arc::clone(runtime), Arc::new(Signal::new()));
    let tell = Arc::clone(&asleep);
    let worker = thread::spawn(move || runtime.run_worker(&mut Tell(Some(tell))).unwrap());
    asleep.wait(None);
    loom::explore();
    worker
}

/// Schedules a behaviour that writes into the log.
pub(crate) fn write(
    executor: &ExecutorRef,
    cown: &Cown<Log>,
    token: Token,
    entry: u32,
) -> Handle<()> {
    executor.when(cown, move |log| {
        log.push(entry);
        drop(token);
    })
}

/// The same on another thread.
pub(crate) fn write_elsewhere(
    executor: &ExecutorRef,
    cown: &Cown<Log>,
    token: Token,
    entry: u32,
) -> thread::JoinHandle<Handle<()>> {
    let (executor, cown) = (executor.clone(), cown.clone());
    thread::spawn(move || write(&executor, &cown, token, entry))
}

/// Schedules a behaviour that is refused, since it names a cown twice, on another thread: that thread
/// counts it in and out. Says whether that was the reason.
pub(crate) fn refused_elsewhere(ledger: &Ledger, runtime: &Runtime) -> thread::JoinHandle<bool> {
    let (executor, cown, token) = (runtime.executor().clone(), ledger.log(), ledger.token());
    thread::spawn(move || executor.try_when((&cown, &cown), move |_| drop(token)).is_err())
}

/// Whether the behaviour ran; it has to be over.
pub(crate) fn ran(handle: Handle<()>) -> bool {
    assert!(handle.is_finished());
    match handle.wait() {
        Ok(()) => true,
        Err(Failure::Cancelled) => false,
        Err(other) => panic!("{other}"),
    }
}

/// A worker that goes to sleep, or that sleeps, is there for what comes from outside.
#[test]
fn scheduling_against_parking() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let worker = worker(&runtime);
        let cown = ledger.log();
        write(runtime.executor(), &cown, ledger.token(), 1).wait().unwrap();
        write(runtime.executor(), &cown, ledger.token(), 2).wait().unwrap();
        runtime.shutdown();
        worker.join().unwrap();
        assert_eq!(entries(&cown), [1, 2]);
    });
}

/// One behaviour waits for another one: while a worker sleeps, none that is ready has to wait for the
/// worker of one that takes long.
#[test]
fn scheduling_against_the_last_searcher() {
    check(2, |ledger| {
        let runtime = runtime(2);
        let workers = [started_worker(&runtime), started_worker(&runtime)];
        let (signal, token) = (Arc::new(Signal::new()), ledger.token());
        let set = Arc::clone(&signal);
        let first = runtime.when((), move |()| {
            assert!(signal.wait(None));
            drop(token);
        });
        runtime.when((), move |()| set.set());
        first.wait().unwrap();
        runtime.shutdown();
        workers.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A behaviour schedules two more: the second worker may steal them.
#[test]
fn nested_behaviours_against_stealing() {
    check(2, |ledger| {
        let runtime = runtime(2);
        let workers = [started_worker(&runtime), started_worker(&runtime)];
        let cown = ledger.log();
        let (inner, tokens) = (cown.clone(), [ledger.token(), ledger.token()]);
        runtime.when((), move |()| {
            for token in tokens {
                when(&inner, move |log| {
                    log.push(1);
                    drop(token);
                });
            }
        });
        runtime.shutdown();
        workers.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(entries(&cown), [1, 1]);
    });
}

/// What is scheduled while the runtime drains runs, or says that it was cancelled.
#[test]
fn scheduling_against_shutdown() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let worker = started_worker(&runtime);
        let cown = ledger.log();
        let other = write_elsewhere(runtime.executor(), &cown, ledger.token(), 2);
        let early = write(runtime.executor(), &cown, ledger.token(), 1);
        runtime.shutdown();
        assert!(ran(early), "what was scheduled before runs");
        let ran = ran(other.join().unwrap());
        worker.join().unwrap();
        assert_eq!(runtime.in_flight(), 0);
        assert_eq!(entries(&cown).len(), 1 + usize::from(ran));
    });
}

#[test]
fn scheduling_against_shutdown_now() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let worker = started_worker(&runtime);
        let cown = ledger.log();
        let other = write_elsewhere(runtime.executor(), &cown, ledger.token(), 2);
        let early = write(runtime.executor(), &cown, ledger.token(), 1);
        runtime.shutdown_now();
        worker.join().unwrap();
        // First the other one: the early one may be behind it.
        let late = other.join().unwrap();
        let expected = usize::from(ran(early)) + usize::from(ran(late));
        assert_eq!(runtime.in_flight(), 0);
        assert_eq!(entries(&cown).len(), expected);
    });
}

/// Nobody waits for the end of the runtime, and still nothing stays behind.
#[test]
fn scheduling_against_stop() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let worker = started_worker(&runtime);
        let other = {
            let (executor, token) = (runtime.executor().clone(), ledger.token());
            thread::spawn(move || executor.when((), move |()| drop(token)))
        };
        runtime.stop();
        worker.join().unwrap();
        ran(other.join().unwrap());
    });
}

/// The runtime is dropped by its own behaviour while another thread schedules. The last worker ends
/// it, and everything that belongs to it goes.
#[test]
fn scheduling_against_an_end_from_inside() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let executor = runtime.executor().clone();
        let inner = Arc::clone(&runtime);
        let ending = executor.when((), move |()| inner.shutdown());
        let worker = worker(&runtime);
        drop(runtime);
        let late = executor.when((), {
            let token = ledger.token();
            move |()| drop(token)
        });
        drop(executor);
        worker.join().unwrap();
        assert!(ran(ending));
        ran(late);
    });
}

#[test]
fn quiescence_against_the_last_end() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let worker = worker(&runtime);
        let cown = ledger.log();
        let handle = write(runtime.executor(), &cown, ledger.token(), 1);
        runtime.quiesce(None).unwrap();
        assert_eq!(runtime.in_flight(), 0);
        assert!(ran(handle));
        runtime.shutdown();
        worker.join().unwrap();
    });
}

/// There is no instant without anything in flight, since a behaviour schedules the next one before it
/// ends.
#[test]
fn quiescence_against_a_nested_behaviour() {
    check(3, |ledger| {
        let runtime = runtime(1);
        let worker = worker(&runtime);
        let cown = ledger.log();
        let (inner, token) = (cown.clone(), ledger.token());
        let outer = runtime.when((), move |()| {
            when(&inner, move |log| {
                log.push(1);
                drop(token);
            })
        });
        runtime.quiesce(None).unwrap();
        assert!(ran(outer.wait().unwrap()));
        runtime.shutdown();
        worker.join().unwrap();
    });
}

/// A behaviour that was counted in by a thread that is no worker is counted out by it as well, since
/// its request is refused.
#[test]
fn quiescence_against_an_end_outside() {
    check(3, |ledger| {
        let runtime = runtime(1);
        let other = refused_elsewhere(ledger, &runtime);
        runtime.quiesce(None).unwrap();
        assert!(other.join().unwrap());
    });
}

/// One of the two behaviours ends on each worker, at the same time.
#[test]
fn quiescence_against_ends_on_two_workers() {
    check(2, |ledger| {
        let runtime = runtime(2);
        let workers = [started_worker(&runtime), started_worker(&runtime)];
        let handles = [(), ()].map(|()| {
            let token = ledger.token();
            runtime.when((), move |()| drop(token))
        });
        runtime.quiesce(None).unwrap();
        assert!(handles.into_iter().all(ran));
        runtime.shutdown();
        workers.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The cown is held by a behaviour of another executor, on a thread that is no worker and becomes the
/// one to hand over, or to count out.
#[test]
fn a_cown_shared_with_another_executor_against_shutdown() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let worker = started_worker(&runtime);
        let cown = ledger.log();
        let other = write_elsewhere(&ExecutorRef::inline(), &cown, ledger.token(), 2);
        let handle = write(runtime.executor(), &cown, ledger.token(), 1);
        runtime.shutdown();
        assert!(ran(handle));
        worker.join().unwrap();
        // The other thread may be about to return from where it handed the cown over.
        drop(runtime);
        assert!(ran(other.join().unwrap()));
        assert_eq!(entries(&cown).len(), 2);
    });
}

/// As above, but the runtime does not wait: it may be gone when the cown comes free.
#[test]
fn a_cown_shared_with_another_executor_against_shutdown_now() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let cown = ledger.log();
        let other = write_elsewhere(&ExecutorRef::inline(), &cown, ledger.token(), 2);
        let handle = write(runtime.executor(), &cown, ledger.token(), 1);
        runtime.shutdown_now();
        drop(runtime);
        assert!(ran(other.join().unwrap()));
        assert!(!ran(handle));
        assert_eq!(entries(&cown), [2]);
    });
}

/// A behaviour that is counted in while the runtime ends, and that has to wait for a cown of another
/// executor: what it needs of the runtime stays until it has ended.
#[test]
fn scheduling_behind_another_executor_against_the_end() {
    check(2, |ledger| {
        let runtime = runtime(1);
        let cown = ledger.log();
        let holder = write_elsewhere(&ExecutorRef::inline(), &cown, ledger.token(), 2);
        let scheduler = write_elsewhere(runtime.executor(), &cown, ledger.token(), 1);
        drop(runtime);
        // Each may be behind the other.
        let (held, late) = (holder.join().unwrap(), scheduler.join().unwrap());
        assert!(ran(held));
        assert!(!ran(late));
        assert_eq!(entries(&cown), [2]);
    });
}
