//! Behaviours that one executor counts, and another one runs.

use alloc::boxed::Box;
use core::ptr::NonNull;

use crate::executor::{ExecutorRef, Head, Seat, VTable};

/// The seat of such a behaviour.
#[repr(C)]
struct Elsewhere {
    head: Head,
    /// Of the executor that counts, which is alive until the behaviour is counted out.
    counted: Seat,
    /// The executor that runs it.
    runs: ExecutorRef,
}

/// A seat that is counted out with `counted`, whose behaviour goes to `runs` when it is ready.
pub(super) fn seat(counted: Seat, runs: &ExecutorRef) -> Seat {
    let elsewhere = Elsewhere { head: Head::new(&VTABLE), counted, runs: runs.clone() };
    Seat::at(NonNull::from(Box::leak(Box::new(elsewhere))).cast())
}

static VTABLE: VTable = VTable {
    end: |head| {
        // SAFETY: `seat` made it, and this is its last use.
        let elsewhere = unsafe { Box::from_raw(head.cast::<Elsewhere>().as_ptr()) };
        // SAFETY: the seat is that of this behaviour.
        unsafe { elsewhere.counted.end() };
    },
    execute: |head, ready| {
        // The behaviour may have ended elsewhere before this call returns, and its seat is gone then.
        // SAFETY: the behaviour in `ready` has not ended.
        let runs = unsafe { head.cast::<Elsewhere>().as_ref() }.runs.clone();
        // SAFETY: the reference keeps the executor alive. That it has not counted the behaviour in is no matter to it,
        // since `end` is that of this seat.
        unsafe { Seat::of(&runs).execute(ready) }
    },
    ..VTable::OF_ONE_BEHAVIOUR
};
