//! Handles: from references to the pointers that C has, and back.
//!
//! In a release build a handle is the address of what it refers to. In a debug build it is a number that
//! is never used again, and a table knows what it stands for. So a handle that was released, or is of
//! another kind, is always noticed there.

use std::{
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::Arc,
};

use crate::{cown::boc_cown, status::Error};

/// A reference of Rust that C can have.
///
/// # Safety
///
/// `from_raw` undoes `into_raw`, and the same address stands for the reference as long as it is there.
pub(crate) unsafe trait Handle: Sized {
    /// How C calls it.
    type Opaque;
    const KIND: Kind;

    fn into_raw(self) -> NonNull<()>;

    /// # Safety
    ///
    /// `raw` came out of `into_raw`, whose reference the caller gives up.
    unsafe fn from_raw(raw: NonNull<()>) -> Self;
}

/// What C has handles to that are the address of a box, or of what an `Arc` refers to.
pub(crate) trait Known {
    /// How C calls it.
    type Opaque;
    const KIND: Kind;
}

// SAFETY: the address of a box.
unsafe impl<T: Known> Handle for Box<T> {
    type Opaque = T::Opaque;
    const KIND: Kind = T::KIND;

    fn into_raw(self) -> NonNull<()> {
        NonNull::from(Box::leak(self)).cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { Box::from_raw(raw.cast().as_ptr()) }
    }
}

// SAFETY: the address of what an `Arc` refers to.
unsafe impl<T: Known> Handle for Arc<T> {
    type Opaque = T::Opaque;
    const KIND: Kind = T::KIND;

    fn into_raw(self) -> NonNull<()> {
        NonNull::new(Arc::into_raw(self).cast_mut()).expect("an address").cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { Arc::from_raw(raw.cast().as_ptr()) }
    }
}

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cown,
    WeakCown,
    /// A result is a cown as well.
    Result,
    Executor,
    Ready,
    Runtime,
    Batch,
    Scope,
    Promise,
    Pump,
}

/// A reference that is looked at, and stays C's.
pub(crate) struct Borrowed<H>(ManuallyDrop<H>);

impl<H> Deref for Borrowed<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}

/// For handles that one thread uses at a time.
impl<H> DerefMut for Borrowed<H> {
    fn deref_mut(&mut self) -> &mut H {
        &mut self.0
    }
}

/// Gives a reference to C.
pub(crate) fn give<H: Handle>(handle: H) -> *mut H::Opaque {
    table::enter(handle.into_raw(), H::KIND, false)
}

/// Lends C a reference: one that it can use, but not release.
///
/// # Safety
///
/// `raw` came out of `into_raw`, and its reference stays until [`end_loan`] is called.
pub(crate) unsafe fn lend<H: Handle>(raw: NonNull<()>) -> *mut H::Opaque {
    table::enter(raw, H::KIND, true)
}

pub(crate) fn end_loan<T>(handle: *mut T) {
    table::leave(handle);
}

/// Takes a reference back from C.
///
/// # Safety
///
/// `handle` is one that [`give`] gave for this type, and is not used any more; or NULL. In a debug build
/// anything.
pub(crate) unsafe fn take<H: Handle>(handle: *mut H::Opaque, name: &str) -> Result<H, Error> {
    if handle.is_null() {
        return Err(Error::null(name));
    }
    let raw = table::remove(handle, H::KIND, name)?;
    // SAFETY: passed on to the caller.
    Ok(unsafe { H::from_raw(raw) })
}

/// Looks at a reference that C has.
///
/// # Safety
///
/// `handle` is one that C has for this type, or NULL; it is not released while this is used. In a debug
/// build anything.
pub(crate) unsafe fn borrow<H: Handle>(
    handle: *const H::Opaque,
    name: &str,
) -> Result<Borrowed<H>, Error> {
    if handle.is_null() {
        return Err(Error::null(name));
    }
    let raw = table::resolve(handle.cast_mut(), H::KIND, name)?;
    // SAFETY: passed on to the caller; the reference is not given up.
    Ok(Borrowed(ManuallyDrop::new(unsafe { H::from_raw(raw) })))
}

pub(crate) use loans::Loans;

/// Handles to its cowns that were lent to a body, to be ended with it.
#[cfg(not(debug_assertions))]
mod loans {
    use super::{boc_cown, lend};
    use boc_core::raw::{AnyCown, CownPtr};

    #[derive(Default)]
    pub(crate) struct Loans;

    impl Loans {
        /// # Safety
        ///
        /// A reference to the cown stays as long as this.
        #[inline]
        pub(crate) unsafe fn lend(&mut self, _: usize, cown: CownPtr) -> *mut boc_cown {
            // SAFETY: passed on to the caller; nobody has to be told of the end.
            unsafe { lend::<AnyCown>(cown.into_raw()) }
        }
    }
}

/// The same with the table: each cown of a body has one handle as long as the body runs.
#[cfg(debug_assertions)]
mod loans {
    use super::{boc_cown, end_loan, lend};
    use boc_core::raw::{AnyCown, CownPtr};
    use std::collections::HashMap;

    #[derive(Default)]
    pub(crate) struct Loans(HashMap<usize, *mut boc_cown>);

    impl Loans {
        /// # Safety
        ///
        /// A reference to the cown stays as long as this.
        pub(crate) unsafe fn lend(&mut self, index: usize, cown: CownPtr) -> *mut boc_cown {
            // SAFETY: passed on to the caller.
            *self.0.entry(index).or_insert_with(|| unsafe { lend::<AnyCown>(cown.into_raw()) })
        }
    }

    impl Drop for Loans {
        fn drop(&mut self) {
            self.0.values().for_each(|handle| end_loan(*handle));
        }
    }
}

#[cfg(not(debug_assertions))]
mod table {
    use super::{Error, Kind, NonNull};

    #[inline]
    pub(super) fn enter<T>(raw: NonNull<()>, _: Kind, _: bool) -> *mut T {
        raw.cast().as_ptr()
    }

    #[inline]
    pub(super) fn leave<T>(_: *mut T) {}

    #[inline]
    pub(super) fn resolve<T>(handle: *mut T, _: Kind, name: &str) -> Result<NonNull<()>, Error> {
        NonNull::new(handle.cast()).ok_or_else(|| Error::null(name))
    }

    #[inline]
    pub(super) fn remove<T>(handle: *mut T, kind: Kind, name: &str) -> Result<NonNull<()>, Error> {
        resolve(handle, kind, name)
    }
}

#[cfg(debug_assertions)]
mod table {
    use super::{Error, Kind, NonNull};
    use crate::status::boc_status::{BOC_INVALID_HANDLE, BOC_NOT_ALLOWED};
    use std::{
        collections::HashMap,
        ptr,
        sync::{
            LazyLock, Mutex, MutexGuard, PoisonError,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    #[derive(Clone, Copy)]
    struct Entry {
        raw: usize,
        kind: Kind,
        lent: bool,
    }

    static TABLE: LazyLock<Mutex<HashMap<usize, Entry>>> = LazyLock::new(Mutex::default);

    fn table() -> MutexGuard<'static, HashMap<usize, Entry>> {
        TABLE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter<T>(raw: NonNull<()>, kind: Kind, lent: bool) -> *mut T {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        // Odd, so that it is no address of an object, and whoever looks into it is stopped early.
        let handle = 2 * NEXT.fetch_add(1, Relaxed) + 1;
        table().insert(handle, Entry { raw: raw.as_ptr().expose_provenance(), kind, lent });
        ptr::without_provenance_mut(handle)
    }

    pub(super) fn leave<T>(handle: *mut T) {
        table().remove(&handle.addr());
    }

    pub(super) fn resolve<T>(handle: *mut T, kind: Kind, name: &str) -> Result<NonNull<()>, Error> {
        let entry = table().get(&handle.addr()).copied();
        let is_it = |found: Kind| found == kind || (found == Kind::Result && kind == Kind::Cown);
        checked(entry, is_it, kind, name).map(|entry| entry.raw())
    }

    pub(super) fn remove<T>(handle: *mut T, kind: Kind, name: &str) -> Result<NonNull<()>, Error> {
        // Under one lock, so that of two that release it at the same time one is told.
        let mut table = table();
        let entry = table.get(&handle.addr()).copied();
        let is_it = |found: Kind| found == kind || (found == Kind::Result && kind == Kind::Cown);
        let entry = checked(entry, is_it, kind, name)?;
        // The cown of a result is lent by the result.
        if entry.lent || entry.kind != kind {
            let message = format!("`{name}` was only lent, so it is not yours to release");
            return Err(Error::new(BOC_NOT_ALLOWED, message));
        }
        table.remove(&handle.addr());
        Ok(entry.raw())
    }

    fn checked(
        entry: Option<Entry>,
        is_it: impl FnOnce(Kind) -> bool,
        kind: Kind,
        name: &str,
    ) -> Result<Entry, Error> {
        let message = match entry {
            Some(entry) if is_it(entry.kind) => return Ok(entry),
            Some(entry) => {
                format!("`{name}` should be of kind {kind:?}, but is of kind {:?}", entry.kind)
            }
            None => format!("`{name}` was released before, or is no handle of this library"),
        };
        Err(Error::new(BOC_INVALID_HANDLE, message))
    }

    impl Entry {
        fn raw(self) -> NonNull<()> {
            NonNull::new(ptr::with_exposed_provenance_mut(self.raw)).expect("it is an address")
        }
    }
}
