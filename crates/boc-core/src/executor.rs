//! Executors: where behaviours run once they hold their cowns.

use core::{fmt, mem::ManuallyDrop, ptr::NonNull};

#[cfg(feature = "std")]
use crate::runtime::worker::{self, Context};
use crate::{behaviour::Behaviour, conclusion, outcome, row::Row, sync::Arc};

/// Runs behaviours that hold all their cowns.
///
/// This is all that the protocol knows of an executor. Each behaviour carries the one it was
/// scheduled on; cowns belong to none, so behaviours of different executors may share them.
///
/// Wrap it into an [`ExecutorRef`] to schedule on it:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use boc_core::{Cown, Executor, ExecutorRef, Ready};
///
/// /// Keeps what is ready until somebody asks for it.
/// #[derive(Default)]
/// struct Shelf(Mutex<Vec<Ready>>);
///
/// impl Executor for Shelf {
///     fn execute(&self, ready: Ready) -> Result<(), Ready> {
///         self.0.lock().unwrap().push(ready);
///         Ok(())
///     }
/// }
///
/// let shelf = Arc::new(Shelf::default());
/// let executor = ExecutorRef::from(Arc::clone(&shelf));
/// let cown = Cown::new(1);
/// let handle = executor.when(&cown, |n| *n + 1);
/// let ready = shelf.0.lock().unwrap().pop().unwrap();
/// ready.run();
/// assert_eq!(handle.wait().unwrap(), 2);
/// ```
pub trait Executor: Send + Sync + 'static {
    /// Takes a behaviour that holds all its cowns, to [run](Ready::run) it soon, on any thread.
    ///
    /// Called on the thread that scheduled the behaviour or released the last cown it waited for,
    /// possibly a worker of another executor: it must not block, and should not run the behaviour
    /// itself, since the caller's stack would grow with every behaviour that follows on another.
    ///
    /// If it panics, the panic is swallowed; a `Ready` that is dropped by that is cancelled.
    ///
    /// # Errors
    ///
    /// An executor that does not take behaviours any more gives it back. It is then cancelled: its
    /// closure is dropped, its cowns are released, its handle says so.
    fn execute(&self, ready: Ready) -> Result<(), Ready>;

    /// Whether behaviours can be scheduled on it. If not, they are cancelled at once.
    ///
    /// Called by each thread that schedules. It can change its answer at any time, so it is a courtesy: what
    /// was scheduled before, `execute` can still give back.
    fn is_open(&self) -> bool {
        true
    }
}

/// A behaviour that holds all its cowns and has not run yet.
///
/// Dropping it cancels the behaviour.
#[must_use = "dropping a `Ready` cancels the behaviour"]
pub struct Ready(NonNull<Behaviour>);

// SAFETY: a `Ready` owns its behaviour exclusively; closure and state are `Send`.
unsafe impl Send for Ready {}
// SAFETY: a shared `Ready` gives access to nothing.
unsafe impl Sync for Ready {}

impl Ready {
    /// # Safety
    ///
    /// The caller owns the behaviour, which waits for nothing and has not run, and gives it up. It may have
    /// been cancelled.
    pub(crate) unsafe fn new(behaviour: NonNull<Behaviour>) -> Self {
        Self(behaviour)
    }

    /// The behaviour, which now belongs to the caller.
    pub(crate) fn into_inner(self) -> NonNull<Behaviour> {
        ManuallyDrop::new(self).0
    }

    /// Whether there is nothing to run. That can change until it runs.
    pub(crate) fn was_cancelled(&self) -> bool {
        // SAFETY: the `Ready` owns the behaviour.
        unsafe { self.0.as_ref() }.was_cancelled()
    }

    /// Runs the behaviour and releases its cowns. With `std`, a panic stays inside and goes to the
    /// behaviour's handle.
    pub fn run(self) {
        let behaviour = self.into_inner();
        // SAFETY: the `Ready` owned the behaviour.
        unsafe {
            outcome::as_behaviour(|| {
                #[cfg(feature = "std")]
                crate::runtime::run_outside(behaviour);
                #[cfg(not(feature = "std"))]
                conclusion::go_on(behaviour, Behaviour::invoke(behaviour));
            });
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // SAFETY: the `Ready` owns the behaviour, and is gone after this.
        unsafe {
            outcome::as_behaviour(|| {
                if Behaviour::abandon(self.0) {
                    conclusion::conclude(self.0);
                }
            });
        }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ready").field(&self.0).finish()
    }
}

/// What every executor starts with, in memory; how to reach it.
pub(crate) struct Head {
    vtable: &'static VTable,
}

impl Head {
    pub(crate) const fn new(vtable: &'static VTable) -> Self {
        Self { vtable }
    }
}

/// What depends on the type of the executor. All functions get a pointer to its head that may be used
/// to reach the whole of it. `end`, `execute` and `execute_all` do not unwind.
///
/// On a worker of the executor, if that is a runtime, none of `begin`, `end` and `execute` is called: it does
/// that itself.
pub(crate) struct VTable {
    /// Adds a reference.
    pub(crate) retain: unsafe fn(NonNull<Head>),
    /// Gives a reference up.
    pub(crate) release: unsafe fn(NonNull<Head>),
    /// Waits until there is room for one more behaviour, if the executor has a bound and the calling
    /// thread may wait.
    pub(crate) wait_for_room: Option<unsafe fn(NonNull<Head>)>,
    /// Counts a behaviour in, or refuses it. What was counted in keeps the executor alive.
    ///
    /// Gives the head whose `end` and `execute` are called for this behaviour: that of the executor,
    /// or of what it knows of the one behaviour.
    pub(crate) begin: unsafe fn(NonNull<Head>) -> Option<NonNull<Head>>,
    /// Counts a behaviour out.
    pub(crate) end: unsafe fn(NonNull<Head>),
    /// [`Executor::execute`]. `Ok` if that panicked: the behaviour was taken, or cancelled by being
    /// dropped.
    pub(crate) execute: unsafe fn(NonNull<Head>, Ready) -> Result<(), Ready>,
    /// `execute` for several behaviours with this seat, where that can be done at once. Gives back those
    /// that it did not take.
    pub(crate) execute_all: Option<unsafe fn(NonNull<Head>, Row) -> Row>,
    /// Whether this is an executor to schedule on; else it stands for one behaviour.
    #[cfg_attr(not(feature = "std"), allow(dead_code))]
    pub(crate) is_executor: bool,
    /// Of a head that `begin` gave: how a runtime that observes its behaviours gets at this one.
    pub(crate) watched: Option<unsafe fn(NonNull<Head>) -> Option<Watched>>,
}

impl VTable {
    /// What a head has in common with others that stand for one behaviour, as `begin` may give it: it is
    /// no executor to schedule on.
    pub(crate) const OF_ONE_BEHAVIOUR: Self = Self {
        retain: |_| unreachable!("this seat is not lent to anybody"),
        release: |_| unreachable!("this seat is not lent to anybody"),
        wait_for_room: None,
        begin: |_| unreachable!("this seat is not lent to anybody"),
        end: |_| (),
        execute: |_, ready| Err(ready),
        execute_all: None,
        is_executor: false,
        watched: None,
    };
}

/// A behaviour that is observed.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "std"), allow(dead_code))]
pub(crate) struct Watched {
    /// What the runtime knows it by.
    pub(crate) ticket: NonNull<Head>,
    /// The executor for what the behaviour schedules: the runtime, or a scope of it. None if another executor runs
    /// the behaviour, which gets none then.
    pub(crate) lender: Option<Seat>,
}

/// A behaviour's tie to its executor, between `begin` and `end`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat(NonNull<Head>);

impl Seat {
    /// The seat of a behaviour that no executor took. It never becomes ready.
    pub(crate) fn nobody() -> Self {
        static NOBODY: Head = Head::new(&VTable::OF_ONE_BEHAVIOUR);
        Self(NonNull::from(&NOBODY))
    }

    /// The seat of behaviours that an executor knows by nothing but itself.
    pub(crate) fn of(executor: &ExecutorRef) -> Self {
        Self(executor.0)
    }

    /// The seat of behaviours of the executor with this head, likewise.
    pub(crate) fn at(executor: NonNull<Head>) -> Self {
        Self(executor)
    }

    #[cfg(feature = "std")]
    pub(crate) fn head(self) -> NonNull<Head> {
        self.0
    }

    #[inline]
    pub(crate) fn is_that_of(self, executor: &ExecutorRef) -> bool {
        self.0 == executor.0
    }

    /// The behaviour as one that is observed, if it is.
    pub(crate) fn watched(self) -> Option<Watched> {
        let watched = self.vtable().watched?;
        // SAFETY: between `begin` and `end` the executor, and what it knows of the behaviour, is alive.
        unsafe { watched(self.0) }
    }

    /// The seat of what a behaviour with this seat schedules, if it does not say otherwise.
    #[cfg(feature = "std")]
    pub(crate) fn lender(self) -> Option<Seat> {
        match self.watched() {
            Some(watched) => watched.lender,
            None => self.vtable().is_executor.then_some(self),
        }
    }

    /// The executor, for as long as a behaviour on it has not ended.
    #[cfg(feature = "std")]
    pub(crate) fn executor(self) -> ManuallyDrop<ExecutorRef> {
        ManuallyDrop::new(ExecutorRef(self.0))
    }

    #[inline]
    fn vtable(self) -> &'static VTable {
        // SAFETY: between `begin` and `end` the executor is alive.
        unsafe { self.0.as_ref() }.vtable
    }

    /// # Safety
    ///
    /// The caller has a `Ready` for a behaviour with this seat, which it passes on.
    #[inline]
    pub(crate) unsafe fn execute(self, ready: Ready) -> Result<(), Ready> {
        // SAFETY: the behaviour in `ready` was counted in, so the executor is alive.
        let execute = |ready| unsafe { (self.vtable().execute)(self.0, ready) };
        #[cfg(feature = "std")]
        return worker::with_worker_of(self, |worker| match worker {
            Some(worker) => worker.push(ready),
            None => execute(ready),
        });
        #[cfg(not(feature = "std"))]
        execute(ready)
    }

    /// [`Seat::execute`] for several behaviours. Gives back those that the executor did not take.
    ///
    /// # Safety
    ///
    /// All of them have this seat.
    pub(crate) unsafe fn execute_all(self, mut row: Row) -> Row {
        if let Some(execute_all) = self.vtable().execute_all {
            // SAFETY: the behaviours were counted in, so the executor is alive.
            return unsafe { execute_all(self.0, row) };
        }
        let mut refused = Row::new();
        while let Some(ready) = row.pop() {
            // SAFETY: passed on to the caller.
            if let Err(ready) = unsafe { self.execute(ready) } {
                refused.push(ready);
            }
        }
        refused
    }

    /// # Safety
    ///
    /// Called once for each seat, at the end of its behaviour.
    #[inline]
    pub(crate) unsafe fn end(self) {
        // SAFETY: the seat was counted in and not out yet, so the executor is alive.
        let end = || unsafe { (self.vtable().end)(self.0) };
        #[cfg(feature = "std")]
        worker::with_worker_of(self, |worker| worker.map_or_else(end, Context::count_out));
        #[cfg(not(feature = "std"))]
        end();
    }
}

/// A shared reference to an executor, to schedule behaviours on.
///
/// Made from an `Arc` of any [`Executor`], or by [`Runtime::executor`](crate::Runtime::executor).
pub struct ExecutorRef(NonNull<Head>);

// SAFETY: executors are `Send + Sync`, and references are counted atomically.
unsafe impl Send for ExecutorRef {}
// SAFETY: as above.
unsafe impl Sync for ExecutorRef {}

impl ExecutorRef {
    /// # Safety
    ///
    /// The caller gives up a reference to the executor, and the pointer may be used to reach all of it.
    pub(crate) unsafe fn from_raw(head: NonNull<Head>) -> Self {
        Self(head)
    }

    /// The reference, which goes to the caller.
    pub(crate) fn into_head(self) -> NonNull<Head> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    fn vtable(&self) -> &'static VTable {
        // SAFETY: `self` keeps the executor alive.
        unsafe { self.0.as_ref() }.vtable
    }

    /// Waits until the executor has room for one more behaviour, if it has a bound and this thread may
    /// wait.
    pub(crate) fn wait_for_room(&self) {
        if let Some(wait) = self.vtable().wait_for_room {
            // SAFETY: `self` keeps the executor alive.
            unsafe { wait(self.0) };
        }
    }

    /// Counts a behaviour in; `None` if the executor takes no more.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Seat> {
        // SAFETY: `self` keeps the executor alive.
        let begin = || unsafe { (self.vtable().begin)(self.0) }.map(Seat);
        #[cfg(feature = "std")]
        return worker::with_worker_of(Seat::of(self), |worker| {
            worker.map_or_else(begin, Context::begin)
        });
        #[cfg(not(feature = "std"))]
        begin()
    }
}

impl Clone for ExecutorRef {
    fn clone(&self) -> Self {
        // SAFETY: `self` keeps the executor alive; the new reference belongs to the clone.
        unsafe { (self.vtable().retain)(self.0) };
        Self(self.0)
    }
}

impl Drop for ExecutorRef {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and gone after this.
        unsafe { (self.vtable().release)(self.0) };
    }
}

impl fmt::Debug for ExecutorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExecutorRef").field(&self.0).finish()
    }
}

impl<E: Executor> From<Arc<E>> for ExecutorRef {
    fn from(executor: Arc<E>) -> Self {
        arc::executor(executor)
    }
}

#[cfg(loom)]
impl ExecutorRef {
    /// For the model checker: an executor that runs what is ready on the thread where it became so,
    /// at once. It has no state and counts nothing, so what is explored is the protocol alone.
    pub fn inline() -> Self {
        static INLINE: Head = Head::new(&VTable {
            retain: |_| (),
            release: |_| (),
            wait_for_room: None,
            begin: Some,
            end: |_| (),
            execute: |_, ready| {
                ready.run();
                Ok(())
            },
            execute_all: None,
            is_executor: true,
            watched: None,
        });
        Self(NonNull::from(&INLINE))
    }
}

/// Executors in an `Arc`: every behaviour in flight counts as a reference.
mod arc {
    use super::{Arc, Executor, ExecutorRef, Head, NonNull, Ready, VTable};
    use crate::outcome::{contain, swallow};

    /// An executor of somebody else's making, with a head.
    #[repr(C)]
    struct Headed<E> {
        head: Head,
        executor: Arc<E>,
    }

    pub(super) fn executor<E: Executor>(executor: Arc<E>) -> ExecutorRef {
        let head = Head::new(const { &vtable::<E>() });
        let data = Arc::into_raw(Arc::new(Headed { head, executor })).cast_mut();
        // SAFETY: the reference of the `Arc` goes to the `ExecutorRef`; the head comes first.
        unsafe { ExecutorRef::from_raw(NonNull::new_unchecked(data).cast()) }
    }

    const fn vtable<E: Executor>() -> VTable {
        VTable {
            retain: retain::<E>,
            release: release::<E>,
            wait_for_room: None,
            begin: begin::<E>,
            end: end::<E>,
            execute: execute::<E>,
            execute_all: None,
            is_executor: true,
            watched: None,
        }
    }

    unsafe fn retain<E>(head: NonNull<Head>) {
        // SAFETY: `head` came out of `Arc::into_raw`, and the caller knows of a live reference.
        unsafe { Arc::increment_strong_count(head.cast::<Headed<E>>().as_ptr()) };
    }

    unsafe fn release<E>(head: NonNull<Head>) {
        // SAFETY: `head` came out of `Arc::into_raw`, and the caller gives a reference up.
        unsafe { Arc::decrement_strong_count(head.cast::<Headed<E>>().as_ptr()) };
    }

    unsafe fn begin<E: Executor>(head: NonNull<Head>) -> Option<NonNull<Head>> {
        // SAFETY: the caller has a reference.
        let headed = unsafe { head.cast::<Headed<E>>().as_ref() };
        // One that panics is as good as closed.
        if !contain(|| headed.executor.is_open()).unwrap_or(false) {
            return None;
        }
        // SAFETY: as for `retain`.
        unsafe { retain::<E>(head) };
        Some(head)
    }

    unsafe fn end<E>(head: NonNull<Head>) {
        // SAFETY: as for `release`.
        swallow(|| unsafe { release::<E>(head) });
    }

    unsafe fn execute<E: Executor>(head: NonNull<Head>, ready: Ready) -> Result<(), Ready> {
        // The behaviour's reference may be gone before `execute` returns, so take one for it.
        // SAFETY: the behaviour in `ready` still has its reference.
        let headed = unsafe {
            retain::<E>(head);
            Arc::from_raw(head.cast::<Headed<E>>().as_ptr())
        };
        contain(move || headed.executor.execute(ready)).unwrap_or_else(|panic| {
            swallow(|| drop(panic));
            Ok(())
        })
    }
}
