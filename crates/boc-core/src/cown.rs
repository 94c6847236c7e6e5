//! Cowns: data that only the behaviour which holds it can reach.

use alloc::boxed::Box;
use core::{
    any::TypeId, cell::UnsafeCell, fmt, marker::PhantomData, mem::ManuallyDrop, ptr::NonNull,
};

#[cfg(feature = "std")]
use crate::census;
use crate::{
    backoff::Backoff,
    burial,
    readers::Readers,
    slot::{Slot, Status},
    sync::atomic::{
        AtomicPtr, AtomicU32,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// In [`Header::weak`]; see [`Header::is_unshared`].
const LOCKED: u32 = u32::MAX;

/// What every cown has, whatever it holds. Behaviours know their cowns by this alone.
#[repr(C, align(8))]
pub(crate) struct Header {
    /// The last slot in the queue of this cown; null when nobody stands in it. See [`crate::slot`].
    pub(crate) tail: AtomicPtr<Status>,
    pub(crate) readers: Readers,
    /// Strong references: handles, one for the queue while that is not empty, which keeps the cown for
    /// all that stand in it, and one for all behaviours together that read the cown right now, which
    /// may have left the queue.
    strong: AtomicU32,
    /// Weak references, and one for all the strong ones together. Zero as long as there has never
    /// been a weak one; [`LOCKED`] for the moment in which somebody looks whether there is none.
    weak: AtomicU32,
    vtable: &'static VTable,
}

/// What depends on the type of a cown's value, and on what it was allocated as part of.
pub(crate) struct VTable {
    /// Drops the value.
    pub(crate) drop_value: unsafe fn(NonNull<Header>),
    /// Frees the memory, which holds no value any more.
    pub(crate) free: unsafe fn(NonNull<Header>),
    /// What type the value has.
    pub(crate) type_id: fn() -> TypeId,
    /// Whether the cown is the result of a behaviour.
    pub(crate) is_result: bool,
}

impl Header {
    pub(crate) fn new(tail: *mut Status, strong: u32, vtable: &'static VTable) -> Self {
        Self {
            tail: AtomicPtr::new(tail),
            readers: Readers::new(),
            strong: AtomicU32::new(strong),
            weak: AtomicU32::new(0),
            vtable,
        }
    }

    /// Adds a reference. The caller has one, or knows of one that outlives the call.
    #[inline]
    pub(crate) fn retain(&self) {
        // Relaxed: a new reference is made from an existing one, which keeps the cown alive.
        if self.strong.fetch_add(1, Relaxed) > i32::MAX as u32 {
            too_many_references();
        }
    }

    /// Counts readers in, with the reference for all of them if they are the first ones.
    pub(crate) fn add_readers(&self, count: u32) {
        if self.readers.add(count) {
            self.retain();
        }
    }

    /// For who has found the queue empty with a chain that starts with this slot, and so many readers. Says
    /// whether it holds the cown by that.
    ///
    /// # Safety
    ///
    /// As for [`Readers::admit_writer`].
    #[inline]
    pub(crate) unsafe fn take_free(&self, first: NonNull<Slot>, leading_readers: u32) -> bool {
        // For the queue, which is not empty any more.
        self.retain();
        if leading_readers > 0 {
            self.add_readers(leading_readers);
            return true;
        }
        // SAFETY: passed on to the caller.
        unsafe { self.readers.admit_writer(first) }
    }

    /// Gives references back. Says whether these were the last ones: then the caller ends the value.
    ///
    /// # Safety
    ///
    /// The caller owns `count` references, more than zero, and does not use them afterwards.
    #[inline]
    pub(crate) unsafe fn give_back(this: NonNull<Header>, count: u32) -> bool {
        // SAFETY: the caller's reference keeps the header alive up to the subtraction.
        let header = unsafe { this.as_ref() };
        // Nobody can make another one, so no exchange is needed to be the last.
        if header.is_only_reference(count) {
            return true;
        }
        // Release: pairs with the Acquire of the thread that drops the last reference, so that
        // all use of the cown happens before its destruction.
        if header.strong.fetch_sub(count, Release) != count {
            return false;
        }
        // Acquire: what is read is the end of a sequence of subtractions, so this pairs with all
        // of them. A fence would do, but ThreadSanitizer does not see fences.
        header.strong.load(Acquire);
        true
    }

    /// Gives references back; the last one ends the value.
    ///
    /// # Safety
    ///
    /// As for [`Header::give_back`].
    pub(crate) unsafe fn release(this: NonNull<Header>, count: u32) {
        // SAFETY: passed on to the caller. These were the last references.
        unsafe {
            if Header::give_back(this, count) {
                burial::destroy(this);
            }
        }
    }

    /// Whether `count` references, which the caller has, are all there are. If so, all use of the
    /// cown by others happened before.
    pub(crate) fn is_only_reference(&self, count: u32) -> bool {
        // In this order: if there has never been a weak reference up to the second load, then there
        // was nobody else at the first one, and nobody has come since.
        // Acquire: pairs with the Release of those who gave theirs up before.
        self.strong.load(Acquire) == count && self.weak.load(Relaxed) == 0
    }

    /// Whether the caller's reference is the only one, and no weak one could become another. If so, all use of
    /// the cown by others happened before.
    ///
    /// Unlike [`Header::is_only_reference`] it also finds that weak references are gone again.
    pub(crate) fn is_unshared(&self) -> bool {
        // Acquire: pairs with the Release of a weak reference that was given up.
        match self.weak.compare_exchange(1, LOCKED, Acquire, Relaxed) {
            Ok(_) => {
                // There is no weak reference, and as long as this is locked none is made. So if the caller's
                // strong one is the only one, there is nobody left who could make another of either kind.
                // Acquire: pairs with the Release of those who gave theirs up before.
                let alone = self.strong.load(Acquire) == 1;
                // Release: pairs with the Acquire in `retain_weak`.
                self.weak.store(1, Release);
                alone
            }
            Err(0) => self.is_only_reference(1),
            Err(_) => false,
        }
    }

    /// Ends the value, and gives up the weak reference that the strong ones had together.
    ///
    /// # Safety
    ///
    /// No strong reference is left; called once.
    pub(crate) unsafe fn destroy_now(this: NonNull<Header>) {
        /// Frees the memory also if the value's destructor panics.
        struct Memory(NonNull<Header>);
        impl Drop for Memory {
            fn drop(&mut self) {
                // SAFETY: the value is gone, and the strong references' share of the memory with it.
                unsafe {
                    // Acquire: pairs with the Release of the weak references that went before.
                    if self.0.as_ref().weak.load(Acquire) == 0 {
                        (self.0.as_ref().vtable.free)(self.0);
                    } else {
                        Header::release_weak(self.0);
                    }
                }
            }
        }
        let memory = Memory(this);
        // SAFETY: nobody else reaches the value.
        unsafe { (this.as_ref().vtable.drop_value)(this) };
        drop(memory);
    }

    /// Adds a weak reference. The caller has a strong one, or a weak one, that outlives the call.
    pub(crate) fn retain_weak(&self) {
        let add = |weak: u32| match weak {
            LOCKED => None,
            0 => Some(2),
            weak if weak > i32::MAX as u32 => too_many_references(),
            weak => Some(weak + 1),
        };
        let mut backoff = Backoff::new();
        // Acquire: pairs with `is_unshared`, which this comes after if it finds it over. Relaxed otherwise: as
        // for `retain`.
        while self.weak.fetch_update(Acquire, Relaxed, add).is_err() {
            backoff.snooze();
        }
    }

    /// Gives a weak reference back; the last one frees the memory.
    ///
    /// # Safety
    ///
    /// The caller owns the reference and does not use it afterwards.
    pub(crate) unsafe fn release_weak(this: NonNull<Header>) {
        // SAFETY: the reference keeps the memory up to the subtraction; if it was the last one, there
        // is neither a value nor anybody else.
        unsafe {
            // AcqRel: as for the strong ones, in one.
            if this.as_ref().weak.fetch_sub(1, AcqRel) == 1 {
                (this.as_ref().vtable.free)(this);
            }
        }
    }

    /// Makes a strong reference out of a weak one; `false` if no strong one is left.
    pub(crate) fn upgrade(&self) -> bool {
        let add = |strong: u32| {
            if strong > i32::MAX as u32 {
                too_many_references();
            }
            (strong > 0).then(|| strong + 1)
        };
        // Acquire: pairs with the Release of a handle that was given up, as if this one came from it.
        self.strong.fetch_update(Acquire, Relaxed, add).is_ok()
    }

    /// What the cown is allocated as.
    pub(crate) fn vtable(&self) -> &'static VTable {
        self.vtable
    }
}

/// Ends the process: if the count wrapped, a cown would be freed while it is in use. Unwinding would
/// not do, since the caller could go on and do it again.
#[cold]
fn too_many_references() -> ! {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            panic!("a panic while panicking ends the process");
        }
    }
    let _abort = Abort;
    panic!("too many references to one cown");
}

/// A cown with its value in place.
#[repr(C)]
pub(crate) struct Body<T> {
    pub(crate) header: Header,
    pub(crate) value: UnsafeCell<T>,
}

/// A concurrently owned value: data that is reached only by the behaviour that holds it.
///
/// A `Cown` is a handle; clones of it name the same cown. To get at the value, schedule a behaviour
/// over it, for instance with [`Runtime::when`](crate::Runtime::when). Two cowns are equal, and
/// hash and order alike, if they are the same cown; no comparison looks at the value.
///
/// A cown may hold handles to other cowns, so a cycle of them is possible; it is never freed, like
/// one of `Arc`s.
///
/// `Cown<T>` is `Send` and `Sync` when `T` is `Send`: the value moves between threads, one at a
/// time. What must stay on its thread cannot be in a cown:
///
/// ```compile_fail,E0277
/// boc_core::Cown::new(std::rc::Rc::new(1));
/// ```
///
/// Neither the outcome of a behaviour nor anything else can take a reference to the value along:
///
/// ```compile_fail
/// # use boc_core::{Cown, Runtime};
/// # let runtime = Runtime::with_workers(1);
/// let name = Cown::new(String::from("boc"));
/// runtime.when(&name, |name| name.as_str());
/// ```
///
/// ```compile_fail,E0521
/// # use boc_core::{Cown, Runtime};
/// # let runtime = Runtime::with_workers(1);
/// let name = Cown::new(String::from("boc"));
/// let (sender, receiver) = std::sync::mpsc::channel::<&'static mut String>();
/// runtime.when(&name, move |name| sender.send(name).unwrap());
/// ```
pub struct Cown<T> {
    body: NonNull<Body<T>>,
    owns: PhantomData<T>,
}

// SAFETY: the value is reached by one behaviour at a time (or by the thread that drops the last
// handle), with a happens-before edge from each to the next, so it is only ever sent.
unsafe impl<T: Send> Send for Cown<T> {}
// SAFETY: as above: a shared `Cown` gives no shared access to the value.
unsafe impl<T: Send> Sync for Cown<T> {}

/// A handle is a pointer, which may move as it likes.
impl<T> Unpin for Cown<T> {}

impl<T: Send + 'static> Cown<T> {
    /// A new cown that nobody holds.
    pub fn new(value: T) -> Self {
        #[cfg(feature = "std")]
        census::make();
        let body = Box::new(Body {
            header: Header::new(core::ptr::null_mut(), 1, const { &boxed::<T>() }),
            value: UnsafeCell::new(value),
        });
        // SAFETY: the new box has one reference, which is handed to the `Cown`.
        unsafe { Self::from_body(NonNull::from(Box::leak(body))) }
    }
}

/// For cowns that [`Cown::new`] made.
pub(crate) const fn boxed<T: 'static>() -> VTable {
    VTable {
        drop_value: |header| {
            #[cfg(feature = "std")]
            census::destroy();
            // SAFETY: `header` is the first field of a `Body<T>`, whose value is there and nobody
            // else's.
            unsafe { (*header.cast::<Body<T>>().as_ptr()).value.get().drop_in_place() };
        },
        free: |header| {
            let body = header.cast::<Body<ManuallyDrop<T>>>();
            // SAFETY: the body came out of a `Box`, its value is gone, and with the wrapper around it
            // the type has the same layout.
            drop(unsafe { Box::from_raw(body.as_ptr()) });
        },
        type_id: TypeId::of::<T>,
        is_result: false,
    }
}

impl<T> Cown<T> {
    /// Takes over one reference to a cown.
    ///
    /// # Safety
    ///
    /// The caller owns the reference and gives it up.
    pub(crate) unsafe fn from_body(body: NonNull<Body<T>>) -> Self {
        Self { body, owns: PhantomData }
    }

    pub(crate) fn header(&self) -> NonNull<Header> {
        self.body.cast()
    }

    /// Where the value lives. Valid as long as a reference to the cown exists; to be dereferenced
    /// by who holds the cown only.
    pub(crate) fn value_ptr(&self) -> *mut T {
        // SAFETY: the body is alive.
        unsafe { Self::value_in(self.body) }
    }

    /// Where the value of a cown with this body lives.
    ///
    /// # Safety
    ///
    /// The body is alive.
    pub(crate) unsafe fn value_in(body: NonNull<Body<T>>) -> *mut T {
        // SAFETY: passed on to the caller; no reference to the value is made.
        unsafe { UnsafeCell::raw_get(&raw const (*body.as_ptr()).value) }
    }
}

impl<T> Clone for Cown<T> {
    fn clone(&self) -> Self {
        // SAFETY: this handle keeps the cown alive; the new reference belongs to the clone.
        unsafe {
            self.header().as_ref().retain();
            Self::from_body(self.body)
        }
    }
}

impl<T> Drop for Cown<T> {
    fn drop(&mut self) {
        // SAFETY: the handle owns one reference, and is gone after this.
        unsafe { Header::release(self.header(), 1) };
    }
}

impl<T> PartialEq for Cown<T> {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
    }
}

impl<T> Eq for Cown<T> {}

impl<T> PartialOrd for Cown<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Cown<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.body.cmp(&other.body)
    }
}

impl<T> core::hash::Hash for Cown<T> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.body.hash(state);
    }
}

impl<T> fmt::Debug for Cown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cown").field(&self.body.as_ptr()).finish()
    }
}

/// A reference to a cown that does not keep its value.
///
/// For cycles: a cown that refers to the one which owns it, a cache, a list of observers.
///
/// ```
/// use boc_core::Cown;
///
/// let cown = Cown::new(1);
/// let weak = cown.downgrade();
/// assert_eq!(weak.upgrade(), Some(cown.clone()));
/// drop(cown);
/// assert_eq!(weak.upgrade(), None);
/// ```
///
/// The value is dropped with the last [`Cown`] and behaviour; the memory it lay in is freed with the
/// last `WeakCown`.
pub struct WeakCown<T> {
    body: NonNull<Body<T>>,
}

// SAFETY: as for `Cown`, which it can become.
unsafe impl<T: Send> Send for WeakCown<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for WeakCown<T> {}

impl<T> Cown<T> {
    /// A reference that does not keep the value.
    pub fn downgrade(&self) -> WeakCown<T> {
        // SAFETY: this handle keeps the cown alive.
        unsafe { self.header().as_ref() }.retain_weak();
        WeakCown { body: self.body }
    }
}

impl<T> WeakCown<T> {
    fn header(&self) -> &Header {
        // SAFETY: the weak reference keeps the memory.
        unsafe { self.body.cast().as_ref() }
    }

    /// The cown, if its value is still there.
    pub fn upgrade(&self) -> Option<Cown<T>> {
        // SAFETY: the new strong reference belongs to the handle.
        self.header().upgrade().then(|| unsafe { Cown::from_body(self.body) })
    }
}

impl<T> Clone for WeakCown<T> {
    fn clone(&self) -> Self {
        self.header().retain_weak();
        Self { body: self.body }
    }
}

impl<T> Drop for WeakCown<T> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and gone after this.
        unsafe { Header::release_weak(self.body.cast()) };
    }
}

impl<T> fmt::Debug for WeakCown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakCown").field(&self.body.as_ptr()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use alloc::sync::Arc;

    #[test]
    fn the_last_handle_drops_the_value_once() {
        let value = Arc::new(());
        let cown = Cown::new(Arc::clone(&value));
        let other = cown.clone();
        drop(cown);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(other);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn cowns_compare_by_identity() {
        let a = Cown::new(1);
        let b = Cown::new(1);
        assert_eq!(a, a.clone());
        assert_ne!(a, b);
        assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    }
}
