//! The end of a behaviour: its cowns go to those behind it, its result to those who wait for it.

use alloc::vec::Vec;
use core::ptr::NonNull;

use crate::{
    behaviour::{Behaviour, CANCELLED, COUNT, Next, STARTED},
    cown::Header,
    executor::{Ready, Seat},
    outcome::{self, swallow},
    row::Row,
    schedule,
    slot::{self, Handed, Mode, Slot},
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed},
};

/// Releases what a behaviour holds, after it ran or was cancelled, and gives it up.
///
/// # Safety
///
/// The caller owns the behaviour, whose closure is gone.
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
unsafe fn conclude_all(mut refused: Refused) {
    if refused.0.is_none() {
        return;
    }
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
    // this to the behaviour, up to the second loop.
    unsafe {
        let slots = Behaviour::slots(behaviour).as_ref();
        let slots = || slots.iter().filter(|slot| !slot.is_merged());
        for slot in slots() {
            resolve(Slot::release(NonNull::from(slot)), refused);
        }
        // Only now, since the end of a value may take long.
        for slot in slots() {
            drop_references(slot.cown(), slot.references());
        }
        end(behaviour, refused);
    }
}

/// What comes after the call of a closure.
///
/// # Safety
///
/// `next` is what [`Behaviour::invoke`] has just said.
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
                resolve(Slot::release(NonNull::from(slot)), &mut refused);
                drop_references(*cown, slot.references());
            }
            slot.reset();
        }
        conclude_all(refused);
        schedule::reschedule(behaviour);
        cowns.iter().for_each(|cown| drop_references(*cown, 1));
    }
}

/// Gives up a behaviour that has entered no queue: drops its closure uncalled, and tells its state.
///
/// # Safety
///
/// The caller owns the behaviour, of which there is no handle yet.
pub(crate) unsafe fn give_up(behaviour: NonNull<Behaviour>) {
    // SAFETY: the slots are in no queue, so they are the caller's, and there is nothing to release.
    // Nobody else can take the closure.
    unsafe {
        Behaviour::slots(behaviour).as_ref().iter().for_each(Slot::merge);
        // For who has a handle afterwards. Relaxed: comes by it after this.
        behaviour.as_ref().pending.store(STARTED, Relaxed);
        outcome::as_behaviour(|| {
            Behaviour::drop_closure(behaviour);
            conclude(behaviour);
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
            if Behaviour::resolve(behaviour, 1) {
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
unsafe fn end(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: alive by the reference of the run, which is given up last; without a result there are
    // no references, and nobody else has it.
    unsafe {
        let head = behaviour.as_ref();
        let executor = head.executor;
        if let Some((promise, result)) = Behaviour::promise(behaviour) {
            // Without a handle there can still be somebody who was scheduled over the result before
            // the handle went, or a callback.
            let unknown = result.as_ref().is_only_reference(1)
                && promise.as_ref().own.is_last(result.as_ref())
                && !promise.as_ref().completion.is_awaited();
            if !unknown && !head.was_cancelled() {
                release_result(behaviour, refused);
            }
            drop_references(result, 1);
        } else {
            Behaviour::free(behaviour);
        }
        // After all else, so that a quiescent executor has dropped what its behaviours referred to.
        executor.end();
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
        let next = promise.own.leave(Mode::Write, result);
        // Before the others go on: to them the behaviour has ended.
        promise.completion.complete();
        if let Some(next) = next {
            // For the queue, which is not empty; up to now the run's reference was there.
            result.retain();
            resolve(Some(slot::hand_over(next)), refused);
        }
    }
}

/// Gives up references to a cown. A value whose destructor panics must not keep what comes next
/// from being done.
///
/// # Safety
///
/// The caller owns so many references, and does not use them afterwards.
pub(crate) unsafe fn drop_references(cown: NonNull<Header>, count: u32) {
    if count > 0 {
        // SAFETY: passed on to the caller.
        swallow(|| unsafe { Header::release(cown, count) });
    }
}

/// A cown was handed over. Hands behaviours to their executors that waited for nothing else.
///
/// # Safety
///
/// The slots have not been resolved.
#[inline]
unsafe fn resolve(handed: Option<Handed>, refused: &mut Refused) {
    // SAFETY: the behaviour lacked a cown up to now, so it is alive; if it lacks none any more it
    // belongs to who resolved it.
    unsafe {
        match handed {
            None => (),
            Some(Handed::Writer(slot)) => {
                let behaviour = slot.as_ref().behaviour();
                if Behaviour::resolve(behaviour, 1) {
                    dispatch(behaviour, refused);
                }
            }
            Some(Handed::Readers(row)) => {
                let behaviours = row.map(|slot| slot.as_ref().behaviour());
                let is_ready = |behaviour: &NonNull<_>| Behaviour::resolve(*behaviour, 1);
                dispatch_all(behaviours.filter(is_ready), refused);
            }
        }
    }
}

/// [`dispatch`] for several behaviours, which their executor gets together if they have the same.
///
/// # Safety
///
/// The caller owns the behaviours as it gives them.
#[inline(never)]
unsafe fn dispatch_all(
    behaviours: impl Iterator<Item = NonNull<Behaviour>>,
    refused: &mut Refused,
) {
    let mut together = Together { row: Row::new(), seat: Seat::nobody() };
    // SAFETY: passed on to the caller.
    behaviours.for_each(|behaviour| unsafe { together.add(behaviour, refused) });
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
            if let_go_if_cancelled(behaviour, refused) {
                return;
            }
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

/// Lets a behaviour that holds all its cowns go if it was cancelled, and says whether it was. It is
/// concluded with the others that are `refused`, or by who cancels it if that is not through yet.
///
/// # Safety
///
/// The caller owns the behaviour, and gives it up if the answer is `true`.
#[inline]
unsafe fn let_go_if_cancelled(behaviour: NonNull<Behaviour>, refused: &mut Refused) -> bool {
    // SAFETY: passed on to the caller. Who cancels after the last cown was there has added a share for
    // who has the behaviour ready, which is this thread.
    unsafe {
        // Acquire: pairs with `cancel`, for the closure that is gone if that is through.
        let pending = behaviour.as_ref().pending.load(Acquire);
        if pending & CANCELLED == 0 {
            return false;
        }
        if pending & COUNT == 0 || Behaviour::resolve(behaviour, 1) {
            refused.push(behaviour);
        }
        true
    }
}

/// Hands a behaviour that holds all its cowns to its executor. If that refuses, or the behaviour was
/// cancelled, there is nothing left but to conclude it.
///
/// # Safety
///
/// The caller owns the behaviour.
unsafe fn dispatch(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: the caller owns the behaviour; the seat is copied out because the behaviour may be
    // gone when `execute` returns.
    unsafe {
        if let_go_if_cancelled(behaviour, refused) {
            return;
        }
        let executor = behaviour.as_ref().executor;
        if let Err(ready) = executor.execute(Ready::new(behaviour)) {
            refused.take_back(ready);
        }
    }
}

/// Starts behaviours that hold all their cowns, on the thread that has just obtained the last ones.
///
/// # Safety
///
/// As for [`dispatch`].
pub(crate) unsafe fn start_all(behaviours: impl Iterator<Item = NonNull<Behaviour>>) {
    let mut refused = Refused(None);
    // SAFETY: passed on to the caller.
    unsafe {
        dispatch_all(behaviours, &mut refused);
        conclude_all(refused);
    }
}

/// Starts a behaviour that holds all its cowns, on the thread that has just obtained the last one.
///
/// # Safety
///
/// As for [`dispatch`].
pub(crate) unsafe fn start(behaviour: NonNull<Behaviour>) {
    let mut refused = Refused(None);
    // SAFETY: passed on to the caller.
    unsafe {
        dispatch(behaviour, &mut refused);
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
