//! Behaviours that one executor counts, and another one runs.

use alloc::boxed::Box;
use core::ptr::NonNull;

use crate::executor::{ExecutorRef, Head, Seat, VTable, Watched};
#[cfg(feature = "std")]
use crate::runtime::observe;

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
        let elsewhere = unsafe { head.cast::<Elsewhere>().as_ref() };
        #[cfg(feature = "std")]
        if let Some(Watched { ticket, .. }) = elsewhere.counted.watched() {
            // SAFETY: the ticket is that of the behaviour in `ready`.
            unsafe { observe::ready(ticket) };
        }
        let runs = elsewhere.runs.clone();
        // SAFETY: the reference keeps the executor alive. That it has not counted the behaviour in is no matter to it,
        // since `end` is that of this seat.
        unsafe { Seat::of(&runs).execute(ready) }
    },
    watched: Some(|head| {
        // SAFETY: the behaviour has not ended.
        let counted = unsafe { head.cast::<Elsewhere>().as_ref() }.counted;
        Some(Watched { lender: None, ..counted.watched()? })
    }),
    ..VTable::OF_ONE_BEHAVIOUR
};
