//! What the documentation promises of handles and promises: awaiting, taking, continuing.
#![cfg(not(loom))]

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use boc_core::{Cown, Failure, Handle, Promise, Pump, Runtime, set_unobserved_panic_hook};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<R: Send + 'static>(handle: &mut Handle<R>, waker: &Waker) -> Poll<Result<R, Failure>> {
    std::pin::Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_future_sees_the_value_the_panic_and_the_cancellation() {
    set_unobserved_panic_hook(|_| ());
    let runtime = Runtime::with_workers(2);
    assert_eq!(block_on(runtime.when((), |()| 1)).unwrap(), 1);
    let panicked = block_on(runtime.when((), |()| std::panic::resume_unwind(Box::new("why"))));
    assert!(matches!(panicked, Err(Failure::Panicked(panic)) if panic.message() == Some("why")));
    let pump = Pump::new();
    let cancelled = pump.executor().when((), |()| ());
    assert!(cancelled.cancel());
    assert!(matches!(block_on(cancelled), Err(Failure::Cancelled)));
}

#[test]
fn many_futures_on_many_threads() {
    let runtime = Runtime::with_workers(2);
    let sum = Cown::new(0_u64);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..500 {
                    let seen = runtime.when(&sum, move |sum| {
                        *sum += n;
                        *sum
                    });
                    assert!(block_on(seen).unwrap() >= n);
                }
            });
        }
    });
    assert_eq!(runtime.when(&sum, |sum| *sum).wait().unwrap(), 4 * (0..500).sum::<u64>());
}

#[test]
fn a_future_is_woken_once_it_can_go_on() {
    let pump = Pump::new();
    let mut handle = pump.executor().when((), |()| 7);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert!(poll(&mut handle, &waker).is_pending());
    assert!(poll(&mut handle, &waker).is_pending());
    assert_eq!(count.0.load(SeqCst), 0);
    assert_eq!(pump.run_until_idle(), 1);
    assert_eq!(count.0.load(SeqCst), 1);
    assert!(matches!(poll(&mut handle, &waker), Poll::Ready(Ok(7))));
    assert!(matches!(poll(&mut handle, &waker), Poll::Ready(Err(Failure::Taken))));
}

#[test]
fn a_future_that_is_dropped_gives_its_place_up() {
    let pump = Pump::new();
    let mut handle = pump.executor().when((), |()| 7);
    let weak = handle.cown().downgrade();
    assert!(poll(&mut handle, Waker::noop()).is_pending());
    let later = pump.executor().when(&handle, |outcome| outcome.take().unwrap());
    drop(handle);
    pump.run_until_idle();
    assert_eq!(later.wait().unwrap(), 7);
    assert!(weak.upgrade().is_none());
}

#[test]
fn taking_does_not_wait() {
    let pump = Pump::new();
    let mut handle = pump.executor().when((), |()| 7);
    assert!(handle.try_take().is_none());
    pump.run_one();
    // Somebody is scheduled over it and comes first.
    let seen = pump.executor().when(&handle, |outcome| outcome.value().copied());
    assert!(handle.try_take().is_none());
    pump.run_one();
    assert_eq!(seen.wait().unwrap(), Some(7));
    assert_eq!(handle.try_take().unwrap().unwrap(), 7);
    assert!(matches!(handle.try_take(), Some(Err(Failure::Taken))));
}

#[test]
fn what_comes_then_runs_on_the_executor_it_was_given() {
    let runtime = Runtime::with_workers(1);
    let pump = Pump::new();
    let main = thread::current().id();
    let there = runtime
        .when((), |()| thread::current().id())
        .then(pump.executor(), move |worker| (worker.unwrap(), thread::current().id()));
    while !there.is_finished() {
        pump.run_until_idle();
    }
    let (worker, here) = there.wait().unwrap();
    assert_ne!(worker, main);
    assert_eq!(here, main);
}

#[test]
fn a_promise_is_fulfilled_from_any_thread() {
    let runtime = Runtime::with_workers(2);
    let (promise, number) = Promise::new();
    let doubled = runtime.when(&number, |number| number.take().map(|n: u32| 2 * n));
    assert!(!number.is_finished());
    thread::spawn(move || promise.fulfil(21).unwrap());
    assert_eq!(doubled.wait().unwrap().unwrap(), 42);
    assert!(number.is_finished());
    assert!(matches!(number.wait(), Err(Failure::Taken)));
}

#[test]
fn a_promise_that_is_dropped_is_broken_and_says_so() {
    let (promise, handle) = Promise::<u32>::new();
    drop(promise);
    let broken = handle.wait();
    assert!(matches!(broken, Err(Failure::Broken)));
    assert!(broken.unwrap_err().to_string().contains("promise"));
}

#[test]
fn a_promise_whose_handle_was_cancelled_gives_the_value_back() {
    let (promise, handle) = Promise::new();
    assert!(!promise.is_cancelled());
    assert!(handle.cancel());
    assert!(promise.is_cancelled());
    assert_eq!(promise.fulfil("late"), Err("late"));
    assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
}

#[test]
fn fulfilling_against_cancelling_has_one_winner() {
    for _ in 0..2_000 {
        let value = Arc::new(());
        let (promise, handle) = Promise::new();
        let given = Arc::clone(&value);
        let other = thread::spawn(move || promise.fulfil(given).is_ok());
        let cancelled = handle.cancel();
        let fulfilled = other.join().unwrap();
        assert_ne!(cancelled, fulfilled);
        assert_eq!(handle.wait().is_ok(), fulfilled);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

#[test]
fn a_promise_without_a_handle_frees_its_value() {
    let value = Arc::new(());
    let (promise, handle) = Promise::new();
    drop(handle);
    promise.fulfil(Arc::clone(&value)).unwrap();
    assert_eq!(Arc::strong_count(&value), 1);
    drop(Promise::<Arc<()>>::new());
}

#[test]
fn a_promise_can_be_awaited_for_a_while() {
    let (promise, handle) = Promise::new();
    let handle = handle.wait_timeout(Duration::from_millis(1)).unwrap_err();
    let (sender, receiver) = mpsc::channel();
    let waiting = thread::spawn(move || sender.send(handle.wait().unwrap()).unwrap());
    promise.fulfil(5).unwrap();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), 5);
    waiting.join().unwrap();
}
