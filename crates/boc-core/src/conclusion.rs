//! The end of a behaviour: its cowns go to those behind it, its result to those who wait for it.

use alloc::vec::Vec;
use core::ptr::NonNull;

use crate::{
    behaviour::{Behaviour, CANCELLED, COUNT, Next, Pending, Promise, STARTED},
    burial,
    cown::Header,
    executor::{Ready, Seat},
    outcome::{self, swallow},
    row::Row,
    schedule,
    slot::{self, Mode, Slot, Successor},
    sync::atomic::Ordering::{AcqRel, Relaxed},
};

/// Releases what a behaviour holds, after it ran or was cancelled, and gives it up.
///
/// # Safety
///
/// The caller owns the behaviour, whose closure is gone.
#[inline]
pub(crate) unsafe fn conclude(behaviour: NonNull<Behaviour>) {
    let mut refused = Refused(None);
    // SAFETY: passed on to the caller.
    unsafe {
        release_all(behaviour, &mut refused);
        conclude_all(refused);
    }
}

/// Concludes behaviours. Successors that become ready go to their executors; one that its executor
/// refuses is concluded in turn, in a loop: a long queue behind a stopped runtime takes no deep stack.
///
/// # Safety
///
/// As for [`conclude`].
#[inline]
unsafe fn conclude_all(refused: Refused) {
    if refused.0.is_some() {
        // SAFETY: passed on to the caller.
        unsafe { conclude_each(refused) };
    }
}

/// # Safety
///
/// As for [`conclude`].
#[cold]
unsafe fn conclude_each(mut refused: Refused) {
    // Who is told of their end is told where it must not wait, whatever thread this is.
    outcome::as_behaviour(|| {
        while let Some(current) = refused.pop() {
            // SAFETY: owned by the caller, or by this loop if it was refused.
            unsafe { release_all(current, &mut refused) };
        }
    });
}

/// Releases what a behaviour holds, and gives it up. Adds what is to be concluded by that.
///
/// # Safety
///
/// As for [`conclude`].
#[inline]
unsafe fn release_all(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: the behaviour is the caller's. Each slot is released once, while the behaviour holds its
    // cown. That is alive by the reference of its queue or of its readers, and where the release leaves
    // this to the behaviour, up to the end.
    unsafe {
        // What most behaviours have, and then the rest.
        match Behaviour::slots(behaviour).as_ref() {
            [] => (),
            [slot] if slot.is_writer() => release_writer(slot, refused),
            [a, b] if a.is_writer() && b.is_writer() => release_two(a, b, refused),
            slots => release_each(slots, refused),
        }
        end(behaviour, refused);
    }
}

/// [`release_each`] for a slot that writes.
///
/// # Safety
///
/// As for [`conclude`].
#[inline]
unsafe fn release_writer(slot: &Slot, refused: &mut Refused) {
    // SAFETY: passed on to the caller.
    unsafe {
        match slot.release_writer() {
            Some(next) => hand_over(next, refused),
            None => drop_references(slot.cown(), 1),
        }
    }
}

/// [`release_each`] for two slots that write.
///
/// # Safety
///
/// As for [`conclude`].
#[inline(never)]
unsafe fn release_two(a: &Slot, b: &Slot, refused: &mut Refused) {
    // SAFETY: passed on to the caller.
    unsafe {
        match a.release_writer() {
            Some(next) => {
                hand_over(next, refused);
                release_writer(b, refused);
            }
            None => {
                release_writer(b, refused);
                drop_references(a.cown(), 1);
            }
        }
    }
}

/// Releases what a behaviour holds by these slots.
///
/// # Safety
///
/// As for [`conclude`].
#[inline(never)]
unsafe fn release_each(slots: &[Slot], refused: &mut Refused) {
    let slots = || slots.iter().filter(|slot| !slot.is_merged());
    // SAFETY: as in `release_all`.
    unsafe {
        for slot in slots() {
            release(slot, refused);
        }
        // Only now, since the end of a value may take long.
        for slot in slots() {
            drop_references(slot.cown(), slot.references());
        }
    }
}

/// What comes after the call of a closure.
///
/// # Safety
///
/// `next` is what [`Behaviour::invoke`] has just said.
#[inline]
pub(crate) unsafe fn go_on(behaviour: NonNull<Behaviour>, next: Next) {
    // SAFETY: passed on to the caller.
    unsafe {
        match next {
            Next::Conclude => conclude(behaviour),
            Next::Again => again(behaviour),
            Next::Nothing => (),
        }
    }
}

/// Releases what a behaviour holds, and schedules it again, behind all that waits by now.
///
/// # Safety
///
/// The caller owns the behaviour, whose closure is still there.
#[inline(never)]
unsafe fn again(behaviour: NonNull<Behaviour>) {
    /// So many cowns are remembered without an allocation.
    const FEW: usize = 8;
    let mut refused = Refused(None);
    // SAFETY: as in `conclude_all`; the reference that is taken first keeps a cown until its slot has
    // entered the queue anew. Between release and reset the slots are in no queue, and only the
    // owner's.
    unsafe {
        let slots = Behaviour::slots(behaviour).as_ref();
        let (mut few, mut many) = ([NonNull::dangling(); FEW], Vec::new());
        let cowns = if slots.len() <= FEW {
            &mut few[..slots.len()]
        } else {
            many.resize(slots.len(), NonNull::dangling());
            &mut many[..]
        };
        for (slot, cown) in slots.iter().zip(&mut *cowns) {
            *cown = slot.cown();
            cown.as_ref().retain();
            if !slot.is_merged() {
                release(slot, &mut refused);
                drop_references(*cown, slot.references());
            }
            slot.reset();
        }
        conclude_all(refused);
        schedule::reschedule(behaviour);
        cowns.iter().for_each(|cown| drop_references(*cown, 1));
    }
}

/// Gives up a behaviour that has entered no queue: drops its closure uncalled, and tells its state, unless
/// somebody has cancelled it.
///
/// # Safety
///
/// The caller owns the behaviour.
pub(crate) unsafe fn give_up(behaviour: NonNull<Behaviour>) {
    // SAFETY: the slots are in no queue, so they are the caller's, and there is nothing to release.
    unsafe {
        let slots = Behaviour::slots(behaviour).as_ref();
        slots.iter().for_each(Slot::merge);
        // All that it waits for: its slots, and the extra one.
        let pending = Behaviour::resolve(behaviour, slots.len() as u32 + 1);
        outcome::as_behaviour(|| match pending {
            // For who cancels it.
            Pending::Others => (),
            Pending::Nothing if !Behaviour::abandon(behaviour) => (),
            Pending::Nothing | Pending::Conclusion => conclude(behaviour),
        });
    }
}

/// Cancels a behaviour, unless its closure was called or dropped before; says whether it did.
///
/// The closure is dropped and the result is released at once. The places in the queues of its cowns
/// are given up when it is their turn.
///
/// # Safety
///
/// The caller has a reference to the behaviour's result.
pub(crate) unsafe fn cancel(behaviour: NonNull<Behaviour>) -> bool {
    // SAFETY: the caller's reference keeps the behaviour alive.
    let head = unsafe { behaviour.as_ref() };
    // One for this thread, so that the behaviour is not concluded before it is through; and if the
    // behaviour waits for nothing any more, one for who has it as a `Ready`.
    let mark = |pending: u32| {
        let shares = if pending & COUNT == 0 { 2 } else { 1 };
        (pending & (STARTED | CANCELLED) == 0).then(|| (pending | CANCELLED) + shares)
    };
    // Release: pairs with the Acquire of who comes too late, for the closure that is gone then (as
    // does the Release in `resolve` below). Acquire: the closure may come from another thread.
    if head.pending.fetch_update(AcqRel, Relaxed, mark).is_err() {
        return false;
    }
    let mut refused = Refused(None);
    // SAFETY: the mark gives this thread the closure, and the state, which belongs to who holds the
    // result. The share that was added is taken away once.
    unsafe {
        outcome::as_behaviour(|| {
            Behaviour::drop_closure(behaviour);
            release_result(behaviour, &mut refused);
            if Behaviour::resolve(behaviour, 1).is_over() {
                refused.push(behaviour);
            }
            conclude_all(refused);
        });
    }
    true
}

/// The last part of a behaviour's life: the result is released, the waiting are told, the reference
/// of the run goes.
///
/// # Safety
///
/// The caller owns the behaviour, which has released its cowns, and gives it up.
#[inline]
unsafe fn end(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: alive by the reference of the run, which is given up last; without a result there are
    // no references, and nobody else has it.
    unsafe {
        let executor = behaviour.as_ref().executor;
        if let Some((promise, result)) = Behaviour::promise(behaviour) {
            end_of_result(behaviour, promise, result, refused);
        } else {
            Behaviour::free(behaviour);
        }
        // After all else, so that a quiescent executor has dropped what its behaviours referred to.
        executor.end();
    }
}

/// # Safety
///
/// As for [`end`]; the promise and the result are those of the behaviour.
#[inline(never)]
unsafe fn end_of_result(
    behaviour: NonNull<Behaviour>,
    promise: NonNull<Promise>,
    result: NonNull<Header>,
    refused: &mut Refused,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        // Without a handle there can still be somebody who was scheduled over the result before
        // the handle went, or a callback.
        let unknown = result.as_ref().is_only_reference(1)
            && promise.as_ref().own.is_last(result.as_ref())
            && !promise.as_ref().completion.is_awaited();
        if !unknown && !behaviour.as_ref().was_cancelled() {
            release_result(behaviour, refused);
        }
        drop_references(result, 1);
    }
}

/// The outcome is there: hands the result over to who is scheduled over it, and tells who waits.
///
/// # Safety
///
/// The caller acts for the behaviour, which holds its result, and has a reference to it; called once.
unsafe fn release_result(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: passed on to the caller.
    unsafe {
        let Some((promise, result)) = Behaviour::promise(behaviour) else { return };
        let (promise, result) = (promise.as_ref(), result.as_ref());
        let next = promise.own.leave(result);
        // Before the others go on: to them the behaviour has ended.
        promise.completion.complete();
        if let Some(next) = next {
            // For the queue, which is not empty; up to now the run's reference was there.
            result.retain();
            hand_over(next, refused);
        }
    }
}

/// Gives up references to a cown. A value whose destructor panics must not keep what comes next
/// from being done.
///
/// # Safety
///
/// The caller owns so many references, and does not use them afterwards.
#[inline]
pub(crate) unsafe fn drop_references(cown: NonNull<Header>, count: u32) {
    // SAFETY: passed on to the caller; these were the last references.
    unsafe {
        if count > 0 && Header::give_back(cown, count) {
            destroy(cown);
        }
    }
}

/// # Safety
///
/// As for [`burial::destroy`].
#[inline(never)]
unsafe fn destroy(cown: NonNull<Header>) {
    // SAFETY: passed on to the caller.
    swallow(|| unsafe { burial::destroy(cown) });
}

/// Leaves the queue of a cown, and hands that over to who comes next.
///
/// # Safety
///
/// The slot's behaviour is the caller's, and holds the cown; called once for each slot that was not
/// merged.
#[inline]
unsafe fn release(slot: &Slot, refused: &mut Refused) {
    // SAFETY: passed on to the caller. Who holds the cown now is resolved once.
    unsafe {
        if slot.mode() == Mode::Write {
            if let Some(next) = slot.release_writer() {
                hand_over(next, refused);
            }
        } else if let Some(writer) = slot.release_reader() {
            resolve(writer, refused);
        }
    }
}

/// Hands a cown over that was held to write.
///
/// # Safety
///
/// The caller held the cown, and gives it up.
#[inline]
unsafe fn hand_over(next: Successor, refused: &mut Refused) {
    // SAFETY: passed on to the caller.
    unsafe {
        if next.reads() {
            resolve_readers(next.slot(), refused);
        } else {
            resolve(next.slot(), refused);
        }
    }
}

/// A behaviour has come to hold a cown. If it waited for nothing else, its executor gets it.
///
/// # Safety
///
/// The slot has not been resolved.
#[inline]
unsafe fn resolve(slot: NonNull<Slot>, refused: &mut Refused) {
    // SAFETY: the behaviour lacked a cown up to now, so it is alive; if it lacks none any more it
    // belongs to who resolved it.
    unsafe {
        let behaviour = slot.as_ref().behaviour();
        hand_on(behaviour, Behaviour::resolve(behaviour, 1), refused);
    }
}

/// Hands a behaviour on that may have become ready.
///
/// # Safety
///
/// The caller has just learned what the behaviour waits for.
#[inline]
unsafe fn hand_on(behaviour: NonNull<Behaviour>, pending: Pending, refused: &mut Refused) {
    // SAFETY: if it waits for nothing it is the caller's.
    unsafe {
        match pending {
            Pending::Others => (),
            Pending::Nothing => dispatch(behaviour, refused),
            Pending::Conclusion => refused.push(behaviour),
        }
    }
}

/// [`resolve`] for the readers that stand in a row from here.
///
/// # Safety
///
/// As for [`slot::admit_readers`].
#[inline(never)]
unsafe fn resolve_readers(first: NonNull<Slot>, refused: &mut Refused) {
    // SAFETY: as in `resolve`.
    unsafe {
        let behaviours = slot::admit_readers(first).map(|slot| slot.as_ref().behaviour());
        dispatch_all(
            behaviours.map(|behaviour| (behaviour, Behaviour::resolve(behaviour, 1))),
            refused,
        );
    }
}

/// [`hand_on`] for several behaviours, which their executor gets together if they have the same.
///
/// # Safety
///
/// As for [`hand_on`], of each as the caller gives it.
unsafe fn dispatch_all(
    behaviours: impl Iterator<Item = (NonNull<Behaviour>, Pending)>,
    refused: &mut Refused,
) {
    let mut together = Together { row: Row::new(), seat: Seat::nobody() };
    // SAFETY: passed on to the caller.
    behaviours.for_each(|(behaviour, pending)| unsafe {
        match pending {
            Pending::Others => (),
            Pending::Nothing => together.add(behaviour, refused),
            Pending::Conclusion => refused.push(behaviour),
        }
    });
    together.dispatch(refused);
}

/// Behaviours that have become ready one after the other, for the same executor.
struct Together {
    row: Row,
    /// That of all in the row.
    seat: Seat,
}

impl Together {
    /// Adds a behaviour that holds all its cowns. Hands over those before it if they have another
    /// executor.
    ///
    /// # Safety
    ///
    /// The caller owns the behaviour.
    unsafe fn add(&mut self, behaviour: NonNull<Behaviour>, refused: &mut Refused) {
        // SAFETY: passed on to the caller.
        unsafe {
            let seat = behaviour.as_ref().executor;
            if seat != self.seat {
                self.dispatch(refused);
                self.seat = seat;
            }
            self.row.push(Ready::new(behaviour));
        }
    }

    /// Hands the behaviours to their executor; see [`dispatch`].
    fn dispatch(&mut self, refused: &mut Refused) {
        if self.row.is_empty() {
            return;
        }
        let row = core::mem::replace(&mut self.row, Row::new());
        // SAFETY: all of them have this seat.
        let mut given_back = unsafe { self.seat.execute_all(row) };
        while let Some(ready) = given_back.pop() {
            refused.take_back(ready);
        }
    }
}

/// Hands a behaviour that holds all its cowns to its executor. If that refuses, there is nothing left
/// but to conclude it.
///
/// # Safety
///
/// The caller owns the behaviour.
#[inline]
unsafe fn dispatch(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: the caller owns the behaviour; the seat is copied out because the behaviour may be
    // gone when `execute` returns.
    unsafe {
        let seat = behaviour.as_ref().executor;
        if let Err(ready) = seat.execute(Ready::new(behaviour)) {
            refused.take_back(ready);
        }
    }
}

/// Starts behaviours that may have obtained all their cowns by what this thread has just done.
///
/// # Safety
///
/// As for [`dispatch_all`].
pub(crate) unsafe fn start_all(behaviours: impl Iterator<Item = (NonNull<Behaviour>, Pending)>) {
    let mut refused = Refused(None);
    // SAFETY: passed on to the caller.
    unsafe {
        dispatch_all(behaviours, &mut refused);
        conclude_all(refused);
    }
}

/// [`start_all`] for one behaviour.
///
/// # Safety
///
/// As for [`hand_on`].
// A call, which costs those less that have nothing to start.
#[inline(never)]
pub(crate) unsafe fn start(behaviour: NonNull<Behaviour>, pending: Pending) {
    // SAFETY: passed on to the caller.
    unsafe { start_here(behaviour, pending) };
}

/// [`start`], without a call.
///
/// # Safety
///
/// As for [`hand_on`].
#[inline(always)]
pub(crate) unsafe fn start_here(behaviour: NonNull<Behaviour>, pending: Pending) {
    let mut refused = Refused(None);
    // SAFETY: passed on to the caller.
    unsafe {
        hand_on(behaviour, pending, &mut refused);
        conclude_all(refused);
    }
}

/// A list of behaviours that are to be concluded, linked through themselves.
struct Refused(Option<NonNull<Behaviour>>);

impl Refused {
    /// # Safety
    ///
    /// The caller owns the behaviour and gives it to the list.
    unsafe fn push(&mut self, behaviour: NonNull<Behaviour>) {
        // SAFETY: owned, so nobody else uses the link.
        unsafe { behaviour.as_ref() }.link.set(self.0.map(NonNull::cast));
        self.0 = Some(behaviour);
    }

    /// Takes a behaviour that its executor does not run.
    #[cold]
    fn take_back(&mut self, ready: Ready) {
        let behaviour = ready.into_inner();
        // SAFETY: the `Ready` owned the behaviour.
        unsafe {
            if outcome::as_behaviour(|| Behaviour::abandon(behaviour)) {
                self.push(behaviour);
            }
        }
    }

    fn pop(&mut self) -> Option<NonNull<Behaviour>> {
        let behaviour = self.0?;
        // SAFETY: the list owns its behaviours; the link was set by `push`.
        self.0 = unsafe { behaviour.as_ref() }.link.take().map(NonNull::cast);
        Some(behaviour)
    }
}
