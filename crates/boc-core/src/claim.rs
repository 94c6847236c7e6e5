//! Holding cowns from a thread that is not a behaviour.

use core::{
    fmt,
    task::{Context, Waker},
};
// Not that of the model checker, of which no waker can be made.
use std::{
    sync::{Arc, OnceLock},
    task::Wake,
    time::Instant,
};

use crate::{
    place::Place,
    raw::{Access, DuplicateCown},
    signal::Signal,
};

/// A place in the queues of some cowns, taken for a thread outside of all behaviours.
///
/// It is a behaviour that is never run: while the thread keeps it, the cowns are held. Dropping the
/// claim releases the cowns, or gives the place up if its turn has not come yet.
///
/// A thread that waits for a second claim while it holds a first one can deadlock, as with locks.
/// This exists for borders where a value has to come out; all else is better done by a behaviour.
pub struct Claim {
    place: Place,
    /// Set when the cowns are held, once somebody has waited for that.
    granted: OnceLock<Arc<Granted>>,
}

/// Wakes all threads that wait for a claim.
struct Granted(Signal);

impl Wake for Granted {
    fn wake(self: Arc<Self>) {
        self.0.set();
    }
}

/// Takes a place in the queues of `cowns`, behind all that was scheduled over them before.
///
/// # Errors
///
/// [`DuplicateCown`] if a cown is named twice, and not only to be read.
///
/// # Safety
///
/// All cowns are alive during the call.
pub unsafe fn claim(cowns: &[Access]) -> Result<Claim, DuplicateCown> {
    // SAFETY: passed on to the caller.
    let place = unsafe { Place::take(cowns)? };
    Ok(Claim { place, granted: OnceLock::new() })
}

impl Claim {
    /// Waits until the cowns are held, or the deadline (none: forever) has passed. Says whether
    /// they are held.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        self.place.is_held() || self.granted().0.wait(deadline)
    }

    fn granted(&self) -> &Granted {
        self.granted.get_or_init(|| {
            let granted = Arc::new(Granted(Signal::new()));
            let waker = Waker::from(Arc::clone(&granted));
            if self.place.poll(&mut Context::from_waker(&waker)) {
                granted.0.set();
            }
            granted
        })
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
