//! Cowns whose type is not known when the program is compiled.

use core::{any::TypeId, fmt, mem::ManuallyDrop, ptr::NonNull};

use super::CownPtr;
use crate::cown::{Cown, Header, boxed};

/// A [`Cown`] of some type; see [`AnyCown::downcast`].
///
/// Like that it is a reference: the cown lives as long as there is one.
pub struct AnyCown(NonNull<Header>);

// SAFETY: as for `Cown`. Cowns are made of `Send` values only.
unsafe impl Send for AnyCown {}
// SAFETY: as above.
unsafe impl Sync for AnyCown {}

impl AnyCown {
    /// The reference as an address, which is aligned to 8 bytes. It is given up by
    /// [`AnyCown::from_raw`].
    pub fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).0.cast()
    }

    /// # Safety
    ///
    /// `raw` came out of [`AnyCown::into_raw`], and is not used again for this.
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }

    /// A reference that does not keep the value.
    pub fn downgrade(&self) -> AnyWeakCown {
        // SAFETY: `self` keeps the cown alive.
        unsafe { self.0.as_ref() }.retain_weak();
        AnyWeakCown(self.0)
    }

    /// The cown with its type.
    ///
    /// # Errors
    ///
    /// The cown itself if its value has another type.
    pub fn downcast<T: Send + 'static>(self) -> Result<Cown<T>, Self> {
        // SAFETY: `self` keeps the cown alive.
        if unsafe { CownPtr::from(&self).holds::<T>() } {
            // SAFETY: the reference goes to the new handle; it has this type.
            Ok(unsafe { Cown::from_body(ManuallyDrop::new(self).0.cast()) })
        } else {
            Err(self)
        }
    }
}

impl CownPtr {
    /// The cown at an address that [`AnyCown::into_raw`] gave.
    pub fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }

    /// The address, as [`AnyCown::into_raw`] gives it.
    pub fn into_raw(self) -> NonNull<()> {
        self.0.cast()
    }

    /// Whether the value has type `T`.
    ///
    /// # Safety
    ///
    /// The cown is alive.
    #[inline]
    pub unsafe fn holds<T: 'static>(self) -> bool {
        // SAFETY: passed on to the caller.
        let vtable = unsafe { self.0.as_ref() }.vtable();
        // What lies at one address is one vtable, which says one type. There may be several for a type,
        // so that another address says nothing.
        core::ptr::eq(vtable, const { &boxed::<T>() }) || (vtable.type_id)() == TypeId::of::<T>()
    }

    /// Whether the cown is the result of a behaviour, or of a promise.
    ///
    /// # Safety
    ///
    /// The cown is alive.
    pub unsafe fn is_result(self) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.0.as_ref() }.vtable().is_result
    }

    /// Where the value lives; see [`value_ptr`](super::value_ptr).
    ///
    /// # Safety
    ///
    /// The cown is alive, and its value has type `T`.
    pub unsafe fn value<T>(self) -> *mut T {
        // SAFETY: passed on to the caller. The header is the first field of the body.
        unsafe { Cown::value_in(self.0.cast()) }
    }

    /// A reference of one's own.
    ///
    /// # Safety
    ///
    /// The cown is alive.
    pub unsafe fn to_owned(self) -> AnyCown {
        // SAFETY: passed on to the caller; the new reference goes to the handle.
        unsafe { self.0.as_ref() }.retain();
        AnyCown(self.0)
    }
}

impl From<&AnyCown> for CownPtr {
    fn from(cown: &AnyCown) -> Self {
        Self(cown.0)
    }
}

impl<T> From<Cown<T>> for AnyCown {
    fn from(cown: Cown<T>) -> Self {
        // The reference goes to the new handle.
        Self(ManuallyDrop::new(cown).header())
    }
}

impl Clone for AnyCown {
    fn clone(&self) -> Self {
        // SAFETY: `self` keeps the cown alive.
        unsafe { CownPtr::from(self).to_owned() }
    }
}

impl Drop for AnyCown {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and gone after this.
        unsafe { Header::release(self.0, 1) };
    }
}

impl fmt::Debug for AnyCown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyCown").field(&self.0).finish()
    }
}

/// A [`WeakCown`](crate::WeakCown) of some type.
pub struct AnyWeakCown(NonNull<Header>);

// SAFETY: as for `AnyCown`, which it can become.
unsafe impl Send for AnyWeakCown {}
// SAFETY: as above.
unsafe impl Sync for AnyWeakCown {}

impl AnyWeakCown {
    /// The cown, if its value is still there.
    pub fn upgrade(&self) -> Option<AnyCown> {
        // SAFETY: the weak reference keeps the memory.
        unsafe { self.0.as_ref() }.upgrade().then(|| AnyCown(self.0))
    }

    /// The reference as an address, which is given up by [`AnyWeakCown::from_raw`].
    pub fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).0.cast()
    }

    /// # Safety
    ///
    /// `raw` came out of [`AnyWeakCown::into_raw`], and is not used again for this.
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }
}

impl Clone for AnyWeakCown {
    fn clone(&self) -> Self {
        // SAFETY: the weak reference keeps the memory.
        unsafe { self.0.as_ref() }.retain_weak();
        Self(self.0)
    }
}

impl Drop for AnyWeakCown {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and gone after this.
        unsafe { Header::release_weak(self.0) };
    }
}

impl fmt::Debug for AnyWeakCown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyWeakCown").field(&self.0).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        Pump,
        raw::{ResultCown, is_unshared},
    };
    use alloc::string::String;

    #[test]
    fn a_weak_reference_gives_nothing_when_the_value_is_gone() {
        let cown = AnyCown::from(Cown::new(1));
        let weak = cown.downgrade();
        assert!(weak.upgrade().is_some());
        drop(cown);
        assert!(weak.upgrade().is_none());
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn a_cown_is_found_again_by_its_type_alone() {
        let cown = Cown::new(String::from("boc"));
        let any = AnyCown::from(cown.clone());
        let any = any.downcast::<u32>().unwrap_err();
        assert_eq!(any.downcast::<String>().unwrap(), cown);
    }

    #[test]
    fn a_reference_survives_as_an_address() {
        let cown = Cown::new(5);
        assert!(is_unshared(&cown));
        drop(AnyCown::from(cown.clone()).downgrade());
        assert!(is_unshared(&cown), "the weak one is gone");
        let raw = AnyCown::from(cown.clone()).into_raw();
        assert!(!is_unshared(&cown));
        // SAFETY: both came from `into_raw`, and each is used once.
        unsafe {
            let weak = AnyCown::from_raw(raw).downgrade().into_raw();
            assert!(!is_unshared(&cown), "the weak one could become another one");
            let weak = AnyWeakCown::from_raw(weak);
            assert!(weak.upgrade().is_some());
            drop(weak.clone());
            assert!(!is_unshared(&cown));
            drop(cown);
            // Looking for what is gone takes nothing away, however often.
            for _ in 0..3 {
                assert!(weak.clone().upgrade().is_none());
                assert!(weak.upgrade().is_none());
            }
        }
    }

    #[test]
    fn results_are_told_from_other_cowns() {
        let pump = Pump::new();
        let handle = pump.executor().when((), |()| 1);
        let (result, plain) = (handle.cown().clone(), Cown::new(1));
        // SAFETY: both are alive.
        unsafe {
            assert!(CownPtr::from(&result).is_result());
            assert!(!CownPtr::from(&plain).is_result());
        }
        assert!(ResultCown::try_from(plain).is_err());
        let result = ResultCown::try_from(result).unwrap();
        assert!(!result.is_finished());
        pump.run_until_idle();
        assert!(result.is_finished());
    }
}
