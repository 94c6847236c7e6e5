//! Scheduling: entering the queues of all cowns of a behaviour, in two phases.
//!
//! 1. The slots are ordered by the address of their cowns. That order is the same for everybody,
//!    whatever the order of the arguments.
//! 2. In that order each slot enters its cown's queue and links itself behind its predecessor, if
//!    there is one, waiting until that is published. Then all slots are published.
//!
//! Between its first `enqueue` and its `publish` a behaviour is a stretch of time that others
//! cannot pass on any cown they share with it (they spin behind its WAIT), and waiting follows the
//! order of the cowns, so it has no cycle. That gives scheduling atomicity: behaviours that share
//! several cowns stand in the same order in all their queues, hence no deadlock.

use alloc::vec::Vec;
use core::{cmp::Ordering, fmt, ptr::NonNull};

use crate::{
    behaviour::{self, Behaviour, SlotWriter},
    executor::{ExecutorRef, Seat},
    handle::Handle,
    outcome::{Outcome, State},
    raw::ResultCown,
    request::{Cursor, Request},
    slot::Slot,
};

/// A cown was named twice in one request.
///
/// A behaviour gets `&mut` to the value of each of its cowns, and there can be only one of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateCown;

impl fmt::Display for DuplicateCown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cown is named twice in one request: name each cown once")
    }
}

impl core::error::Error for DuplicateCown {}

impl ExecutorRef {
    /// Schedules `body` over the cowns of `request`: it runs once, on this executor, when it holds
    /// them all.
    ///
    /// Returns at once. Behaviours that share a cown run in the order in which they were scheduled.
    /// If the executor does not take behaviours any more, the handle says
    /// [`Failure::Cancelled`](crate::Failure::Cancelled).
    ///
    /// # Panics
    ///
    /// If a cown is named twice; see [`ExecutorRef::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&self, request: Q, body: F) -> Handle<R>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.try_when(request, body) {
            Ok(handle) => handle,
            Err(duplicate) => panic!("{duplicate}"),
        }
    }

    /// [`ExecutorRef::when`] for requests whose cowns are not known to be distinct.
    ///
    /// # Errors
    ///
    /// [`DuplicateCown`] if a cown is named twice. Nothing was scheduled, and `body` was dropped.
    pub fn try_when<Q, F, R>(&self, request: Q, body: F) -> Result<Handle<R>, DuplicateCown>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        let shape = request.shape();
        let work = move |slots: &[Slot], outcome: &mut Outcome<R>| {
            // SAFETY: the slots are those of this request's cowns, in its order, no cown twice, and
            // the behaviour holds them while it runs.
            let held = unsafe { Q::held(shape, &mut Cursor::new(slots)) };
            outcome.set(body(held));
        };
        let fill = |slots: &mut SlotWriter| {
            // SAFETY: the request refers to its cowns.
            request.each(&mut |cown| unsafe { slots.push(cown.0) });
        };
        spawn(self, request.count(), fill, Outcome::pending(), work).map(Handle::new)
    }
}

/// Makes a behaviour over `count` cowns, which `fill` names, and schedules it.
pub(crate) fn spawn<S, F>(
    executor: &ExecutorRef,
    count: usize,
    fill: impl FnOnce(&mut SlotWriter),
    state: S,
    work: F,
) -> Result<ResultCown<S>, DuplicateCown>
where
    S: State,
    F: FnOnce(&[Slot], &mut S) + Send + 'static,
{
    // Before the executor counts the behaviour in.
    assert!(count <= Behaviour::MAX_SLOTS, "too many cowns in one request");
    let Some(seat) = executor.begin() else {
        let behaviour = Behaviour::allocate(Seat::NOBODY, state, work, 0, |_| ());
        // SAFETY: it was just allocated, so the result is its own, and it is in no queue.
        return Ok(unsafe {
            let result = ResultCown::of(behaviour);
            behaviour::give_up(behaviour);
            result
        });
    };
    let behaviour = Behaviour::allocate(seat, state, work, count, fill);
    // SAFETY: as above; the slots stay in place until the behaviour has ended, which it cannot
    // before `acquire` publishes them.
    unsafe {
        let result = ResultCown::of(behaviour);
        match in_order(Behaviour::slots(behaviour), |ordered| acquire(behaviour, ordered)) {
            Ok(()) => Ok(result),
            Err(duplicate) => {
                behaviour::give_up(behaviour);
                Err(duplicate)
            }
        }
    }
}

/// Calls `f` with the slots ordered by their cowns, or finds a cown that is there twice.
///
/// # Safety
///
/// The slots are alive, at least until `f` is called.
unsafe fn in_order(
    slots: NonNull<[Slot]>,
    f: impl FnOnce(&[NonNull<Slot>]),
) -> Result<(), DuplicateCown> {
    /// Requests up to this size are ordered on the stack.
    const SMALL: usize = 8;
    // SAFETY: `index` is below the number of slots in all calls.
    let slot = |index: usize| unsafe { slots.cast::<Slot>().add(index) };
    // SAFETY: the slots are alive.
    let cown = |slot: &NonNull<Slot>| unsafe { slot.as_ref() }.cown;
    match slots.len() {
        0 => f(&[]),
        1 => f(&[slot(0)]),
        2 => match cown(&slot(0)).cmp(&cown(&slot(1))) {
            Ordering::Less => f(&[slot(0), slot(1)]),
            Ordering::Greater => f(&[slot(1), slot(0)]),
            Ordering::Equal => return Err(DuplicateCown),
        },
        count => {
            let (mut small, mut large) = ([slot(0); SMALL], Vec::new());
            let ordered = if count <= SMALL {
                (0..count).for_each(|index| small[index] = slot(index));
                &mut small[..count]
            } else {
                large.extend((0..count).map(slot));
                &mut large[..]
            };
            ordered.sort_unstable_by_key(cown);
            if ordered.windows(2).any(|pair| cown(&pair[0]) == cown(&pair[1])) {
                return Err(DuplicateCown);
            }
            f(ordered);
        }
    }
    Ok(())
}

/// Enters the queues, and starts the behaviour if nothing was in its way.
///
/// # Safety
///
/// The behaviour is new, and `ordered` are its slots, in the order of their cowns, none twice.
unsafe fn acquire(behaviour: NonNull<Behaviour>, ordered: &[NonNull<Slot>]) {
    // The extra one, which kept the behaviour from starting before all its slots are published.
    let mut obtained = 1;
    for slot in ordered {
        // SAFETY: each slot enters its queue once; the predecessor that comes out is linked once.
        unsafe {
            match Slot::enqueue(*slot) {
                None => obtained += 1,
                Some(predecessor) => Slot::link(predecessor, behaviour),
            }
        }
    }
    for slot in ordered {
        // SAFETY: the behaviour has not started, because of the extra one, so its slots are alive.
        unsafe { slot.as_ref() }.publish();
    }
    // SAFETY: `obtained` cowns were free, and now belong to the behaviour. Once the answer is
    // `true`, it is ours to start.
    unsafe {
        if Behaviour::resolve(behaviour, obtained) {
            behaviour::start(behaviour);
        }
    }
}
