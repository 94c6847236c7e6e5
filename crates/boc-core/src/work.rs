//! The closures of behaviours: called once, or until they have enough.

use crate::slot::Slot;

/// The closure of a behaviour with a state of type `S`.
pub(crate) trait Work<S>: Send + 'static {
    /// Calls the closure. Says whether it is still there, to be called again.
    ///
    /// # Safety
    ///
    /// `this` points to the closure, which is the caller's. If the answer is `false`, or this
    /// unwinds, it is gone. The slots are those of its behaviour, which holds their cowns.
    unsafe fn call(this: *mut Self, slots: &[Slot], state: &mut S) -> bool;
}

/// Called once.
pub(crate) struct Once<F>(pub(crate) F);

impl<S, F: FnOnce(&[Slot], &mut S) + Send + 'static> Work<S> for Once<F> {
    unsafe fn call(this: *mut Self, slots: &[Slot], state: &mut S) -> bool {
        // SAFETY: the closure is there, and moved out by this.
        let Once(work) = unsafe { this.read() };
        work(slots, state);
        false
    }
}

/// Called as long as it says `true`.
pub(crate) struct Repeated<F>(pub(crate) F);

impl<S, F: FnMut(&[Slot], &mut S) -> bool + Send + 'static> Work<S> for Repeated<F> {
    unsafe fn call(this: *mut Self, slots: &[Slot], state: &mut S) -> bool {
        struct Gone<F>(*mut F);
        impl<F> Drop for Gone<F> {
            fn drop(&mut self) {
                // SAFETY: the closure is there, and not called any more.
                unsafe { self.0.drop_in_place() };
            }
        }
        let gone = Gone(this);
        // SAFETY: the closure is there, and the caller's.
        let again = unsafe { ((*this).0)(slots, state) };
        if again {
            core::mem::forget(gone);
        }
        again
    }
}

/// What a behaviour that can run again has decided; see
/// [`ExecutorRef::when_repeated`](crate::ExecutorRef::when_repeated).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<R> {
    /// To be run again, behind all that waits for its cowns by now.
    Again,
    /// It is over, with this value.
    Done(R),
}
