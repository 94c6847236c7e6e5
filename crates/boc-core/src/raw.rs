//! For language bindings: cowns without their types, and behaviours with a state of their own.
//!
//! The functions here have no type to keep a request right, so the caller says what holds.

use alloc::boxed::Box;
use core::{fmt, ptr::NonNull};

use crate::{
    behaviour::{Behaviour, Promise, Promised, SlotWriter, promise_offset, result_offset},
    completion::Completion,
    conclusion,
    cown::{Body, Cown, Header},
    executor::ExecutorRef,
    schedule::{self, Entry},
    slot::Slot,
    work::Once,
};

pub use crate::{outcome::State, schedule::DuplicateCown, slot::Mode};

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

/// How many references to the cown exist: handles, and one or two more while behaviours hold the cown
/// or wait for it.
pub fn references<T>(cown: &Cown<T>) -> usize {
    // SAFETY: `cown` is alive.
    unsafe { cown.header().as_ref() }.references()
}

/// The cown that is the result of a behaviour, and its completion.
///
/// The behaviour holds the cown from the start, so whoever else comes to hold it finds the state
/// that the behaviour left.
pub struct ResultCown<S> {
    cown: Cown<S>,
}

impl<S> Clone for ResultCown<S> {
    fn clone(&self) -> Self {
        Self { cown: self.cown.clone() }
    }
}

impl<S> ResultCown<S> {
    /// # Safety
    ///
    /// The behaviour has a state of type `S`; the caller gives up the reference to its result.
    pub(crate) unsafe fn of(behaviour: NonNull<Behaviour>) -> Self {
        // SAFETY: the result lies at this offset in every behaviour with a state of this type.
        unsafe {
            let body = behaviour.byte_add(result_offset::<S>()).cast::<Body<S>>();
            Self { cown: Cown::from_body(body) }
        }
    }

    /// The cown.
    pub fn cown(&self) -> &Cown<S> {
        &self.cown
    }

    fn behaviour(&self) -> NonNull<Behaviour> {
        // SAFETY: `self.cown` lies in a behaviour, and its reference keeps the whole alive.
        unsafe { self.cown.header().byte_sub(result_offset::<S>()).cast() }
    }

    fn completion(&self) -> &Completion {
        // SAFETY: as for `behaviour`.
        let promise: &Promise =
            unsafe { self.behaviour().byte_add(promise_offset::<S>()).cast().as_ref() };
        &promise.completion
    }

    /// Whether the behaviour has ended. If so, all that it did happened before.
    pub fn is_finished(&self) -> bool {
        self.completion().is_done()
    }

    /// Cancels the behaviour, unless it has started; says whether it did. See
    /// [`Handle::cancel`](crate::Handle::cancel).
    pub fn cancel(&self) -> bool {
        // SAFETY: `self` is a reference to the result.
        unsafe { conclusion::cancel(self.behaviour()) }
    }

    /// Calls `callback` when the behaviour has ended: at once if it has, else on the thread that
    /// ends it, where it must not block.
    pub fn on_finished(&self, callback: impl FnOnce() + Send + 'static) {
        self.completion().subscribe(Box::new(callback));
    }
}

impl<S> fmt::Debug for ResultCown<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResultCown").field(&self.cown).finish()
    }
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

/// Schedules `work` over `cowns`; see [`ExecutorRef::when`]. `work` gets the state, which is also
/// the value of the result.
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
    F: FnOnce(&mut S) + Send + 'static,
{
    let fill = |slots: &mut SlotWriter| {
        cowns.iter().for_each(|access| slots.push(access.cown.0, access.mode));
    };
    let prepared = schedule::prepare::<Promised<S>, _>(
        executor,
        cowns.len(),
        fill,
        state,
        Once(move |_: &[Slot], state: &mut S| work(state)),
        Entry::Now,
    );
    // SAFETY: the result is the behaviour's own; the rest is passed on to the caller.
    unsafe {
        let result = ResultCown::of(prepared.behaviour);
        prepared.schedule()?;
        Ok(result)
    }
}

/// A behaviour without cowns and without an outcome, ready, in no executor's queue.
#[cfg(test)]
pub(crate) fn ready(executor: &ExecutorRef, work: impl FnOnce() + Send + 'static) -> crate::Ready {
    let seat = executor.begin().expect("the executor is open");
    let behaviour = Behaviour::allocate::<crate::behaviour::Detached, _>(
        seat,
        (),
        Once(move |_: &[Slot], (): &mut ()| work()),
        0,
        |_| (),
    );
    // SAFETY: without cowns the behaviour is ready at once.
    unsafe { crate::Ready::new(behaviour) }
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

#[cfg(feature = "std")]
pub use crate::{
    claim::{Claim, claim},
    signal::Signal,
};

#[cfg(all(test, feature = "std", not(loom)))]
mod tests {
    use super::*;
    use crate::{Runtime, inside_behaviour};

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
