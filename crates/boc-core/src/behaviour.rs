//! Behaviours: one allocation that holds a closure, its places in the queues of its cowns, and the
//! cown of its result, if anybody can ask for that.
//!
//! ```text
//! ┌────────────────────────── Frame<P, F> ──────────────────────────┐
//! │ head: Behaviour           │ part: P             │ work: F       │ slots: [Slot; n]
//! │ link, pending, executor   │ Promised or nothing │ until it ran  │
//! └───────────────────────────┴─────────────────────┴───────────────┘
//! ```
//!
//! # Life
//!
//! 1. [`Behaviour::allocate`] makes it. `pending` is one more than the number of slots. Its result, if
//!    it has one, has two references: one for the caller's handle, one for the run.
//! 2. [`crate::schedule`] enters the queues of its cowns and takes from `pending` what was free,
//!    and the extra one. Each release by a predecessor takes one ([`Behaviour::resolve`]). Who
//!    takes the last one owns the behaviour exclusively, and hands it to its executor as a
//!    [`Ready`](crate::Ready).
//! 3. [`Ready::run`](crate::Ready::run) calls the closure, or dropping the `Ready` drops the closure
//!    uncalled; either way the state S learns the outcome.
//! 4. [`crate::conclusion`] releases the cowns, tells who waits for the completion, tells the executor, and
//!    gives up the reference of the run. The memory goes with the last reference to the result.

use core::{
    alloc::Layout,
    any::TypeId,
    cell::UnsafeCell,
    mem::{ManuallyDrop, offset_of},
    ptr::NonNull,
};

use crate::{
    completion::Completion,
    cown::{self, Header},
    executor::Seat,
    memory,
    mpsc::Link,
    outcome::{State, contain, swallow},
    slot::{Mode, Slot, Status},
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
    work::Work,
};

/// What every behaviour has, whatever its closure and result.
#[repr(C)]
pub(crate) struct Behaviour {
    /// For the queue of an executor, or the list in [`crate::conclusion`]. Belongs to who owns the
    /// `Ready`.
    pub(crate) link: Link,
    /// In the bits of [`COUNT`] how many of the slots are not held yet; one too high until all of
    /// them are published, so that no predecessor's release can start the behaviour before (not for one that
    /// writes alone, which is published before it can be released to). In the others, how far it has come.
    pub(crate) pending: AtomicU32,
    slot_count: u32,
    vtable: &'static VTable,
    pub(crate) executor: Seat,
}

/// The part of a behaviour that has a result.
#[repr(C)]
pub(crate) struct Promised<S> {
    promise: Promise,
    body: cown::Body<S>,
}

/// What every result has, whatever its state.
#[repr(C)]
pub(crate) struct Promise {
    /// Who wants to know when the behaviour has ended.
    pub(crate) completion: Completion,
    /// The behaviour's place in the queue of its own result, which it holds from the start.
    pub(crate) own: Status,
}

/// The part of a behaviour without a result: only its panic is reported.
pub(crate) struct Detached;

/// What a behaviour has apart from its closure and its slots.
pub(crate) trait Part: Send + 'static {
    type State: State;
    /// Where [`Promise`] and the header of the result are, in bytes from the start of the part.
    const PROMISE: Option<(usize, usize)>;

    /// Makes the part, at its place in memory.
    ///
    /// # Safety
    ///
    /// `this` points to memory for the part.
    unsafe fn write(this: *mut Self, state: Self::State, vtable: &'static cown::VTable);

    /// Where the state is.
    ///
    /// # Safety
    ///
    /// `this` points to a part.
    unsafe fn state(this: *mut Self) -> *mut Self::State;
}

impl<S: State> Part for Promised<S> {
    type State = S;
    const PROMISE: Option<(usize, usize)> =
        Some((offset_of!(Self, promise), offset_of!(Self, body)));

    unsafe fn write(this: *mut Self, state: S, vtable: &'static cown::VTable) {
        // SAFETY: passed on to the caller.
        unsafe {
            let own = &raw mut (*this).promise.own;
            let promise = Promise { completion: Completion::new(), own: Status::holding() };
            (&raw mut (*this).promise).write(promise);
            // One reference for the caller, one for the run.
            let header = Header::new(own, 2, vtable);
            (&raw mut (*this).body).write(cown::Body { header, value: UnsafeCell::new(state) });
        }
    }

    unsafe fn state(this: *mut Self) -> *mut S {
        // SAFETY: passed on to the caller.
        unsafe { (*this).body.value.get() }
    }
}

impl Part for Detached {
    type State = ();
    const PROMISE: Option<(usize, usize)> = None;

    unsafe fn write(_: *mut Self, (): (), _: &'static cown::VTable) {}

    unsafe fn state(_: *mut Self) -> *mut () {
        NonNull::dangling().as_ptr()
    }
}

/// In [`Behaviour::pending`]: what the behaviour still waits for.
pub(crate) const COUNT: u32 = STARTED - 1;
/// The closure was taken out to be called, or to be dropped by the executor. Not set if there is no
/// result, and so nobody who could look.
pub(crate) const STARTED: u32 = 1 << 30;
/// The closure was taken out by [`crate::conclusion::cancel`], which has told those who wait for the result.
pub(crate) const CANCELLED: u32 = 1 << 31;

/// What depends on the types of closure and state.
struct VTable {
    /// Where the slots start, in bytes from the start of the behaviour.
    slots: usize,
    /// Where the promise and the header of the result are, likewise.
    promise: Option<(usize, usize)>,
    /// Calls the closure. Says whether it is to be called again; if not, it is gone.
    invoke: unsafe fn(NonNull<Behaviour>) -> bool,
    /// Drops the closure uncalled.
    cancel: unsafe fn(NonNull<Behaviour>),
    /// Frees the memory, of which closure and state are gone.
    free: unsafe fn(NonNull<Behaviour>),
}

#[repr(C)]
struct Frame<P, F> {
    head: Behaviour,
    part: P,
    /// Taken out by `invoke`, when that says that it is over, or by `cancel`.
    work: UnsafeCell<ManuallyDrop<F>>,
}

/// Where the result of a behaviour lies, in bytes from its start. Does not depend on the closure.
pub(crate) const fn result_offset<S>() -> usize {
    offset_of!(Frame<Promised<S>, ()>, part) + offset_of!(Promised<S>, body)
}

/// Where the promise of a behaviour lies, likewise.
pub(crate) const fn promise_offset<S>() -> usize {
    offset_of!(Frame<Promised<S>, ()>, part) + offset_of!(Promised<S>, promise)
}

impl<P: Part, F: Work<P::State>> Frame<P, F> {
    const VTABLE: VTable = VTable {
        slots: Self::SLOTS,
        promise: match P::PROMISE {
            Some((promise, result)) => {
                let part = offset_of!(Self, part);
                Some((part + promise, part + result))
            }
            None => None,
        },
        invoke: Self::invoke,
        cancel: Self::cancel,
        free: Self::free,
    };

    const RESULT: cown::VTable = cown::VTable {
        drop_value: Self::drop_state,
        free: Self::free_by_result,
        type_id: TypeId::of::<P::State>,
        is_result: true,
    };

    /// Where the slots start.
    const SLOTS: usize = size_of::<Self>().next_multiple_of(align_of::<Slot>());

    /// The layout of a behaviour with so many slots, which are [`Behaviour::MAX_SLOTS`] at the most.
    #[inline]
    const fn layout(slots: usize) -> Layout {
        let align = if align_of::<Self>() > align_of::<Slot>() {
            align_of::<Self>()
        } else {
            align_of::<Slot>()
        };
        // So many slots do not overflow it.
        match Layout::from_size_align(Self::SLOTS + slots * size_of::<Slot>(), align) {
            Ok(layout) => layout,
            Err(_) => panic!("too many cowns"),
        }
    }

    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    unsafe fn invoke(behaviour: NonNull<Behaviour>) -> bool {
        let frame = behaviour.cast::<Self>().as_ptr();
        // SAFETY: the caller claimed the closure, so it is there. The caller holds all cowns and the
        // result, so nobody else reaches the state; the slots stay in place and unreleased until the
        // closure has returned.
        unsafe {
            let state = || &mut *P::state(&raw mut (*frame).part);
            let work = (*frame).work.get().cast::<F>();
            // Not by the vtable, which would be one more load for each behaviour.
            let slots = Behaviour::slots_at(behaviour, Self::SLOTS).as_ref();
            match contain(|| F::call(work, slots, state())) {
                Ok(again) => again,
                Err(panic) => {
                    swallow(|| state().panicked(panic));
                    false
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for [`Behaviour::drop_closure`].
    unsafe fn cancel(behaviour: NonNull<Behaviour>) {
        let frame = behaviour.cast::<Self>().as_ptr();
        // SAFETY: as in `invoke`.
        let (work, state) = unsafe {
            (ManuallyDrop::take(&mut *(*frame).work.get()), &mut *P::state(&raw mut (*frame).part))
        };
        // A destructor that panics has nowhere to report to: the state says "cancelled" already.
        swallow(|| state.cancelled());
        swallow(|| drop(work));
    }

    /// The behaviour that a result is in.
    ///
    /// # Safety
    ///
    /// `header` is that of a frame of this type.
    unsafe fn of(header: NonNull<Header>) -> NonNull<Behaviour> {
        let offset = Self::VTABLE.promise.map_or(0, |(_, result)| result);
        // SAFETY: the header lies there in a `Frame`, and the pointer may reach the whole allocation,
        // because it was derived from the pointer to it.
        unsafe { header.byte_sub(offset).cast() }
    }

    /// # Safety
    ///
    /// As for [`cown::VTable`]; the header is that of a frame of this type, which has ended.
    unsafe fn drop_state(header: NonNull<Header>) {
        // SAFETY: no reference is left, so this thread has the state to itself.
        unsafe {
            let frame = Self::of(header).cast::<Self>().as_ptr();
            P::state(&raw mut (*frame).part).drop_in_place();
        }
    }

    /// # Safety
    ///
    /// As for `drop_state`, and the state is gone.
    unsafe fn free_by_result(header: NonNull<Header>) {
        // SAFETY: passed on to the caller. The header needs no destructor outside of the model
        // checker.
        unsafe {
            let behaviour = Self::of(header);
            if let Some((promise, _)) = Self::VTABLE.promise {
                behaviour.byte_add(promise).cast::<Promise>().drop_in_place();
            }
            #[cfg(loom)]
            header.drop_in_place();
            Self::free(behaviour);
        }
    }

    /// # Safety
    ///
    /// Nobody refers to the frame, and closure, state and promise are gone.
    unsafe fn free(behaviour: NonNull<Behaviour>) {
        // SAFETY: it was allocated with this layout by `allocate`. Head and slots need no destructor
        // outside of the model checker.
        unsafe {
            let slots = behaviour.as_ref().slot_count as usize;
            #[cfg(loom)]
            {
                Behaviour::slots(behaviour).drop_in_place();
                behaviour.drop_in_place();
            }
            memory::free(behaviour.cast(), Self::layout(slots));
        }
    }
}

impl Behaviour {
    /// How many cowns one request can have.
    pub(crate) const MAX_SLOTS: usize = u32::MAX as usize / (4 * size_of::<Slot>());

    /// Makes a behaviour with `count` slots, for the cowns that `fill` pushes. Its executor has
    /// already counted it in.
    ///
    /// It must then be scheduled, or given up by [`give_up`](crate::conclusion::give_up).
    pub(crate) fn allocate<P, F>(
        executor: Seat,
        state: P::State,
        work: F,
        count: usize,
        fill: impl FnOnce(&mut SlotWriter),
    ) -> NonNull<Behaviour>
    where
        P: Part,
        F: Work<P::State>,
    {
        let layout = Frame::<P, F>::layout(count);
        let memory = memory::allocate(layout);
        let behaviour = memory.cast::<Behaviour>();
        let frame = memory.cast::<Frame<P, F>>().as_ptr();
        // SAFETY: the memory is fresh and large enough; all pointers stay inside of it and carry
        // the provenance of the whole.
        unsafe {
            (&raw mut (*frame).head).write(Behaviour {
                link: Link::new(),
                pending: AtomicU32::new(count as u32 + 1),
                slot_count: count as u32,
                vtable: const { &Frame::<P, F>::VTABLE },
                executor,
            });
            P::write(&raw mut (*frame).part, state, const { &Frame::<P, F>::RESULT });
            (&raw mut (*frame).work).write(UnsafeCell::new(ManuallyDrop::new(work)));
            let next = memory.byte_add(Frame::<P, F>::SLOTS).cast::<Slot>();
            let mut slots = SlotWriter { behaviour, next, end: next.add(count) };
            fill(&mut slots);
            assert!(slots.next == slots.end, "a request names as many cowns as it counts");
        }
        behaviour
    }

    /// The slots for the cowns that were asked for, without that for the own result.
    ///
    /// # Safety
    ///
    /// The behaviour is alive.
    #[inline]
    pub(crate) unsafe fn slots(this: NonNull<Behaviour>) -> NonNull<[Slot]> {
        // SAFETY: passed on to the caller; the vtable is that of the frame's type.
        unsafe { Behaviour::slots_at(this, this.as_ref().vtable.slots) }
    }

    /// [`Behaviour::slots`], which start so many bytes behind the start of the behaviour.
    ///
    /// # Safety
    ///
    /// The behaviour is alive, and this is the offset that `allocate` used.
    #[inline]
    unsafe fn slots_at(this: NonNull<Behaviour>, offset: usize) -> NonNull<[Slot]> {
        // SAFETY: passed on to the caller.
        unsafe {
            let first = this.byte_add(offset).cast::<Slot>();
            NonNull::slice_from_raw_parts(first, this.as_ref().slot_count as usize)
        }
    }

    /// Takes `count` from what the behaviour still waits for. If that was all, the caller owns the
    /// behaviour.
    ///
    /// # Safety
    ///
    /// The caller obtained `count` of what the behaviour waits for. If the answer is
    /// [`Pending::Others`], the caller does not touch the behaviour any more.
    #[inline]
    pub(crate) unsafe fn resolve(this: NonNull<Behaviour>, count: u32) -> Pending {
        // SAFETY: the behaviour cannot start, so cannot end, before this subtraction.
        unsafe {
            let pending = &this.as_ref().pending;
            // Nobody else is going to subtract anything, and without a handle nobody can cancel it,
            // so no exchange is needed. It is over with counting then. In this order: who cancelled it
            // and then let the handle go is seen.
            // Acquire: what those wrote who subtracted before happens before the behaviour.
            if Behaviour::is_out_of_reach(this) && pending.load(Acquire) == count {
                return Pending::Nothing;
            }
            // Release: what this thread's holder wrote into the cown happens before the behaviour.
            // Acquire: for the last one, who starts the behaviour after all those writes, and for the
            // closure, which is gone if `cancel` is through with it.
            let before = pending.fetch_sub(count, AcqRel);
            if before & COUNT != count {
                Pending::Others
            } else if before & CANCELLED == 0 {
                Pending::Nothing
            } else {
                Pending::Conclusion
            }
        }
    }

    /// Takes the right to call or drop the closure. If [`crate::conclusion::cancel`] was faster, `Err` says whether the
    /// caller has to conclude the behaviour, as in `resolve`.
    ///
    /// # Safety
    ///
    /// The caller owns the behaviour, which waits for nothing.
    #[inline]
    pub(crate) unsafe fn claim(this: NonNull<Behaviour>) -> Result<(), bool> {
        // SAFETY: owned by the caller.
        unsafe {
            let pending = &this.as_ref().pending;
            let started = match Behaviour::promise(this) {
                None => true,
                Some((_, result)) if result.as_ref().is_only_reference(1) => {
                    // Nobody has a handle to cancel it with, and if somebody had, that is seen.
                    let cancelled = pending.load(Relaxed) & CANCELLED != 0;
                    if !cancelled {
                        // For those who are scheduled over the result: they hold it when this is over, and
                        // can make a handle of that.
                        pending.store(STARTED, Relaxed);
                    }
                    !cancelled
                }
                // Acquire, if it fails: see what `cancel` did.
                Some(_) => pending.compare_exchange(0, STARTED, Relaxed, Acquire).is_ok(),
            };
            if started { Ok(()) } else { Err(Behaviour::resolve(this, 1).is_over()) }
        }
    }

    /// Runs the closure; the outcome goes to the state. Says what the caller has to do next.
    ///
    /// # Safety
    ///
    /// The caller owns the behaviour: it waits for nothing, and neither this nor `abandon` was
    /// called since it was scheduled.
    #[must_use]
    pub(crate) unsafe fn invoke(this: NonNull<Behaviour>) -> Next {
        // SAFETY: passed on to the caller.
        unsafe { Behaviour::invoke_between(this, || |_| ()) }
    }

    /// [`Behaviour::invoke`], which calls `before` when the closure is going to be called, and what that
    /// gives when it has been: with whether it is to be called again.
    ///
    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    #[must_use]
    pub(crate) unsafe fn invoke_between<A: FnOnce(bool)>(
        this: NonNull<Behaviour>,
        before: impl FnOnce() -> A,
    ) -> Next {
        // SAFETY: the vtable is that of the frame's type.
        unsafe {
            match Behaviour::claim(this) {
                Ok(()) => {
                    let after = before();
                    let again = (this.as_ref().vtable.invoke)(this);
                    after(again);
                    if again { Next::Again } else { Next::Conclude }
                }
                Err(true) => Next::Conclude,
                Err(false) => Next::Nothing,
            }
        }
    }

    /// Drops the closure uncalled; the state learns that. The answer is as for `invoke`.
    ///
    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    #[must_use]
    pub(crate) unsafe fn abandon(this: NonNull<Behaviour>) -> bool {
        // SAFETY: the vtable is that of the frame's type.
        unsafe {
            match Behaviour::claim(this) {
                Ok(()) => Behaviour::drop_closure(this),
                Err(conclude) => return conclude,
            }
        }
        true
    }

    /// Drops the closure uncalled; the state learns that.
    ///
    /// # Safety
    ///
    /// The closure is there, and the caller's, and so is the state.
    pub(crate) unsafe fn drop_closure(this: NonNull<Behaviour>) {
        // SAFETY: the vtable is that of the frame's type.
        unsafe { (this.as_ref().vtable.cancel)(this) };
    }

    /// The promise and the result's header, if the behaviour has a result.
    ///
    /// # Safety
    ///
    /// The behaviour is alive.
    #[inline]
    pub(crate) unsafe fn promise(
        this: NonNull<Behaviour>,
    ) -> Option<(NonNull<Promise>, NonNull<Header>)> {
        // SAFETY: both are in the same allocation.
        unsafe {
            let (promise, result) = this.as_ref().vtable.promise?;
            Some((this.byte_add(promise).cast(), this.byte_add(result).cast()))
        }
    }

    /// Whether nobody but the owner can get at the behaviour before it has run, as there is no handle.
    ///
    /// # Safety
    ///
    /// The behaviour is alive.
    #[inline]
    unsafe fn is_out_of_reach(this: NonNull<Behaviour>) -> bool {
        // SAFETY: passed on to the caller.
        unsafe {
            Behaviour::promise(this).is_none_or(|(_, result)| result.as_ref().is_only_reference(1))
        }
    }

    /// Frees the memory of a behaviour without a result.
    ///
    /// # Safety
    ///
    /// The caller owns the behaviour, which has ended.
    #[inline]
    pub(crate) unsafe fn free(this: NonNull<Behaviour>) {
        // SAFETY: passed on to the caller.
        unsafe { (this.as_ref().vtable.free)(this) };
    }

    /// Whether it was cancelled, as far as the caller knows.
    pub(crate) fn was_cancelled(&self) -> bool {
        // Relaxed: what is asked for happened before the call.
        self.pending.load(Relaxed) & CANCELLED != 0
    }
}

/// What a behaviour waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// For more.
    Others,
    /// For nothing: it goes to its executor, where somebody may still find that it was cancelled.
    Nothing,
    /// It was cancelled: [`crate::conclusion`].
    Conclusion,
}

impl Pending {
    /// Whether the one who asks owns the behaviour, and is to conclude it. For those who know that it was
    /// cancelled.
    pub(crate) fn is_over(self) -> bool {
        self != Self::Others
    }
}

/// What comes after the call of a behaviour's closure.
pub(crate) enum Next {
    /// [`crate::conclusion::conclude`].
    Conclude,
    /// `again` in [`crate::conclusion`].
    Again,
    /// Nothing: it is somebody else's.
    Nothing,
}

/// Fills the slots of a new behaviour.
pub(crate) struct SlotWriter {
    behaviour: NonNull<Behaviour>,
    next: NonNull<Slot>,
    end: NonNull<Slot>,
}

impl SlotWriter {
    /// The next slot is one for `cown`.
    ///
    /// The caller keeps the cown alive until the behaviour has entered its queues, or is given up.
    pub(crate) fn push(&mut self, cown: NonNull<Header>, mode: Mode) {
        assert!(self.next != self.end, "a request names as many cowns as it counts");
        // SAFETY: there is room for the slot.
        unsafe {
            self.next.write(Slot::new(cown, mode, self.behaviour));
            self.next = self.next.add(1);
        }
    }
}
