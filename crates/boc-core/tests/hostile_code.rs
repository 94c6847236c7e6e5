//! Code of somebody else that panics, or calls back, where the engine does not expect it: nothing
//! hangs, nothing is lost, no worker dies.

#![cfg(not(loom))]

use std::{
    panic::panic_any,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use boc_core::{
    Builder, Cown, Executor, ExecutorRef, Failure, Host, Ready, Runtime, inside_behaviour,
    set_unobserved_panic_hook,
};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

/// Panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("bang");
    }
}

#[test]
fn a_panic_payload_whose_destructor_panics() {
    let runtime = Runtime::with_workers(1);
    let cown = Cown::new(1);
    struct Nested;
    impl Drop for Nested {
        fn drop(&mut self) {
            panic_any(Grenade);
        }
    }
    runtime.when(&cown, |_| panic_any(Nested));
    runtime.when(&cown, |_| Nested);
    assert_eq!(runtime.when(&cown, |n| *n).wait_timeout(LONG).unwrap().unwrap(), 1);
    runtime.quiesce(Some(LONG)).unwrap();
}

#[test]
fn a_host_that_panics_or_does_not_wait() {
    struct Unreliable(usize);
    impl Host for Unreliable {
        fn park(&mut self, wait: &mut dyn FnMut()) {
            self.0 += 1;
            match self.0 % 4 {
                0 => panic!("before the wait"),
                1 => {
                    wait();
                    panic!("after the wait");
                }
                2 => {}
                _ => {
                    wait();
                    wait();
                }
            }
        }
    }
    let runtime = Builder::new().workers(2).foreign_threads().build().unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| runtime.run_worker(&mut Unreliable(0)).unwrap());
        }
        for n in 0..50 {
            assert_eq!(runtime.when((), move |()| n).wait_timeout(LONG).unwrap().unwrap(), n);
            // Lets the workers go to sleep.
            thread::sleep(Duration::from_millis(1));
        }
        runtime.shutdown();
    });
}

#[test]
fn a_host_that_schedules_around_a_wait() {
    struct Scheduling {
        executor: ExecutorRef,
        ran: Arc<AtomicUsize>,
        left: usize,
    }
    impl Host for Scheduling {
        fn park(&mut self, wait: &mut dyn FnMut()) {
            if self.left > 0 {
                self.left -= 1;
                // More than half of what a worker's queue takes.
                for _ in 0..200 {
                    let ran = Arc::clone(&self.ran);
                    self.executor.when((), move |()| ran.fetch_add(1, SeqCst));
                }
            }
            wait();
        }
    }
    let runtime = Builder::new().workers(1).foreign_threads().build().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        let mut host =
            Scheduling { executor: runtime.executor().clone(), ran: Arc::clone(&ran), left: 3 };
        let runtime = &runtime;
        scope.spawn(move || runtime.run_worker(&mut host).unwrap());
        // Nothing else wakes the worker.
        while ran.load(SeqCst) < 3 * 200 {
            thread::yield_now();
        }
        runtime.shutdown();
    });
}

/// Ends what is in flight before it waits: who waits for that has to learn of it.
#[test]
fn a_host_that_cancels_before_a_wait() {
    struct Cancelling(Option<boc_core::Batch>);
    impl Host for Cancelling {
        fn park(&mut self, wait: &mut dyn FnMut()) {
            drop(self.0.take());
            wait();
        }
    }
    let runtime = Builder::new().workers(1).foreign_threads().build().unwrap();
    let mut batch = runtime.batch();
    batch.when((), |()| ());
    thread::scope(|scope| {
        let runtime = &runtime;
        scope.spawn(move || runtime.run_worker(&mut Cancelling(Some(batch))).unwrap());
        runtime.quiesce(None).unwrap();
        runtime.shutdown();
    });
}

/// A thread-local's destructor ends the runtime on one of its own threads, while another thread waits for
/// that thread's end.
#[test]
fn shutdown_by_a_thread_local_of_a_worker() {
    struct Ending(Arc<Runtime>);
    impl Drop for Ending {
        fn drop(&mut self) {
            self.0.shutdown();
        }
    }
    thread_local! {
        static ENDING: std::cell::RefCell<Option<Ending>> = const { std::cell::RefCell::new(None) };
    }
    let runtime = Arc::new(Runtime::with_workers(2));
    let own = Arc::clone(&runtime);
    runtime
        .when((), move |()| ENDING.with_borrow_mut(|ending| *ending = Some(Ending(own))))
        .wait()
        .unwrap();
    runtime.shutdown();
}

#[test]
fn an_executor_that_panics() {
    struct Broken;
    impl Executor for Broken {
        fn execute(&self, _: Ready) -> Result<(), Ready> {
            panic!("no");
        }
    }
    let runtime = Runtime::with_workers(1);
    let broken = ExecutorRef::from(Arc::new(Broken));
    let (a, b) = (Cown::new(0), Cown::new(0));
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let opened = Arc::clone(&gate);
    runtime.when((&a, &b), move |_| drop(opened.lock()));
    let lost = broken.when(&a, |_| ());
    let after = runtime.when((&a, &b), |(a, b)| *a + *b);
    drop(closed);
    assert!(matches!(lost.wait_timeout(LONG).unwrap(), Err(Failure::Cancelled)));
    assert_eq!(after.wait_timeout(LONG).unwrap().unwrap(), 0);
    // On this thread, too.
    assert!(matches!(broken.when(&a, |_| ()).wait(), Err(Failure::Cancelled)));
}

#[test]
fn a_destructor_counts_as_inside_of_the_behaviour() {
    struct Asks(Arc<AtomicUsize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.fetch_add(usize::from(inside_behaviour()), SeqCst);
        }
    }
    let runtime = Runtime::with_workers(1);
    let inside = Arc::new(AtomicUsize::new(0));
    let (release, released) = mpsc::channel::<()>();
    let asks = Asks(Arc::clone(&inside));
    let handle = runtime.when((), move |()| {
        released.recv().unwrap_err();
        asks
    });
    drop(handle);
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(inside.load(SeqCst), 1);
}

#[test]
fn a_hook_that_sets_another_one() {
    let seen = Arc::new(AtomicUsize::new(0));
    let first = Arc::clone(&seen);
    set_unobserved_panic_hook(move |_| {
        let second = Arc::clone(&first);
        first.fetch_add(1, SeqCst);
        set_unobserved_panic_hook(move |_| {
            second.fetch_add(100, SeqCst);
        });
    });
    let runtime = Runtime::with_workers(1);
    runtime.when((), |()| panic!("unobserved"));
    runtime.quiesce(Some(LONG)).unwrap();
    runtime.when((), |()| panic!("unobserved"));
    runtime.quiesce(Some(LONG)).unwrap();
    // Other tests of this file leave unobserved panics, too.
    assert!(seen.load(SeqCst) >= 101);
}
