//! For language bindings: cowns without their types, and behaviours with a state of their own.
//!
//! The functions here have no type to keep a request right, so the caller says what holds.

mod any;
mod elsewhere;
mod held;
mod promise;
mod result;

use core::{fmt, mem, ptr::NonNull};

use crate::{
    batch::Batch,
    behaviour::{Behaviour, Detached, Part, Promised, SlotWriter},
    cown::{Cown, Header},
    executor::{ExecutorRef, Ready, Seat},
    schedule::{self, Entry, Prepared},
    slot::Slot,
    work::Once,
};

pub use self::{
    any::{AnyCown, AnyWeakCown},
    held::Held,
    promise::Promise,
    result::ResultCown,
};
pub use crate::{
    outcome::State,
    schedule::{DuplicateCown, Label},
    scope::Counting,
    slot::Mode,
};

/// How many cowns one request can name.
pub const MAX_COWNS: usize = Behaviour::MAX_SLOTS;

/// A borrowed cown whose type is not known, for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CownPtr(pub(crate) NonNull<Header>);

// SAFETY: it is an address; what is done with it is the business of unsafe functions.
unsafe impl Send for CownPtr {}
// SAFETY: as above.
unsafe impl Sync for CownPtr {}

impl<T> From<&Cown<T>> for CownPtr {
    fn from(cown: &Cown<T>) -> Self {
        Self(cown.header())
    }
}

/// Where the value of a cown lives.
///
/// The pointer is valid as long as a reference to the cown exists. Only who holds the cown, as the
/// running behaviour or as [`claim`] does, may read or write through it.
pub fn value_ptr<T>(cown: &Cown<T>) -> *mut T {
    cown.value_ptr()
}

/// Whether this handle is the only reference to the cown: nobody holds it or waits for it, and there is no
/// weak reference that could become another one. If so, all use of it by others happened before.
pub fn is_unshared<T>(cown: &Cown<T>) -> bool {
    // SAFETY: `cown` is alive.
    unsafe { cown.header().as_ref() }.is_unshared()
}

/// A cown in a request, and what the behaviour wants to do with it.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The cown.
    pub cown: CownPtr,
    /// Whether it is written or read.
    pub mode: Mode,
}

impl<T> From<&Cown<T>> for Access {
    /// To write.
    fn from(cown: &Cown<T>) -> Self {
        Self { cown: cown.into(), mode: Mode::Write }
    }
}

/// Schedules `work` over `cowns`; see [`ExecutorRef::when`]. `work` gets what the behaviour holds, and
/// the state, which is also the value of the result.
///
/// # Errors
///
/// [`DuplicateCown`] if a cown is named twice and not only to be read. Nothing was scheduled; `state` and `work` were
/// dropped, after the state learnt that it was cancelled.
///
/// # Safety
///
/// All cowns are alive during the call.
#[track_caller]
pub unsafe fn when<S, F>(
    executor: &ExecutorRef,
    cowns: &[Access],
    state: S,
    work: F,
) -> Result<ResultCown<S>, DuplicateCown>
where
    S: State,
    F: FnOnce(Held<'_>, &mut S) + Send + 'static,
{
    let (count, fill) = (cowns.len(), fill(cowns.iter().copied()));
    let work = call(work);
    let prepared =
        schedule::prepare::<Promised<S>, _>(executor, count, fill, state, work, Entry::Now);
    // SAFETY: the result is the behaviour's own; the rest is passed on to the caller.
    unsafe {
        let result = ResultCown::of(prepared.behaviour);
        prepared.schedule()?;
        Ok(result)
    }
}

/// Counts a behaviour over so many cowns in, to be scheduled at once; `None` if the executor takes no more,
/// so that the caller can try another one with what the behaviour is to be made of.
///
/// A thread outside of behaviours may have to wait for room; see
/// [`Builder::max_in_flight`](crate::Builder::max_in_flight).
#[track_caller]
#[inline]
pub fn begin(executor: &ExecutorRef, count: usize) -> Option<Begun<'_>> {
    executor.wait_for_room();
    begin_now(executor, count)
}

#[track_caller]
#[inline]
fn begin_now(executor: &ExecutorRef, count: usize) -> Option<Begun<'_>> {
    let seat = schedule::begin(executor, count)?;
    Some(Begun { executor, seat, count })
}

/// As [`begin`], for a behaviour that counts as one of `executor`, whose end waits for it, and goes to `runs` when it
/// is ready, which is an executor of somebody else's. If `runs` refuses it then, it is cancelled.
///
/// What the behaviour schedules without saying where has no executor. A runtime that observes its behaviours observes this
/// one as well, which is [elsewhere](crate::observe::BehaviourReport::elsewhere) then; so `runs` is to call
/// [`Ready::run`], and is none of a [`Runtime`](crate::Runtime).
#[track_caller]
pub fn begin_elsewhere<'e>(
    executor: &'e ExecutorRef,
    runs: &ExecutorRef,
    count: usize,
) -> Option<Begun<'e>> {
    executor.wait_for_room();
    begin_elsewhere_now(executor, runs, count)
}

#[track_caller]
fn begin_elsewhere_now<'e>(
    executor: &'e ExecutorRef,
    runs: &ExecutorRef,
    count: usize,
) -> Option<Begun<'e>> {
    let mut begun = begin_now(executor, count)?;
    begun.seat = elsewhere::seat(begun.seat, runs);
    Some(begun)
}

/// A behaviour that its executor has counted in; see [`begin`].
pub struct Begun<'e> {
    executor: &'e ExecutorRef,
    seat: Seat,
    count: usize,
}

impl Begun<'_> {
    /// Schedules `work` over `cowns`; see [`when`]. If the behaviour is observed, `label` is asked what it is
    /// called in events and reports, instead of by its location, which is that of the binding.
    ///
    /// # Errors
    ///
    /// As for [`when`].
    ///
    /// # Panics
    ///
    /// If there are not as many cowns as was said.
    ///
    /// # Safety
    ///
    /// As for [`when`].
    #[track_caller]
    #[inline]
    pub unsafe fn when<S, F>(
        self,
        cowns: impl Iterator<Item = Access>,
        label: impl FnOnce() -> Option<Label>,
        state: S,
        work: F,
    ) -> Result<ResultCown<S>, DuplicateCown>
    where
        S: State,
        F: FnOnce(Held<'_>, &mut S) + Send + 'static,
    {
        // SAFETY: the result is the behaviour's own; the rest is passed on to the caller.
        unsafe {
            let prepared = self.prepare::<Promised<S>, F>(cowns, label, state, work, Entry::Now);
            let result = ResultCown::of(prepared.behaviour);
            prepared.schedule()?;
            Ok(result)
        }
    }

    /// [`Begun::when`] without a result; see [`ExecutorRef::when_detached`].
    ///
    /// # Errors
    ///
    /// As for [`when`].
    ///
    /// # Panics
    ///
    /// As for [`Begun::when`].
    ///
    /// # Safety
    ///
    /// As for [`when`].
    #[track_caller]
    #[inline]
    pub unsafe fn when_detached<F>(
        self,
        cowns: impl Iterator<Item = Access>,
        label: impl FnOnce() -> Option<Label>,
        work: F,
    ) -> Result<(), DuplicateCown>
    where
        F: FnOnce(Held<'_>, &mut ()) + Send + 'static,
    {
        // SAFETY: passed on to the caller.
        unsafe { self.prepare::<Detached, F>(cowns, label, (), work, Entry::Now).schedule() }
    }

    #[track_caller]
    #[inline]
    fn prepare<P, F>(
        self,
        cowns: impl Iterator<Item = Access>,
        label: impl FnOnce() -> Option<Label>,
        state: P::State,
        work: F,
        entry: Entry,
    ) -> Prepared
    where
        P: Part,
        F: FnOnce(Held<'_>, &mut P::State) + Send + 'static,
    {
        let Self { executor, seat, count } = self;
        let work = call(work);
        let prepared =
            schedule::seated::<P, _>(executor, seat, count, fill(cowns), state, work, entry, label);
        // What was made has the seat. Not before, since what the caller has passed may panic.
        mem::forget(self);
        prepared
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // SAFETY: it was counted in, and nothing was made that would be counted out.
        unsafe { self.seat.end() };
    }
}

impl fmt::Debug for Begun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Adds a behaviour to a batch; see [`Batch::try_when`]. The result must be neither scheduled over nor
/// waited for before the batch is scheduled. `None` if the executor takes no more; `work` was dropped then.
/// `label` as for [`Begun::when`].
///
/// # Errors
///
/// As for [`when`].
///
/// # Safety
///
/// As for [`when`].
#[track_caller]
pub unsafe fn add<S, F>(
    batch: &mut Batch,
    cowns: &[Access],
    label: impl FnOnce() -> Option<Label>,
    state: S,
    work: F,
) -> Result<Option<ResultCown<S>>, DuplicateCown>
where
    S: State,
    F: FnOnce(Held<'_>, &mut S) + Send + 'static,
{
    let Some(begun) = begin_now(batch.make_room(), cowns.len()) else { return Ok(None) };
    let cowns = cowns.iter().copied();
    let prepared = begun.prepare::<Promised<S>, F>(cowns, label, state, work, Entry::WithBatch);
    // SAFETY: passed on to the caller.
    unsafe { add_prepared(batch, prepared) }
}

/// As [`add`], for a behaviour that goes to `runs`; see [`begin_elsewhere`].
///
/// # Errors
///
/// As for [`when`].
///
/// # Safety
///
/// As for [`when`].
#[track_caller]
pub unsafe fn add_elsewhere<S, F>(
    batch: &mut Batch,
    runs: &ExecutorRef,
    cowns: &[Access],
    label: impl FnOnce() -> Option<Label>,
    state: S,
    work: F,
) -> Result<Option<ResultCown<S>>, DuplicateCown>
where
    S: State,
    F: FnOnce(Held<'_>, &mut S) + Send + 'static,
{
    let Some(begun) = begin_elsewhere_now(batch.make_room(), runs, cowns.len()) else {
        return Ok(None);
    };
    let cowns = cowns.iter().copied();
    let prepared = begun.prepare::<Promised<S>, F>(cowns, label, state, work, Entry::WithBatch);
    // SAFETY: passed on to the caller.
    unsafe { add_prepared(batch, prepared) }
}

/// # Safety
///
/// As for [`Batch::add`]; the behaviour has a result with this state, which was not given out yet.
unsafe fn add_prepared<S: State>(
    batch: &mut Batch,
    prepared: Prepared,
) -> Result<Option<ResultCown<S>>, DuplicateCown> {
    // SAFETY: passed on to the caller.
    unsafe {
        let result = ResultCown::of(prepared.behaviour);
        batch.add(prepared)?;
        Ok(Some(result))
    }
}

fn fill(cowns: impl Iterator<Item = Access>) -> impl FnOnce(&mut SlotWriter) {
    |slots| cowns.for_each(|access| slots.push(access.cown.0, access.mode))
}

fn call<S, F: FnOnce(Held<'_>, &mut S)>(work: F) -> Once<impl FnOnce(&[Slot], &mut S)> {
    Once(move |slots: &[Slot], state: &mut S| work(Held::new(slots), state))
}

/// The reference as an address, aligned to 8 bytes. It is given up by [`executor_from_raw`].
pub fn executor_into_raw(executor: ExecutorRef) -> NonNull<()> {
    executor.into_head().cast()
}

/// # Safety
///
/// `raw` came out of [`executor_into_raw`], and is not used again for this.
pub unsafe fn executor_from_raw(raw: NonNull<()>) -> ExecutorRef {
    // SAFETY: passed on to the caller.
    unsafe { ExecutorRef::from_raw(raw.cast()) }
}

/// [`Ready`] as an address, which is given up by [`ready_from_raw`].
pub fn ready_into_raw(ready: Ready) -> NonNull<()> {
    ready.into_inner().cast()
}

/// # Safety
///
/// `raw` came out of [`ready_into_raw`], and is not used again.
pub unsafe fn ready_from_raw(raw: NonNull<()>) -> Ready {
    // SAFETY: passed on to the caller.
    unsafe { Ready::new(raw.cast()) }
}

/// A behaviour without cowns and without an outcome, ready, in no executor's queue.
#[cfg(test)]
pub(crate) fn ready(executor: &ExecutorRef, work: impl FnOnce() + Send + 'static) -> Ready {
    let seat = executor.begin().expect("the executor is open");
    let behaviour = Behaviour::allocate::<crate::behaviour::Detached, _>(
        seat,
        (),
        Once(move |_: &[Slot], (): &mut ()| work()),
        0,
        |_| (),
    );
    // SAFETY: without cowns the behaviour is ready at once.
    unsafe { Ready::new(behaviour) }
}

/// Calls `f` with the executor whose worker this thread is, if it is one of a
/// [`Runtime`](crate::Runtime) or of an exploration.
#[cfg(feature = "std")]
#[track_caller]
pub fn with_current_executor<R>(f: impl FnOnce(Option<&ExecutorRef>) -> R) -> R {
    crate::runtime::with_current_executor(f)
}

/// Makes the calling thread forget that it is a worker, and that it runs a behaviour; says whether
/// it was a worker of a [`Runtime`](crate::Runtime).
///
/// For the child of a fork inside of a behaviour, in which the other workers do not exist. From then
/// on the child can use runtimes of its own like any thread outside of behaviours. The behaviour goes
/// on holding its cowns. It must not return, since the worker would go on with those of the parent:
/// the process has to end before.
#[cfg(feature = "std")]
pub fn forget_worker() -> bool {
    crate::runtime::forget_worker()
}

/// Makes the calling thread forget that it runs a behaviour; says whether it does.
///
/// For the child of a fork inside of a behaviour on a thread that is no worker, as [`forget_worker`].
#[cfg(feature = "std")]
pub fn forget_behaviour() -> bool {
    let inside = crate::outcome::inside();
    crate::outcome::forget_inside();
    inside
}

#[cfg(feature = "std")]
pub use crate::{
    claim::{Claim, claim},
    signal::Signal,
};

#[cfg(all(test, feature = "std", not(loom)))]
mod tests {
    use super::*;
    use crate::{Builder, Pump, QuiesceError, Runtime, inside_behaviour};
    use std::{sync::mpsc, thread, time::Duration};

    #[derive(Default)]
    struct Ran(Option<thread::ThreadId>);

    impl State for Ran {
        fn panicked(&mut self, _: crate::Panic) {}
        fn cancelled(&mut self) {}
    }

    /// Over a cown, counted by a runtime, and run by a pump.
    fn elsewhere(runtime: &Runtime, pump: &Pump, cown: &Cown<i32>) -> ResultCown<Ran> {
        let begun = begin_elsewhere(runtime.executor(), pump.executor(), 1).unwrap();
        let cowns = [Access::from(cown)].into_iter();
        let work = |_: Held<'_>, ran: &mut Ran| {
            assert!(inside_behaviour());
            with_current_executor(|executor| assert!(executor.is_none()));
            ran.0 = Some(thread::current().id());
        };
        // SAFETY: the cown is alive.
        unsafe { begun.when(cowns, || None, Ran::default(), work) }.unwrap()
    }

    #[test]
    fn what_runs_elsewhere_counts_here() {
        counts_here(Runtime::with_workers(2));
        counts_here(Builder::new().workers(2).events(100).build().unwrap());
    }

    fn counts_here(runtime: Runtime) {
        let pump = Pump::new();
        let cown = Cown::new(1);
        let (go_on, may_go_on) = mpsc::channel::<()>();
        runtime.when_detached(&cown, move |_| may_go_on.recv().unwrap());
        let result = elsewhere(&runtime, &pump, &cown);
        let last = runtime.when(&cown, |number| *number);
        assert_eq!(pump.run_until_idle(), 0, "its cown is in use");
        go_on.send(()).unwrap();
        while !pump.run_one() {
            assert_eq!(runtime.quiesce(Some(Duration::ZERO)), Err(QuiesceError::TimedOut));
        }
        runtime.quiesce(None).unwrap();
        assert_eq!(last.wait().unwrap(), 1);
        assert!(result.is_finished());
        // SAFETY: the behaviour has ended, and nobody else has the result.
        assert_eq!(unsafe { &*value_ptr(result.cown()) }.0, Some(thread::current().id()));
    }

    #[test]
    fn what_nobody_is_going_to_run_elsewhere_is_cancelled() {
        let (runtime, pump) = (Runtime::with_workers(1), Pump::new());
        let cown = Cown::new(1);
        let [one, other] = [(); 2].map(|()| elsewhere(&runtime, &pump, &cown));
        assert!(other.cancel());
        drop(pump);
        assert!(one.is_finished() && other.is_finished());
        runtime.quiesce(None).unwrap();
        let begun = begin_elsewhere(runtime.executor(), Pump::new().executor(), 0);
        drop(begun.unwrap());
        runtime.quiesce(None).unwrap();
    }

    #[test]
    fn a_batch_has_both_kinds() {
        let (runtime, pump) = (Runtime::with_workers(2), Pump::new());
        let cown = Cown::new(0);
        let mut batch = runtime.batch();
        let cowns = [Access::from(&cown)];
        let work = |_: Held<'_>, ran: &mut Ran| ran.0 = Some(thread::current().id());
        // SAFETY: the cown is alive.
        let added = unsafe {
            add_elsewhere(&mut batch, pump.executor(), &cowns, || None, Ran::default(), work)
                .unwrap()
        };
        let last = batch.when(&cown, |number| *number += 1);
        let last = batch.schedule().handle(last);
        assert!(!last.is_finished(), "it comes behind what nobody has run yet");
        assert_eq!(pump.run_until_idle(), 1);
        last.wait().unwrap();
        assert!(added.unwrap().is_finished());
    }

    #[test]
    fn a_worker_that_was_forgotten_is_a_thread_like_any_other() {
        assert!(!forget_worker(), "this thread is none");
        let runtime = Runtime::with_workers(2);
        let handle = runtime.when((), |()| {
            assert!(inside_behaviour());
            assert!(forget_worker());
            assert!(!forget_worker());
            assert!(!inside_behaviour());
            with_current_executor(|executor| assert!(executor.is_none()));
            let own = Runtime::with_workers(1);
            let handle = own.when((), |()| inside_behaviour());
            own.quiesce(None).unwrap();
            handle.wait().unwrap()
        });
        assert!(handle.wait().unwrap());
        // Not a fork, so there are others, and nothing is lost.
        runtime.quiesce(None).unwrap();
        assert_eq!(runtime.when((), |()| 5).wait().unwrap(), 5);
    }
}
