//! Holding cowns from a thread that is not a behaviour.

use core::fmt;
use std::time::Instant;

use crate::{
    executor::{Executor, ExecutorRef, Ready},
    raw::{self, Access, DuplicateCown},
    signal::wait_on,
    sync::{Arc, Condvar, Mutex, lock},
};

/// A place in the queues of some cowns, taken for a thread outside of all behaviours.
///
/// It is a behaviour that is never run: while the thread keeps it, the cowns are held. Dropping the
/// claim releases the cowns, or gives the place up if its turn has not come yet.
///
/// A thread that waits for a second claim while it holds a first one can deadlock, as with locks.
/// This exists for borders where a value has to come out; all else is better done by a behaviour.
pub struct Claim {
    turn: Arc<Turn>,
}

struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

enum State {
    Waiting,
    /// All cowns are held by the behaviour in this, until it is dropped.
    Granted(#[expect(dead_code, reason = "it is kept for its destructor")] Ready),
    /// The claim was dropped; when its turn comes, it is passed on at once.
    GivenUp,
}

impl Executor for Turn {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        let mut state = lock!(self.state);
        if matches!(*state, State::GivenUp) {
            return Err(ready);
        }
        *state = State::Granted(ready);
        self.changed.notify_all();
        Ok(())
    }
}

/// Takes a place in the queues of `cowns`, behind all that was scheduled over them before.
///
/// # Errors
///
/// [`DuplicateCown`] if a cown is named twice.
///
/// # Safety
///
/// All cowns are alive during the call.
pub unsafe fn claim(cowns: &[Access]) -> Result<Claim, DuplicateCown> {
    let turn = Arc::new(Turn { state: Mutex::new(State::Waiting), changed: Condvar::new() });
    let executor = ExecutorRef::from(Arc::clone(&turn));
    // SAFETY: passed on to the caller.
    unsafe { raw::when(&executor, cowns, (), |()| ())? };
    Ok(Claim { turn })
}

impl Claim {
    /// Waits until the cowns are held, or the deadline (none: forever) has passed. Says whether
    /// they are held.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        #[cfg(not(loom))]
        if let Some(granted) = crate::explore::wait(deadline.is_some(), &|| {
            matches!(*lock!(self.turn.state), State::Granted(_))
        }) {
            return granted;
        }
        let mut state = lock!(self.turn.state);
        while !matches!(*state, State::Granted(_)) {
            match wait_on(&self.turn.changed, state, deadline) {
                Ok(guard) => state = guard,
                Err(guard) => return matches!(*guard, State::Granted(_)),
            }
        }
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let state = core::mem::replace(&mut *lock!(self.turn.state), State::GivenUp);
        // Not under the lock: it releases the cowns, which may run anything.
        drop(state);
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
