//! Places in the queues of cowns, for who is outside of all behaviours.

use core::{
    ptr::{self, NonNull},
    task::Context,
};

use crate::{
    behaviour::{Behaviour, Detached, SlotWriter},
    executor::{Executor, ExecutorRef, Ready},
    raw::{Access, DuplicateCown},
    schedule::{self, Entry},
    sync::{
        Arc, AtomicWaker,
        atomic::{
            AtomicPtr,
            Ordering::{AcqRel, Acquire},
        },
    },
    work::Once,
};

/// A place in the queues of some cowns: a behaviour that is never run. The cowns are held from the
/// moment when it would be, until the place is dropped.
///
/// A task waits for that moment by [`Place::poll`], and a thread by a [`Claim`](crate::claim::Claim),
/// whose waker ends its sleep.
pub(crate) struct Place {
    turn: Arc<Turn>,
}

struct Turn {
    /// Null while it waits, then the behaviour that holds the cowns, or [`GIVEN_UP`].
    ready: AtomicPtr<Behaviour>,
    waker: AtomicWaker,
}

/// The place was dropped; when its turn comes, it is passed on at once. No behaviour lives here.
const GIVEN_UP: *mut Behaviour = ptr::without_provenance_mut(1);

impl Executor for Turn {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        let behaviour = ready.into_inner();
        // Release: pairs with the Acquire in `is_held` and `drop`, for what the last holders wrote.
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
    /// Takes a place behind all that was scheduled over the cowns before.
    ///
    /// # Errors
    ///
    /// [`DuplicateCown`] if a cown is named twice, and not only to be read.
    ///
    /// # Safety
    ///
    /// The cowns are alive during the call.
    pub(crate) unsafe fn take(cowns: &[Access]) -> Result<Self, DuplicateCown> {
        let ready = AtomicPtr::new(ptr::null_mut());
        let turn = Arc::new(Turn { ready, waker: AtomicWaker::new() });
        let executor = ExecutorRef::from(Arc::clone(&turn));
        let fill = |slots: &mut SlotWriter| {
            cowns.iter().for_each(|access| slots.push(access.cown.0, access.mode));
        };
        let never = Once(|_: &[_], (): &mut ()| ());
        let prepared =
            schedule::prepare::<Detached, _>(&executor, cowns.len(), fill, (), never, Entry::Now);
        // SAFETY: passed on to the caller.
        unsafe { prepared.schedule()? };
        Ok(Self { turn })
    }

    /// Whether the cowns are held.
    pub(crate) fn is_held(&self) -> bool {
        !self.turn.ready.load(Acquire).is_null()
    }

    /// Whether the cowns are held. If not, the task is woken when they are, unless another one asks
    /// later.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> bool {
        self.is_held() || {
            self.turn.waker.register(context.waker());
            // They may have been handed over before the waker was there.
            self.is_held()
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let behaviour = self.turn.ready.swap(GIVEN_UP, AcqRel);
        if let Some(behaviour) = NonNull::new(behaviour) {
            // SAFETY: the turn owned the behaviour. Dropping it releases the cowns.
            drop(unsafe { Ready::new(behaviour) });
        }
    }
}
