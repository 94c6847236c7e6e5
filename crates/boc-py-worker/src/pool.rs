//! Which executor behaviours go to.

use boc_core::{ExecutorRef, Runtime, raw};
use std::{
    cell::RefCell,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
        },
    },
    thread,
    time::Duration,
};

use crate::{
    error::{self, Result},
    interpreter, object, patience,
};

/// The pool in use.
static CURRENT: Mutex<Option<Pool>> = Mutex::new(None);

/// A pool, as those know it who schedule.
#[derive(Clone)]
pub struct Pool {
    /// What runs the behaviours.
    pub runtime: Arc<Runtime>,
    /// Whether its workers have interpreters of their own.
    pub by_value: bool,
}

/// Changes whenever `CURRENT` does, so that threads can keep a reference of their own and need no
/// lock to see that it is still the right one.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Whether no pool will be in use any more. Known here, because a thread that calls into Python while
/// the interpreter ends may not come back.
static EXITING: AtomicBool = AtomicBool::new(false);

/// What they are told who schedule then.
pub const EXITS: &str = "cannot schedule behaviours while the interpreter exits";

/// Threads that are [`Attaching`].
static ATTACHING: AtomicUsize = AtomicUsize::new(0);

/// Whether the workers of the pool in use have interpreters of their own, for who need not know it exactly.
static BY_VALUE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static KNOWN: RefCell<(u64, Option<(ExecutorRef, bool)>)> = const { RefCell::new((0, None)) };
}

/// Where behaviours can go.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// What takes them.
    pub executor: &'a ExecutorRef,
    /// Whether they may run in another interpreter than this thread's.
    pub by_value: bool,
}

/// The pool in use.
pub fn current() -> MutexGuard<'static, Option<Pool>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a pool the one in use; or none.
pub fn set_current(pool: Option<Pool>) {
    let by_value = pool.as_ref().is_some_and(|pool| pool.by_value);
    let mut current = current();
    let old = mem::replace(&mut *current, pool);
    BY_VALUE.store(by_value, Relaxed);
    GENERATION.fetch_add(1, Release);
    drop(current);
    drop(old);
}

/// Says whether threads that schedule are told that the interpreter exits. If so, waits until nobody is
/// [`Attaching`] any more. Not attached.
pub fn set_exiting(exiting: bool) {
    // SeqCst, here and in `Attaching`: who is attaching is seen here, or sees that the interpreter exits.
    EXITING.store(exiting, SeqCst);
    if !exiting {
        // In the child of a fork, where the others are not.
        ATTACHING.store(0, SeqCst);
    }
    while ATTACHING.load(SeqCst) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A thread that Python may not know is going to attach to the main interpreter, which stays meanwhile.
///
/// To attach to an interpreter that is ending crashes if it gets far enough meanwhile, and before one can only
/// ask whether it is. To be dropped as soon as the thread is attached.
#[must_use]
#[derive(Debug)]
pub struct Attaching(());

impl Attaching {
    /// `None` if the interpreter exits.
    pub fn begin() -> Option<Self> {
        ATTACHING.fetch_add(1, SeqCst);
        let attaching = Self(());
        if EXITING.load(SeqCst) { None } else { Some(attaching) }
    }
}

impl Drop for Attaching {
    fn drop(&mut self) {
        ATTACHING.fetch_sub(1, SeqCst);
    }
}

/// Whether no pool will be in use any more.
pub(crate) fn is_exiting() -> bool {
    EXITING.load(Relaxed)
}

/// Whether what this thread schedules goes to other interpreters, as far as one can tell before.
pub(crate) fn goes_by_value() -> bool {
    !interpreter::here().is_main() || BY_VALUE.load(Relaxed)
}

/// Whether the calling thread is running the body of a behaviour, or a finaliser behind one: the
/// worker releases cowns then, and would wait for itself just the same.
pub fn inside_behaviour() -> bool {
    boc_core::inside_behaviour() || raw::with_current_executor(|executor| executor.is_some())
}

/// Raises inside of a behaviour, where `what` could wait for ever.
pub(crate) fn refuse_inside_behaviour(what: &str, instead: &str) -> Result<()> {
    if inside_behaviour() {
        return Err(error::runtime_error(format!(
            "{what} inside of a behaviour could wait for ever: {instead}"
        )));
    }
    Ok(())
}

/// What becomes of a behaviour that an executor refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is scheduled on another executor.
    IsTold,
    /// It is cancelled.
    IsFinal,
}

/// Calls `schedule` with the executor to schedule on: that of the worker which this thread is, or
/// the pool in use, which is started if there is none.
///
/// `schedule` says `None` if the executor refused. Then another thread has just stopped the pool,
/// and it is called again with the next one; but a worker has no other executor than its own.
pub fn with_target<R>(mut schedule: impl FnMut(Target<'_>, Refusal) -> Option<R>) -> Result<R> {
    let mine = |executor: &ExecutorRef| {
        schedule(Target { executor, by_value: goes_by_value() }, Refusal::IsFinal)
    };
    if let Some(result) = raw::with_current_executor(|executor| executor.and_then(mine)) {
        return Ok(result);
    }
    loop {
        let in_use = |target: Target<'_>| schedule(target, Refusal::IsTold);
        if let Some(result) = known(|target| target.and_then(in_use)) {
            return Ok(result);
        }
        start()?;
    }
}

/// Starts a pool, if there is none in use.
pub fn start() -> Result<()> {
    if EXITING.load(Relaxed) {
        return Err(error::runtime_error(EXITS));
    }
    patience::check_signals()?;
    object::call("boc._runtime", c"start", [])?;
    Ok(())
}

/// Calls `f` with this thread's reference to the pool in use.
pub fn known<R>(f: impl FnOnce(Option<Target<'_>>) -> R) -> R {
    let generation = GENERATION.load(Acquire);
    let target = KNOWN.with_borrow_mut(|(seen, target)| {
        // None also if this thread is in the middle of using it; see below.
        if *seen != generation || target.is_none() {
            let pool = current();
            *target = pool.as_ref().map(|pool| (pool.runtime.executor().clone(), pool.by_value));
            *seen = generation;
        }
        // Taken out, because `f` runs Python code, which may come here again.
        target.take()
    });
    let result =
        f(target.as_ref().map(|(executor, by_value)| Target { executor, by_value: *by_value }));
    KNOWN.with_borrow_mut(|(seen, place)| {
        if *seen == generation && place.is_none() {
            *place = target;
        }
    });
    result
}
