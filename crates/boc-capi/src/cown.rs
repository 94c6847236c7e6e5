//! Cowns.

use boc_core::{
    Cown,
    raw::{AnyCown, AnyWeakCown, CownPtr},
};
use std::{ffi::c_void, ptr::NonNull};

use crate::{
    border::{Out, border, quiet},
    handle::{self, Handle, Kind},
    owned::{Owned, boc_destroy_fn},
    status::{
        Error,
        boc_status::{self, BOC_GONE},
    },
    value::Value,
};

/// A reference to a cown: data that only the behaviour which holds it can reach.
///
/// Who has a reference releases it by `boc_cown_release`. The cown lives as long as there is one, or a
/// behaviour waits for it. References can be used, and released, on any thread.
pub struct boc_cown {
    _private: [u8; 0],
}

/// A reference to a cown that does not keep its value. Can be used, and released, on any thread.
pub struct boc_weak_cown {
    _private: [u8; 0],
}

// SAFETY: that is what `AnyCown` promises of its address.
unsafe impl Handle for AnyCown {
    type Opaque = boc_cown;
    const KIND: Kind = Kind::Cown;

    fn into_raw(self) -> NonNull<()> {
        self.into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { AnyCown::from_raw(raw) }
    }
}

// SAFETY: that is what `AnyWeakCown` promises of its address.
unsafe impl Handle for AnyWeakCown {
    type Opaque = boc_weak_cown;
    const KIND: Kind = Kind::WeakCown;

    fn into_raw(self) -> NonNull<()> {
        self.into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { AnyWeakCown::from_raw(raw) }
    }
}

/// Makes a cown that holds `value`, which may be NULL. Nobody else may use what it points to any more.
///
/// `destroy_value` (may be NULL) is called with the value when the last reference to the cown is gone;
/// or now, if the call does not succeed. `*cown` is the caller's to release.
///
/// @return BOC_OK; BOC_INVALID_ARGUMENT if `cown` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_cown_new(
    value: *mut c_void,
    destroy_value: boc_destroy_fn,
    cown: *mut *mut boc_cown,
) -> boc_status {
    border(|| {
        let value = Owned::new(value, destroy_value);
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let out = unsafe { Out::new(cown, "cown") }?;
        out.put(handle::give(AnyCown::from(Cown::new(Value::of(value)))));
        Ok(())
    })
}

/// Another reference to the same cown, for the caller to release. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_cown_clone(cown: *const boc_cown) -> *mut boc_cown {
    quiet(std::ptr::null_mut(), || {
        // SAFETY: as above.
        let cown = unsafe { handle::borrow::<AnyCown>(cown, "cown") }?;
        Ok(handle::give((*cown).clone()))
    })
}

/// Gives up a reference. With the last one the value is destroyed, on this thread; if behaviours wait for
/// the cown, after them. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_cown_release(cown: *mut boc_cown) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<AnyCown>(cown, "cown") })
}

/// Gives up a handle of any kind.
///
/// # Safety
///
/// As for [`handle::take`].
pub(crate) unsafe fn release<H: Handle>(handle: *mut H::Opaque, name: &str) -> Result<(), Error> {
    if !handle.is_null() {
        // SAFETY: passed on to the caller.
        drop(unsafe { handle::take::<H>(handle, name) }?);
    }
    Ok(())
}

/// Whether two references are to the same cown; also a result's cown. NULL is the same as NULL alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_cown_same(a: *const boc_cown, b: *const boc_cown) -> bool {
    quiet(false, || {
        if a.is_null() || b.is_null() {
            return Ok(a == b);
        }
        // SAFETY: as above.
        let (a, b) = unsafe { (handle::borrow(a, "a")?, handle::borrow(b, "b")?) };
        let address = |cown: &AnyCown| CownPtr::from(cown);
        Ok(address(&a) == address(&b))
    })
}

/// A reference that does not keep the value: for cycles of cowns, caches, lists of observers. It is the
/// caller's to release. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_cown_downgrade(cown: *const boc_cown) -> *mut boc_weak_cown {
    quiet(std::ptr::null_mut(), || {
        // SAFETY: as above.
        let cown = unsafe { handle::borrow::<AnyCown>(cown, "cown") }?;
        Ok(handle::give(cown.downgrade()))
    })
}

/// The cown, if its value is still there. `*cown` is the caller's to release.
///
/// @return BOC_OK; BOC_GONE if the value is gone; BOC_INVALID_ARGUMENT if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_weak_cown_upgrade(
    weak: *const boc_weak_cown,
    cown: *mut *mut boc_cown,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (weak, out) =
            unsafe { (handle::borrow::<AnyWeakCown>(weak, "weak")?, Out::new(cown, "cown")?) };
        let gone = || Error::new(BOC_GONE, "the value of the cown is gone");
        out.put(handle::give(weak.upgrade().ok_or_else(gone)?));
        Ok(())
    })
}

/// Another weak reference, for the caller to release. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_weak_cown_clone(weak: *const boc_weak_cown) -> *mut boc_weak_cown {
    quiet(std::ptr::null_mut(), || {
        // SAFETY: as above.
        let weak = unsafe { handle::borrow::<AnyWeakCown>(weak, "weak") }?;
        Ok(handle::give((*weak).clone()))
    })
}

/// Gives up a weak reference. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_weak_cown_release(weak: *mut boc_weak_cown) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<AnyWeakCown>(weak, "weak") })
}

/// How many cowns there are in this process, results not included: for finding leaks. Exact while no other
/// thread makes or releases any.
#[unsafe(no_mangle)]
pub extern "C" fn boc_live_cowns() -> u64 {
    quiet(0, || Ok(boc_core::live_cowns() as u64))
}
