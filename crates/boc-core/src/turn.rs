//! Places in the queues of cowns that a task waits for, without a thread that sleeps.

use core::{
    ptr::{self, NonNull},
    task::Context,
};

use atomic_waker::AtomicWaker;

use crate::{
    behaviour::{Behaviour, Detached},
    executor::{Executor, ExecutorRef, Ready},
    raw::CownPtr,
    schedule,
    slot::Mode,
    sync::{
        Arc,
        atomic::{
            AtomicPtr,
            Ordering::{AcqRel, Acquire},
        },
    },
    work::Once,
};

/// A place in the queue of a cown: a behaviour that is never run. The cown is held from the moment
/// when it would be, until the place is dropped.
pub(crate) struct Place {
    turn: Arc<Turn>,
}

struct Turn {
    /// Null while it waits, then the behaviour that holds the cown, or [`GIVEN_UP`].
    ready: AtomicPtr<Behaviour>,
    waker: AtomicWaker,
}

/// The place was dropped; when its turn comes, it is passed on at once. No behaviour lives here.
const GIVEN_UP: *mut Behaviour = ptr::without_provenance_mut(1);

impl Executor for Turn {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        let behaviour = ready.into_inner();
        // Release: pairs with the Acquire in `poll` and `drop`, for what the last holder wrote.
        let taken =
            self.ready.compare_exchange(ptr::null_mut(), behaviour.as_ptr(), AcqRel, Acquire);
        if taken.is_err() {
            // SAFETY: it came out of `ready`.
            return Err(unsafe { Ready::new(behaviour) });
        }
        self.waker.wake();
        Ok(())
    }
}

impl Place {
    /// Takes a place behind all that was scheduled over the cown before.
    ///
    /// # Safety
    ///
    /// The cown is alive during the call.
    pub(crate) unsafe fn take(cown: CownPtr) -> Self {
        let ready = AtomicPtr::new(ptr::null_mut());
        let turn = Arc::new(Turn { ready, waker: AtomicWaker::new() });
        let executor = ExecutorRef::from(Arc::clone(&turn));
        let fill = |slots: &mut crate::behaviour::SlotWriter| slots.push(cown.0, Mode::Write);
        let never = Once(|_: &[_], (): &mut ()| ());
        let prepared = schedule::prepare::<Detached, _>(&executor, 1, fill, (), never);
        // SAFETY: passed on to the caller.
        let scheduled = unsafe { prepared.schedule() };
        debug_assert!(scheduled.is_ok(), "one cown has no duplicate");
        Self { turn }
    }

    /// Whether the cown is held. If not, the task is woken when it is.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> bool {
        let is_held = || !self.turn.ready.load(Acquire).is_null();
        is_held() || {
            self.turn.waker.register(context.waker());
            // It may have been handed over before the waker was there.
            is_held()
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let behaviour = self.turn.ready.swap(GIVEN_UP, AcqRel);
        if let Some(behaviour) = NonNull::new(behaviour) {
            // SAFETY: the turn owned the behaviour. Dropping it releases the cown.
            drop(unsafe { Ready::new(behaviour) });
        }
    }
}
