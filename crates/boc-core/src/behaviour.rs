//! Behaviours: one allocation that holds a closure, its places in the queues of its cowns, and the
//! cown of its result.
//!
//! ```text
//! ┌──────────────────────────── Frame<S, F> ────────────────────────────┐
//! │ head: Behaviour           │ result: cown::Body<S> │ work: F         │ slots: [Slot; n]
//! │ link, pending, executor,… │ header, state S       │ (until it ran)  │
//! └───────────────────────────┴───────────────────────┴─────────────────┘
//! ```
//!
//! # Life
//!
//! 1. [`Behaviour::allocate`] makes it with two references: one for the caller's handle to the
//!    result, one for the run. `pending` is one more than the number of slots.
//! 2. [`crate::schedule`] enters the queues of its cowns and takes from `pending` what was free,
//!    and the extra one. Each release by a predecessor takes one ([`Behaviour::resolve`]). Who
//!    takes the last one owns the behaviour exclusively, and hands it to its executor as a
//!    [`Ready`].
//! 3. [`Ready::run`] calls the closure, or dropping the `Ready` drops the closure uncalled; either
//!    way the state S learns the outcome.
//! 4. [`conclude`] releases the cowns, tells who waits for the completion, tells the executor, and
//!    gives up the reference of the run. The memory goes with the last reference to the result.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::{
    alloc::Layout,
    cell::UnsafeCell,
    mem::{ManuallyDrop, offset_of},
    ptr::NonNull,
};

use crate::{
    completion::Completion,
    cown::{self, Header},
    executor::{Ready, Seat},
    mpsc::Link,
    outcome::{State, contain, swallow},
    slot::Slot,
    sync::atomic::{AtomicU32, Ordering::AcqRel},
};

/// What every behaviour has, whatever its closure and result.
#[repr(C)]
pub(crate) struct Behaviour {
    /// For the queue of an executor, or the list in [`conclude`]. Belongs to who owns the `Ready`.
    pub(crate) link: Link,
    /// How many of the slots are not held yet; one too high until all of them are published, so
    /// that no predecessor's release can start the behaviour before.
    pending: AtomicU32,
    slot_count: u32,
    vtable: &'static VTable,
    executor: Seat,
    /// Who wants to know when the behaviour has ended.
    pub(crate) completion: Completion,
    /// The place in the queue of its own result, which it holds from the start.
    own: Slot,
}

/// What depends on the types of closure and state.
struct VTable {
    /// Where the slots start, in bytes from the start of the behaviour.
    slots: usize,
    /// Calls the closure.
    invoke: unsafe fn(NonNull<Behaviour>),
    /// Drops the closure uncalled.
    cancel: unsafe fn(NonNull<Behaviour>),
}

#[repr(C)]
struct Frame<S, F> {
    head: Behaviour,
    result: cown::Body<S>,
    /// Taken out by `invoke` or `cancel`, of which exactly one is called, once.
    work: UnsafeCell<ManuallyDrop<F>>,
}

/// Where the result of a behaviour lies, in bytes from its start. Does not depend on the closure.
pub(crate) const fn result_offset<S>() -> usize {
    offset_of!(Frame<S, ()>, result)
}

impl<S: State, F: FnOnce(&[Slot], &mut S) + Send + 'static> Frame<S, F> {
    const VTABLE: VTable =
        VTable { slots: Self::layout(0).1, invoke: Self::invoke, cancel: Self::cancel };

    /// Layout of a behaviour with `slots` slots, and where they start.
    const fn layout(slots: usize) -> (Layout, usize) {
        let Ok(array) = Layout::array::<Slot>(slots) else { panic!("too many cowns") };
        let Ok((layout, offset)) = Layout::new::<Self>().extend(array) else {
            panic!("too many cowns")
        };
        (layout.pad_to_align(), offset)
    }

    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    unsafe fn invoke(behaviour: NonNull<Behaviour>) {
        let frame = behaviour.cast::<Self>().as_ptr();
        // SAFETY: `invoke` is called once and `cancel` not at all, so the closure is there. The
        // caller holds all cowns and the result, so nobody else reaches the state.
        let (work, state) = unsafe {
            (ManuallyDrop::take(&mut *(*frame).work.get()), &mut *(*frame).result.value.get())
        };
        // SAFETY: the slots stay in place and unreleased until the closure has returned.
        let slots = unsafe { Behaviour::slots(behaviour).as_ref() };
        if let Err(panic) = contain(|| work(slots, state)) {
            // SAFETY: as above; the borrow given to the closure has ended.
            let state = unsafe { &mut *(*frame).result.value.get() };
            swallow(|| state.panicked(panic));
        }
    }

    /// # Safety
    ///
    /// As for [`Behaviour::cancel`].
    unsafe fn cancel(behaviour: NonNull<Behaviour>) {
        let frame = behaviour.cast::<Self>().as_ptr();
        // SAFETY: as in `invoke`.
        let (work, state) = unsafe {
            (ManuallyDrop::take(&mut *(*frame).work.get()), &mut *(*frame).result.value.get())
        };
        // A destructor that panics has nowhere to report to: the state says "cancelled" already.
        swallow(|| state.cancelled());
        swallow(|| drop(work));
    }

    /// Drops the state and frees the memory.
    ///
    /// # Safety
    ///
    /// `header` is that of a frame of this type, which has ended, and nobody else refers to it.
    unsafe fn destroy(header: NonNull<Header>) {
        /// Frees the memory also if the state's destructor panics.
        struct Memory(NonNull<u8>, Layout);
        impl Drop for Memory {
            fn drop(&mut self) {
                // SAFETY: allocated with this layout by `allocate`, and not used any more.
                unsafe { dealloc(self.0.as_ptr(), self.1) };
            }
        }
        // SAFETY: the header is that of the field `result` of a `Frame`, and the pointer may
        // reach the whole allocation, because it was derived from the pointer to it.
        let behaviour = unsafe { header.byte_sub(offset_of!(Self, result)).cast::<Behaviour>() };
        let frame = behaviour.cast::<Self>().as_ptr();
        // SAFETY: no reference is left, so this thread has it to itself. The closure is gone
        // already; slots and the other fields need no destructor outside of the model checker.
        unsafe {
            let slots = (*frame).head.slot_count as usize;
            let _memory = Memory(behaviour.cast(), Self::layout(slots).0);
            #[cfg(loom)]
            Behaviour::slots(behaviour).drop_in_place();
            (&raw mut (*frame).head).drop_in_place();
            (&raw mut (*frame).result).drop_in_place();
        }
    }
}

impl Behaviour {
    /// How many cowns one request can have.
    pub(crate) const MAX_SLOTS: usize = u32::MAX as usize / (4 * size_of::<Slot>());

    /// Makes a behaviour with `count` slots, for the cowns that `fill` pushes. Its executor has
    /// already counted it in.
    ///
    /// It must then be scheduled, or given up by [`give_up`].
    pub(crate) fn allocate<S, F>(
        executor: Seat,
        state: S,
        work: F,
        count: usize,
        fill: impl FnOnce(&mut SlotWriter),
    ) -> NonNull<Behaviour>
    where
        S: State,
        F: FnOnce(&[Slot], &mut S) + Send + 'static,
    {
        let (layout, offset) = Frame::<S, F>::layout(count);
        debug_assert_eq!(offset_of!(Frame<S, F>, result), result_offset::<S>());
        // SAFETY: the layout is not empty.
        let Some(memory) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        let behaviour = memory.cast::<Behaviour>();
        let frame = memory.cast::<Frame<S, F>>().as_ptr();
        // SAFETY: the memory is fresh and large enough; all pointers stay inside of it and carry
        // the provenance of the whole.
        unsafe {
            let result = NonNull::new_unchecked(&raw mut (*frame).result).cast::<Header>();
            let own = &raw mut (*frame).head.own;
            (&raw mut (*frame).head).write(Behaviour {
                link: Link::new(),
                pending: AtomicU32::new(count as u32 + 1),
                slot_count: count as u32,
                vtable: const { &Frame::<S, F>::VTABLE },
                executor,
                completion: Completion::new(),
                own: Slot::holding(result),
            });
            let header = Header::new(own, 2, Frame::<S, F>::destroy);
            (&raw mut (*frame).result).write(cown::Body { header, value: UnsafeCell::new(state) });
            (&raw mut (*frame).work).write(UnsafeCell::new(ManuallyDrop::new(work)));
            let next = memory.byte_add(offset).cast::<Slot>();
            let mut slots = SlotWriter { next, end: next.add(count) };
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
    pub(crate) unsafe fn slots(this: NonNull<Behaviour>) -> NonNull<[Slot]> {
        // SAFETY: the slots lie behind the head, at the offset that `allocate` used.
        unsafe {
            let head = this.as_ref();
            let first = this.byte_add(head.vtable.slots).cast::<Slot>();
            NonNull::slice_from_raw_parts(first, head.slot_count as usize)
        }
    }

    /// Takes `count` from what the behaviour still waits for. Says whether that was all: then the
    /// caller owns the behaviour, and hands it to its executor.
    ///
    /// # Safety
    ///
    /// The caller obtained `count` of the cowns for the behaviour (the extra one counts as one).
    /// If the answer is `false`, the caller does not touch the behaviour any more.
    pub(crate) unsafe fn resolve(this: NonNull<Behaviour>, count: u32) -> bool {
        // Release: what this thread's holder wrote into the cown happens before the behaviour.
        // Acquire: for the last one, who starts the behaviour after all those writes.
        // SAFETY: the behaviour cannot start, so cannot end, before this subtraction.
        unsafe { this.as_ref() }.pending.fetch_sub(count, AcqRel) == count
    }

    /// Runs the closure; the outcome goes to the state.
    ///
    /// # Safety
    ///
    /// The caller owns the behaviour: `pending` is zero, and neither this nor `cancel` was called.
    pub(crate) unsafe fn invoke(this: NonNull<Behaviour>) {
        // SAFETY: the vtable is that of the frame's type.
        unsafe { (this.as_ref().vtable.invoke)(this) };
    }

    /// Drops the closure uncalled; the state learns that.
    ///
    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    pub(crate) unsafe fn cancel(this: NonNull<Behaviour>) {
        // SAFETY: the vtable is that of the frame's type.
        unsafe { (this.as_ref().vtable.cancel)(this) };
    }
}

/// Fills the slots of a new behaviour.
pub(crate) struct SlotWriter {
    next: NonNull<Slot>,
    end: NonNull<Slot>,
}

impl SlotWriter {
    /// The next slot is one for `cown`, to which it gets a reference of its own.
    ///
    /// # Safety
    ///
    /// The caller keeps the cown alive meanwhile.
    pub(crate) unsafe fn push(&mut self, cown: NonNull<Header>) {
        assert!(self.next != self.end, "a request names as many cowns as it counts");
        // SAFETY: the caller keeps the cown alive, and there is room for the slot.
        unsafe {
            Header::retain(cown);
            self.next.write(Slot::new(cown));
            self.next = self.next.add(1);
        }
    }
}

/// Releases what a behaviour holds, after it ran or was cancelled, and gives it up.
///
/// Successors that become ready go to their executors. One that its executor refuses is cancelled
/// and concluded in turn, in a loop: a long queue behind a stopped runtime takes no deep stack.
///
/// # Safety
///
/// The caller owns the behaviour, and has called `invoke` or `cancel`.
pub(crate) unsafe fn conclude(behaviour: NonNull<Behaviour>) {
    let mut refused = Refused(Some(behaviour));
    while let Some(current) = refused.pop() {
        // SAFETY: owned by the caller, or by this loop if it was refused. Each slot is released
        // once, while the behaviour holds its cown, which the slot's reference keeps alive.
        unsafe {
            let slots = Behaviour::slots(current).as_ref();
            slots.iter().for_each(|slot| release(NonNull::from(slot), &mut refused));
            // Only now, since the end of a value may take long.
            slots.iter().for_each(|slot| drop_reference(slot.cown));
            end(current, &mut refused);
        }
    }
}

/// Cancels a behaviour that has entered no queue.
///
/// # Safety
///
/// The caller has just allocated it.
pub(crate) unsafe fn give_up(behaviour: NonNull<Behaviour>) {
    let mut refused = Refused(None);
    // SAFETY: the caller owns the behaviour; it holds no cowns, so only references go. Nobody else
    // has the result yet, so nobody waits for it, and nothing becomes ready.
    unsafe {
        Behaviour::cancel(behaviour);
        for slot in Behaviour::slots(behaviour).as_ref() {
            drop_reference(slot.cown);
        }
        end(behaviour, &mut refused);
    }
}

/// The last part of a behaviour's life: the result is released, the waiting are told, the reference
/// of the run goes.
///
/// # Safety
///
/// The caller owns the behaviour, which has released its cowns, and gives it up.
unsafe fn end(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: alive by the reference of the run, which is given up last.
    unsafe {
        let head = behaviour.as_ref();
        let (result, executor) = (head.own.cown, head.executor);
        release(NonNull::from(&head.own), refused);
        head.completion.complete();
        drop_reference(result);
        // After all else, so that a quiescent executor has dropped what its behaviours referred to.
        swallow(|| executor.end());
    }
}

/// Gives up a reference to a cown. A value whose destructor panics must not keep what comes next
/// from being done.
///
/// # Safety
///
/// As for [`Header::release`].
unsafe fn drop_reference(cown: NonNull<Header>) {
    // SAFETY: passed on to the caller.
    swallow(|| unsafe { Header::release(cown) });
}

/// Releases one slot, and hands the successor to its executor if that was all it waited for.
///
/// # Safety
///
/// As for [`Slot::release`].
unsafe fn release(slot: NonNull<Slot>, refused: &mut Refused) {
    // SAFETY: passed on to the caller; a resolved behaviour belongs to who resolved it.
    unsafe {
        if let Some(next) = Slot::release(slot)
            && Behaviour::resolve(next, 1)
        {
            dispatch(next, refused);
        }
    }
}

/// Hands a behaviour that holds all its cowns to its executor; cancels it if that refuses.
///
/// # Safety
///
/// The caller owns the behaviour, which has neither run nor been cancelled.
unsafe fn dispatch(behaviour: NonNull<Behaviour>, refused: &mut Refused) {
    // SAFETY: the caller owns the behaviour; the seat is copied out because the behaviour may be
    // gone when `execute` returns.
    unsafe {
        let executor = behaviour.as_ref().executor;
        // An executor that panics has taken the behaviour, or cancelled it by dropping it.
        if let Ok(Err(ready)) = contain(|| executor.execute(Ready::new(behaviour))) {
            let behaviour = ready.into_inner();
            Behaviour::cancel(behaviour);
            refused.push(behaviour);
        }
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
        if let Some(behaviour) = refused.pop() {
            conclude(behaviour);
        }
    }
}

/// A list of behaviours that were refused, linked through themselves.
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

    fn pop(&mut self) -> Option<NonNull<Behaviour>> {
        let behaviour = self.0?;
        // SAFETY: the list owns its behaviours; the link was set by `push`, or is null in a
        // behaviour that came from an executor's queue.
        self.0 = unsafe { behaviour.as_ref() }.link.take().map(NonNull::cast);
        Some(behaviour)
    }
}
