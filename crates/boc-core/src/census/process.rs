//! The census of the process.

use core::{cell::Cell, ptr};

use super::list::{Census, Tally};
use crate::sync;

static CENSUS: Census = Census::new();

sync::local! {
    /// This thread's tally. Without a destructor, so that it is cheap, and there to the very end.
    static MINE: Cell<*const Tally> = Cell::new(ptr::null());
    /// Gives it back.
    static MEMBERSHIP: Membership = Membership;
}

struct Membership;

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(tally) = mine() {
            let _ = MINE.try_with(|mine| mine.set(ptr::null()));
            tally.leave();
        }
    }
}

fn mine() -> Option<&'static Tally> {
    let mine = MINE.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: the tallies of a static census stay for ever.
    unsafe { mine.as_ref() }
}

pub(crate) fn make() {
    match mine() {
        Some(tally) => tally.make(),
        None => join(Tally::make),
    }
}

pub(crate) fn destroy() {
    match mine() {
        Some(tally) => tally.destroy(),
        None => join(Tally::destroy),
    }
}

/// Gets a tally for this thread, and counts something.
#[cold]
fn join(count: fn(&Tally)) {
    let tally = CENSUS.join();
    count(tally);
    let remembered = MEMBERSHIP.try_with(|_| MINE.try_with(|mine| mine.set(tally)));
    if !matches!(remembered, Ok(Ok(()))) {
        // The thread is just ending, so nobody would give it back later.
        tally.leave();
    }
}

/// How many cowns made by [`Cown::new`](crate::Cown::new) have not been destroyed, in the whole
/// process: cowns belong to no runtime.
///
/// A cown is destroyed when its last handle goes and no behaviour needs it any more, also if there
/// are weak references to it. The outcomes of behaviours, which are cowns, too, are not counted.
///
/// It can be called on any thread at any time. Cowns that other threads make or destroy meanwhile
/// may be counted or not; where nothing of that goes on it is exact.
///
/// ```
/// use boc_core::{Cown, live_cowns};
///
/// let before = live_cowns();
/// let cown = Cown::new(1);
/// let other = cown.clone();
/// assert_eq!(live_cowns(), before + 1);
/// drop((cown, other));
/// assert_eq!(live_cowns(), before);
/// ```
pub fn live_cowns() -> usize {
    CENSUS.alive()
}
