//! The runtime: worker threads that take ready behaviours from each other.
//!
//! - [`worker`]: the loop of a worker, and what its own thread sees of it;
//! - [`ring`]: a worker's own queue, which others steal from;
//! - [`shared`]: what all of them share: injector, counting, life and end;
//! - [`spare`]: memory that a worker keeps for the next behaviour;
//! - [`idle`]: who sleeps and who is woken;
//! - [`observe`]: what can be seen from outside.

mod idle;
pub mod observe;
mod ring;
mod shared;
pub(crate) mod spare;
pub(crate) mod worker;

use alloc::{string::String, vec::Vec};
use core::{cell::Cell, fmt, mem::ManuallyDrop, num::NonZeroUsize, ptr::NonNull};
use std::{
    io,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    batch::Batch,
    behaviour::Behaviour,
    conclusion,
    executor::{ExecutorRef, Seat, Watched},
    handle::Handle,
    outcome,
    request::Request,
    schedule::DuplicateCown,
    scope::Scope,
    sync::{
        self, Arc, Mutex,
        atomic::Ordering::{Acquire, Relaxed, Release},
        lock,
    },
};
use observe::Observer;
use shared::{Shared, stage};
use worker::Context;
pub use worker::Host;
pub(crate) use worker::forget as forget_worker;

/// Worker threads that run behaviours.
///
/// Several runtimes can exist, and share cowns. Dropping one finishes what was scheduled on it; see
/// [`Runtime::shutdown`].
pub struct Runtime {
    shared: Arc<Shared>,
    executor: ExecutorRef,
    threads: Mutex<Vec<JoinHandle<()>>>,
    watchdog: Mutex<Option<JoinHandle<()>>>,
}

/// How to make a [`Runtime`].
#[derive(Clone, Debug)]
pub struct Builder {
    workers: NonZeroUsize,
    thread_name: String,
    own_threads: bool,
    limit: usize,
    observation: Option<observe::Settings>,
}

impl Builder {
    /// As many workers as there are processors for this process, on threads of the runtime's own.
    pub fn new() -> Self {
        Self {
            workers: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            thread_name: String::from("boc"),
            own_threads: true,
            limit: usize::MAX,
            observation: None,
        }
    }

    /// How many workers run behaviours at the same time.
    ///
    /// # Panics
    ///
    /// If `count` is 0, or 65,536 or more.
    #[must_use]
    #[track_caller]
    pub fn workers(mut self, count: usize) -> Self {
        assert!(count < 1 << 16, "a runtime has at most 65,535 workers, not {count}");
        self.workers = NonZeroUsize::new(count).expect("a runtime needs at least one worker");
        self
    }

    /// The name of the worker threads; each gets a number behind it.
    #[must_use]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// How many behaviours may be in flight, that is scheduled and not ended, before a thread that
    /// schedules one more has to wait for others to end. No bound by default.
    ///
    /// For producers that are faster than the workers. Behaviours that schedule others never wait, so
    /// the bound can be passed by what they schedule; nor does a batch. The bound holds back threads
    /// one by one: several at the same time can pass it by their number.
    ///
    /// ```
    /// use boc_core::{Builder, Cown};
    ///
    /// let runtime = Builder::new().max_in_flight(100).build().unwrap();
    /// let sum = Cown::new(0_u64);
    /// for n in 0..10_000 {
    ///     runtime.when_detached(&sum, move |sum| *sum += n);
    ///     assert!(runtime.in_flight() <= 100);
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    #[must_use]
    #[track_caller]
    pub fn max_in_flight(mut self, count: usize) -> Self {
        assert!(count > 0, "with no behaviour in flight nothing can be scheduled");
        self.limit = count;
        self
    }

    /// Starts no threads: the workers run on threads that call [`Runtime::run_worker`].
    #[must_use]
    pub fn foreign_threads(mut self) -> Self {
        self.own_threads = false;
        self
    }

    /// Makes the runtime, and starts its threads.
    ///
    /// # Errors
    ///
    /// If the operating system refuses a thread. Those that were started have ended.
    pub fn build(self) -> io::Result<Runtime> {
        let observer = self.observation.as_ref();
        let observer = observer.map(|settings| Observer::new(self.workers.get(), settings));
        let shared = Shared::new(self.workers.get(), self.limit, observer);
        let runtime = Runtime {
            executor: Shared::executor(&shared),
            shared,
            threads: Mutex::new(Vec::new()),
            watchdog: Mutex::new(None),
        };
        if self.own_threads {
            for index in 0..self.workers.get() {
                let worker = runtime.take_worker().expect("there is a place for each thread");
                // If this fails, dropping the runtime ends the threads there are.
                let thread = thread::Builder::new()
                    .name(alloc::format!("{}-{index}", self.thread_name))
                    .spawn(move || worker.run(&mut ()))?;
                lock!(runtime.threads).push(thread);
            }
        }
        let watchdog = self.observation.and_then(|settings| settings.watchdog);
        if let (Some(watchdog), Some(observer)) = (watchdog, &runtime.shared.observer) {
            let thread = watchdog.start(Arc::clone(observer), &self.thread_name)?;
            *lock!(runtime.watchdog) = Some(thread);
        }
        Ok(runtime)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// Why [`Runtime::quiesce`] returned before the runtime was quiescent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuiesceError {
    /// The time ran out.
    TimedOut,
    /// It was called inside of a behaviour, which would wait for its own end.
    InsideBehaviour,
}

impl fmt::Display for QuiesceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "behaviours were still running or waiting when the time ran out",
            Self::InsideBehaviour => {
                "a behaviour cannot wait for all behaviours to end, since it is one of them"
            }
        })
    }
}

impl core::error::Error for QuiesceError {}

/// Why a thread did not become a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunWorkerError {
    /// All workers have a thread already.
    NoPlace,
    /// The thread is a worker already, of this or another runtime.
    AlreadyWorker,
}

impl fmt::Display for RunWorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPlace => "all workers of the runtime have a thread already",
            Self::AlreadyWorker => "this thread is a worker already",
        })
    }
}

impl core::error::Error for RunWorkerError {}

/// What a worker has done since the runtime was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// Behaviours that ended on it.
    pub run: u64,
    /// Behaviours that it took from other workers.
    pub stolen: u64,
    /// How often it went to sleep.
    pub parked: u64,
    /// How often it was woken.
    pub woken: u64,
}

/// How far a runtime has come with what was scheduled on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Behaviours that have ended since the runtime was made.
    pub ended: usize,
    /// Behaviours that were scheduled since then, these among them.
    pub scheduled: usize,
}

impl Runtime {
    /// A runtime with as many workers as there are processors for this process.
    ///
    /// # Panics
    ///
    /// If the operating system refuses a thread; see [`Builder::build`].
    pub fn new() -> Self {
        Builder::new().build().expect("cannot start the worker threads")
    }

    /// A runtime with `count` workers.
    ///
    /// # Panics
    ///
    /// As [`Runtime::new`] and [`Builder::workers`].
    pub fn with_workers(count: usize) -> Self {
        Builder::new().workers(count).build().expect("cannot start the worker threads")
    }

    /// The executor to schedule on. It can be cloned and sent anywhere.
    pub fn executor(&self) -> &ExecutorRef {
        &self.executor
    }

    /// Schedules `body` over the cowns of `request`; see [`ExecutorRef::when`].
    ///
    /// # Panics
    ///
    /// If a cown is named twice; see [`Runtime::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&self, request: Q, body: F) -> Handle<R>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.executor.when(request, body)
    }

    /// [`Runtime::when`] for requests whose cowns are not known to be distinct.
    ///
    /// # Errors
    ///
    /// [`DuplicateCown`] if a cown is named twice. Nothing was scheduled, and `body` was dropped.
    #[track_caller]
    pub fn try_when<Q, F, R>(&self, request: Q, body: F) -> Result<Handle<R>, DuplicateCown>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.executor.try_when(request, body)
    }

    /// Schedules `body` without a handle to it; see [`ExecutorRef::when_detached`].
    ///
    /// # Panics
    ///
    /// If a cown is named twice, and not only to be read.
    #[track_caller]
    pub fn when_detached<Q, F>(&self, request: Q, body: F)
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) + Send + 'static,
    {
        self.executor.when_detached(request, body);
    }

    /// An empty batch: behaviours that are scheduled as one step.
    pub fn batch(&self) -> Batch {
        self.executor.batch()
    }

    /// Calls `f` with a scope, and waits until all behaviours that it scheduled there, and all that
    /// these scheduled, have ended; see [`Scope`].
    ///
    /// # Panics
    ///
    /// If `f` panics, after the behaviours have ended. Inside of a behaviour, where waiting could
    /// deadlock: use [`Scope::new`] and [`Scope::close`] there.
    pub fn scope<R>(&self, f: impl FnOnce(&Scope) -> R) -> R {
        assert!(
            !outcome::inside(),
            "waiting for a scope inside of a behaviour could deadlock: use `Scope::new(…)`, and \
             schedule over the handle that `close()` gives"
        );
        let scope = Scope::new(&self.executor);
        let result = outcome::contain(|| f(&scope));
        let ended = scope.close().wait();
        debug_assert!(ended.is_ok(), "the end of a scope is a promise that is kept");
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_payload()))
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.shared.workers.len()
    }

    /// Behaviours of this runtime that were scheduled and have not ended, at this moment.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight()
    }

    /// How many behaviours of this runtime have ended, and how many were scheduled.
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// What each worker has done so far.
    pub fn stats(&self) -> Vec<WorkerStats> {
        let stats = |worker: &shared::WorkerState| WorkerStats {
            run: worker.counts.ended.load(Relaxed) as u64,
            stolen: worker.stolen.load(Relaxed),
            parked: worker.parked.load(Relaxed),
            woken: worker.woken.load(Relaxed),
        };
        self.shared.workers.iter().map(stats).collect()
    }

    /// Waits until all behaviours of this runtime have ended, for `timeout` at the most.
    ///
    /// What other threads schedule meanwhile is waited for too.
    ///
    /// # Errors
    ///
    /// If the time ran out, or if it is called inside of a behaviour.
    pub fn quiesce(&self, timeout: Option<Duration>) -> Result<(), QuiesceError> {
        self.quiesce_unless(timeout, &|| false)
    }

    /// As [`Runtime::quiesce`], but gives up, as if the time had run out, when `unless` says so. It is asked before each
    /// wait, and after [`Runtime::look_again`]; it must neither block nor use the runtime.
    ///
    /// For a thread that has something else to do meanwhile, as when behaviours of this runtime are waiting for it
    /// to run them.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::quiesce`].
    pub fn quiesce_unless(
        &self,
        timeout: Option<Duration>,
        unless: &dyn Fn() -> bool,
    ) -> Result<(), QuiesceError> {
        if outcome::inside() {
            return Err(QuiesceError::InsideBehaviour);
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if self.shared.wait_until_quiescent(deadline, unless) {
            Ok(())
        } else {
            Err(QuiesceError::TimedOut)
        }
    }

    /// Has those who wait in [`Runtime::quiesce_unless`] ask what they wait for as well. What that depends on is to be
    /// changed before.
    pub fn look_again(&self) {
        self.shared.notify_quiescence_waiters();
    }

    /// Makes the calling thread a worker, until the runtime is shut down.
    ///
    /// # Errors
    ///
    /// If all workers have a thread, or the thread is a worker already.
    pub fn run_worker(&self, host: &mut dyn Host) -> Result<(), RunWorkerError> {
        if worker::with_any_context(|context| context.is_some()) {
            return Err(RunWorkerError::AlreadyWorker);
        }
        self.take_worker().ok_or(RunWorkerError::NoPlace)?.run(host);
        Ok(())
    }

    /// A worker that no thread is yet.
    fn take_worker(&self) -> Option<Place> {
        let free = |worker: &shared::WorkerState| !worker.taken.swap(true, Acquire);
        let index = self.shared.workers.iter().position(free)?;
        *lock!(self.shared.active) += 1;
        Some(Place { shared: Arc::clone(&self.shared), index })
    }

    /// Ends the runtime after all its behaviours have ended. Behaviours may go on scheduling others;
    /// what is scheduled from elsewhere is refused, its handle says that it was cancelled.
    ///
    /// Waits for the workers, unless it is called by one of them; so it must not be called by a
    /// thread that the behaviours wait for, such as one that should pump a [`Pump`](crate::Pump) or
    /// a behaviour of another runtime that holds one of their cowns. [`Runtime::drain`] and
    /// [`Runtime::wait_retired`] do the same in two steps, with a time limit. Does nothing if the
    /// runtime was shut down before.
    pub fn shutdown(&self) {
        self.end(stage::DRAINING);
    }

    /// Ends the runtime at once: behaviours that run are waited for; the others are cancelled, and
    /// their handles say so.
    ///
    /// Those that wait for a cown which another runtime's behaviour holds are cancelled when it is
    /// their turn.
    pub fn shutdown_now(&self) {
        self.end(stage::STOPPED);
    }

    /// Tells the runtime to end as by [`Runtime::shutdown`], and does not wait for it.
    pub fn drain(&self) {
        self.shared.advance(stage::DRAINING);
    }

    /// Tells the runtime to end as by [`Runtime::shutdown_now`], and does not wait for it.
    pub fn stop(&self) {
        self.shared.advance(stage::STOPPED);
    }

    /// Wakes all workers that sleep. Those that have nothing to do come to [`Host::park`] again.
    ///
    /// For hosts that have something to tell their workers. One that is about to sleep at this moment may
    /// be missed.
    pub fn wake_workers(&self) {
        self.shared.wake_all();
    }

    /// Waits until no thread is a worker of this runtime any more, which is some time after it was
    /// told to end, for `timeout` at the most. Says whether that is so.
    pub fn wait_retired(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.shared.wait_retired(deadline)
    }

    /// Waits until the runtime, which was told to end, has done so, for `timeout` at the most: no thread is
    /// a worker, and what has not run is cancelled. Says whether that is so.
    ///
    /// Without a worker at this moment it ends at once.
    pub fn wait_ended(&self, timeout: Option<Duration>) -> bool {
        let retired = self.wait_retired(timeout);
        if retired {
            self.shared.finish();
        }
        retired
    }

    fn end(&self, stage: u8) {
        self.shared.advance(stage);
        let by_worker = worker::with_context(&self.shared, |context| context.is_some());
        if by_worker {
            // The last worker to leave does the rest.
            return;
        }
        self.shared.wait_retired(None);
        // Not joined under the locks, which these threads may want, to end the runtime.
        let threads = core::mem::take(&mut *lock!(self.threads));
        threads.into_iter().for_each(join);
        // The workers left when nothing was in flight, or the runtime had stopped. If it had none,
        // nobody is going to run what is ready.
        self.shared.finish();
        let watchdog = lock!(self.watchdog).take();
        watchdog.into_iter().for_each(join);
    }
}

/// Waits for the end of one of the runtime's threads, unless it is the calling one: a thread-local's
/// destructor can let the last reference go on a worker's own thread, or the watchdog's hook.
fn join(thread: JoinHandle<()>) {
    if !sync::is_current(&thread) {
        // Panics of behaviours stay inside, so there is nothing to learn.
        let _ = thread.join();
    }
}

/// The right to be a worker.
struct Place {
    shared: Arc<Shared>,
    index: usize,
}

impl Place {
    fn run(self, host: &mut dyn Host) {
        worker::run(Arc::clone(&self.shared), self.index, host);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of who takes the place next, for what only the worker
        // writes.
        self.shared.workers[self.index].taken.store(false, Release);
        self.shared.retire();
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("workers", &self.workers())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Schedules `body` on the runtime whose behaviour is running on this thread; see
/// [`ExecutorRef::when`].
///
/// ```
/// use boc_core::{Cown, Runtime, when};
///
/// let runtime = Runtime::new();
/// let log = Cown::new(Vec::new());
/// let inner = log.clone();
/// runtime.when(&log, move |entries| {
///     entries.push("first");
///     when(&inner, |entries| entries.push("second"));
/// });
/// runtime.quiesce(None).unwrap();
/// ```
///
/// # Panics
///
/// Outside of a behaviour of a [`Runtime`] (or a task of an exploration), or if a cown is named twice.
#[track_caller]
pub fn when<Q, F, R>(request: Q, body: F) -> Handle<R>
where
    Q: Request,
    F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
    R: Send + 'static,
{
    current_executor().when(request, body)
}

/// [`when`] without a handle; see [`ExecutorRef::when_detached`].
///
/// # Panics
///
/// As [`when`].
#[track_caller]
pub fn when_detached<Q, F>(request: Q, body: F)
where
    Q: Request,
    F: for<'a> FnOnce(Q::Held<'a>) + Send + 'static,
{
    current_executor().when_detached(request, body);
}

/// The executor for what the code that is running here schedules. To be used on this thread, before
/// that code returns.
#[track_caller]
fn current_executor() -> ManuallyDrop<ExecutorRef> {
    match current_seat() {
        Some(seat) => seat.executor(),
        None => no_runtime(),
    }
}

#[track_caller]
#[cold]
fn no_runtime() -> ! {
    panic!(
        "`when` without a runtime works inside of a behaviour only: call `runtime.when(…)`, \
         or `executor.when(…)` for a `Pump` or an executor of your own"
    )
}

#[track_caller]
pub(crate) fn with_current_executor<R>(f: impl FnOnce(Option<&ExecutorRef>) -> R) -> R {
    let executor = current_seat().map(Seat::executor);
    // What `f` gets it cannot keep.
    f(executor.as_deref())
}

sync::local! {
    /// Where a behaviour was scheduled that runs on this thread, which is no worker.
    static LENT: Cell<Option<Seat>> = Cell::new(None);
}

/// Runs a behaviour outside of a worker's loop, and releases what it holds. What it schedules goes where it was
/// scheduled itself.
///
/// # Safety
///
/// As for [`Behaviour::invoke`]; and it is given up.
pub(crate) unsafe fn run_outside(behaviour: NonNull<Behaviour>) {
    // SAFETY: passed on to the caller.
    unsafe {
        let seat = behaviour.as_ref().executor;
        if let Some(Watched { ticket, lender: None }) = seat.watched() {
            return observe::run_elsewhere(behaviour, ticket);
        }
        let lent = lend(seat);
        let next = Behaviour::invoke(behaviour);
        drop(lent);
        conclusion::go_on(behaviour, next);
    }
}

/// A behaviour with this seat is going to run on this thread, outside of a worker's loop: what it schedules
/// goes where it was scheduled itself, until what this gives is dropped.
fn lend(seat: Seat) -> Lent {
    let lent = |seat: Seat| {
        let before = worker::with_any_context(|context| Some(context?.replace_seat(seat)));
        match before {
            Some(before) => Lent::OnWorker(before),
            // While the thread is torn down nothing is lent.
            None => Lent::Elsewhere(LENT.try_with(|lent| lent.replace(Some(seat))).ok().flatten()),
        }
    };
    seat.lender().map_or(Lent::Nothing, lent)
}

/// Takes back what was lent.
enum Lent {
    Nothing,
    OnWorker(Seat),
    Elsewhere(Option<Seat>),
}

impl Drop for Lent {
    fn drop(&mut self) {
        match *self {
            Self::Nothing => (),
            Self::OnWorker(before) => worker::with_any_context(|context| {
                context.map(|context| context.replace_seat(before));
            }),
            Self::Elsewhere(before) => {
                let _ = LENT.try_with(|lent| lent.set(before));
            }
        }
    }
}

#[track_caller]
fn current_seat() -> Option<Seat> {
    let seat = worker::with_any_context(|context| context.map(Context::seat));
    let seat = seat.or_else(|| LENT.try_with(Cell::get).ok().flatten());
    #[cfg(not(loom))]
    let caller = core::panic::Location::caller();
    #[cfg(not(loom))]
    let seat = seat.or_else(|| crate::explore::current_seat(caller));
    seat
}

/// Whether the calling thread runs the closure of a behaviour right now.
///
/// Inside of one, nothing that waits for other behaviours may be called.
pub fn inside_behaviour() -> bool {
    outcome::inside()
}
