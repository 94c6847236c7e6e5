//! What the documentation promises of scopes.
#![cfg(not(loom))]

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
};

use boc_core::{Cown, Failure, Pump, Runtime, Scope, set_unobserved_panic_hook, when};

/// Behaviours that schedule two others each.
fn tree(depth: u32, ended: &Arc<AtomicUsize>) {
    if depth > 0 {
        for _ in 0..2 {
            let ended = Arc::clone(ended);
            when((), move |()| {
                tree(depth - 1, &ended);
                ended.fetch_add(1, SeqCst);
            });
        }
    }
}

#[test]
fn a_scope_waits_for_all_that_its_behaviours_lead_to() {
    let runtime = Runtime::with_workers(2);
    for _ in 0..50 {
        let ended = Arc::new(AtomicUsize::new(0));
        let result = runtime.scope(|scope| {
            let ended = Arc::clone(&ended);
            scope.when((), move |()| tree(6, &ended));
            "result"
        });
        assert_eq!(result, "result");
        assert_eq!(ended.load(SeqCst), 2 * (2_usize.pow(6) - 1));
    }
}

#[test]
fn a_scope_does_not_wait_for_others() {
    let runtime = Runtime::with_workers(2);
    let (release, blocked) = mpsc::channel::<()>();
    let other = runtime.when((), move |()| blocked.recv().unwrap());
    runtime.scope(|scope| {
        scope.when((), |()| ());
    });
    assert!(!other.is_finished());
    release.send(()).unwrap();
    other.wait().unwrap();
}

#[test]
fn an_empty_scope_ends_at_once() {
    let runtime = Runtime::with_workers(1);
    runtime.scope(|_| ());
    assert!(Scope::new(runtime.executor()).close().is_finished());
}

#[test]
fn the_end_of_a_scope_can_be_scheduled_over_inside_of_a_behaviour() {
    let runtime = Runtime::with_workers(2);
    let log = Cown::new(Vec::new());
    let (executor, inner) = (runtime.executor().clone(), log.clone());
    let outer = runtime.when((), move |()| {
        let scope = Scope::new(&executor);
        for n in 0..10 {
            scope.when(&inner, move |log| log.push(n));
        }
        let ended = scope.close();
        when((&inner, &ended), |(log, _)| log.len())
    });
    let length = outer.wait().unwrap();
    assert_eq!(length.wait().unwrap(), 10);
}

#[test]
fn scopes_nest() {
    let runtime = Runtime::with_workers(2);
    let count = Arc::new(AtomicUsize::new(0));
    runtime.scope(|outer| {
        let (executor, count) = (outer.executor().clone(), Arc::clone(&count));
        outer.when((), move |()| {
            let inner = Scope::new(&executor);
            for _ in 0..10 {
                let count = Arc::clone(&count);
                inner.when((), move |()| {
                    count.fetch_add(1, SeqCst);
                });
            }
            // Not waited for here, but by the outer scope, of which they are part.
            drop(inner);
        });
    });
    assert_eq!(count.load(SeqCst), 10);
}

#[test]
fn a_scope_waits_also_if_its_closure_or_a_behaviour_panics() {
    set_unobserved_panic_hook(|_| ());
    let runtime = Runtime::with_workers(2);
    let ended = Arc::new(AtomicUsize::new(0));
    let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        runtime.scope(|scope| {
            let ended = Arc::clone(&ended);
            scope.when((), move |()| tree(4, &ended));
            scope.when((), |()| panic::resume_unwind(Box::new("in the behaviour")));
            panic::resume_unwind(Box::new("in the closure"));
        });
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"in the closure"));
    assert_eq!(ended.load(SeqCst), 2 * (2_usize.pow(4) - 1));
}

#[test]
fn a_scope_that_has_ended_takes_no_more() {
    let runtime = Runtime::with_workers(1);
    let scope = Scope::new(runtime.executor());
    let executor = scope.executor().clone();
    scope.close().wait().unwrap();
    assert!(matches!(executor.when((), |()| ()).wait(), Err(Failure::Cancelled)));
}

#[test]
fn a_scope_over_a_pump_ends_when_it_was_pumped() {
    let pump = Pump::new();
    let scope = Scope::new(pump.executor());
    let cown = Cown::new(0);
    scope.when(&cown, |n| *n += 1);
    let cancelled = scope.when(&cown, |n| *n += 1);
    assert!(cancelled.cancel());
    let ended = scope.close();
    assert!(!ended.is_finished());
    pump.run_until_idle();
    assert!(ended.is_finished());
}

#[test]
fn the_end_of_a_runtime_ends_its_scopes() {
    let runtime = Runtime::with_workers(1);
    let (release, blocked) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let scope = Scope::new(runtime.executor());
    scope.when((), move |()| {
        started.send(()).unwrap();
        blocked.recv().unwrap();
    });
    let waiting = scope.when((), |()| ());
    running.recv().unwrap();
    let ended = scope.close();
    runtime.stop();
    release.send(()).unwrap();
    drop(runtime);
    ended.wait().unwrap();
    assert!(matches!(waiting.wait(), Err(Failure::Cancelled)));
}
