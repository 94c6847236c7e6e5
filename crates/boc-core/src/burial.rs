//! Destroying cowns without deep recursion.
//!
//! The end of a cown is the end of its value, which may hold the last reference to another cown, and
//! so on: a list of a million cowns would need a stack for a million nested ends. So beyond a certain
//! depth the end of a cown is put off until an outer one has destroyed its value.
//!
//! With `std` a thread-local tells each thread how deep it is (`hosted`). Without, nothing belongs to
//! one thread alone, and the ends of all of them are counted together (`bare`).

use core::ptr::NonNull;

use crate::{cown::Header, sync::atomic::Ordering::Relaxed};

#[cfg(any(not(feature = "std"), test))]
mod bare;
#[cfg(feature = "std")]
mod hosted;

#[cfg(not(feature = "std"))]
pub(crate) use bare::destroy;
#[cfg(feature = "std")]
pub(crate) use hosted::destroy;

/// Links a cown that is put off to the one that was put off before it, by its `tail`, which is of no
/// use to it any more.
///
/// # Safety
///
/// The cown is there to be destroyed, by the caller alone.
unsafe fn link(cown: NonNull<Header>, before: *mut Header) {
    // SAFETY: the header is alive until the cown is destroyed.
    unsafe { cown.as_ref() }.tail.store(before.cast(), Relaxed);
}

/// The cown that was put off before this one.
///
/// # Safety
///
/// As for [`link`], which was called for it.
unsafe fn before(cown: NonNull<Header>) -> *mut Header {
    // SAFETY: as in `link`.
    unsafe { cown.as_ref() }.tail.load(Relaxed).cast()
}
