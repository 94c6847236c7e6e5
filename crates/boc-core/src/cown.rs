//! Cowns: data that only the behaviour which holds it can reach.

use alloc::boxed::Box;
use core::{cell::UnsafeCell, fmt, marker::PhantomData, ptr::NonNull};

use crate::{
    slot::Slot,
    sync::atomic::{
        AtomicPtr, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// What every cown has, whatever it holds. Behaviours know their cowns by this alone.
#[repr(C)]
pub(crate) struct Header {
    /// The last slot in the queue of this cown; null when nobody holds it. See [`crate::slot`].
    pub(crate) tail: AtomicPtr<Slot>,
    /// Strong references: handles, and slots of behaviours that have not released the cown yet.
    refs: AtomicUsize,
    /// Drops the value and frees the memory.
    destroy: unsafe fn(NonNull<Header>),
}

impl Header {
    pub(crate) fn new(tail: *mut Slot, refs: usize, destroy: unsafe fn(NonNull<Header>)) -> Self {
        Self { tail: AtomicPtr::new(tail), refs: AtomicUsize::new(refs), destroy }
    }

    /// Adds a reference.
    ///
    /// # Safety
    ///
    /// The caller has a reference, or knows of one that outlives the call.
    pub(crate) unsafe fn retain(this: NonNull<Header>) {
        // Relaxed: a new reference is made from an existing one, which keeps the cown alive.
        // SAFETY: as above.
        let before = unsafe { this.as_ref() }.refs.fetch_add(1, Relaxed);
        if before > isize::MAX as usize {
            too_many_references();
        }
    }

    /// Gives one reference back; the last one destroys the cown.
    ///
    /// # Safety
    ///
    /// The caller owns the reference and does not use it afterwards.
    pub(crate) unsafe fn release(this: NonNull<Header>) {
        // SAFETY: the caller's reference keeps the header alive up to the subtraction.
        let header = unsafe { this.as_ref() };
        // The only reference: nobody can make another one, so no exchange is needed to be the last.
        // Acquire: pairs with the Release of those who gave theirs up before.
        if header.refs.load(Acquire) != 1 {
            // Release: pairs with the Acquire of the thread that drops the last reference, so that
            // all use of the cown happens before its destruction.
            if header.refs.fetch_sub(1, Release) != 1 {
                return;
            }
            // Acquire: what is read is the end of a sequence of subtractions, so this pairs with all
            // of them. A fence would do, but ThreadSanitizer does not see fences.
            header.refs.load(Acquire);
        }
        // SAFETY: this was the last reference.
        unsafe {
            #[cfg(feature = "std")]
            crate::burial::destroy(this);
            // Without thread-locals there is nothing to remember by how deep the ends are nested.
            #[cfg(not(feature = "std"))]
            Header::destroy_now(this);
        }
    }

    /// Drops the value and frees the memory.
    ///
    /// # Safety
    ///
    /// No reference is left.
    pub(crate) unsafe fn destroy_now(this: NonNull<Header>) {
        // SAFETY: passed on to the caller.
        unsafe { (this.as_ref().destroy)(this) };
    }

    /// The number of references at this moment.
    pub(crate) fn references(&self) -> usize {
        self.refs.load(Relaxed)
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

impl<T: Send + 'static> Cown<T> {
    /// A new cown that nobody holds.
    pub fn new(value: T) -> Self {
        let body = Box::new(Body {
            header: Header::new(core::ptr::null_mut(), 1, destroy_boxed::<T>),
            value: UnsafeCell::new(value),
        });
        // SAFETY: the new box has one reference, which is handed to the `Cown`.
        unsafe { Self::from_body(NonNull::from(Box::leak(body))) }
    }
}

/// Drops a cown that [`Cown::new`] made.
unsafe fn destroy_boxed<T>(header: NonNull<Header>) {
    // SAFETY: `header` is the first field of a leaked `Box<Body<T>>`, and no reference is left.
    drop(unsafe { Box::from_raw(header.cast::<Body<T>>().as_ptr()) });
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
        // SAFETY: the body is alive; no reference to the value is made.
        unsafe { UnsafeCell::raw_get(&raw const (*self.body.as_ptr()).value) }
    }
}

impl<T> Clone for Cown<T> {
    fn clone(&self) -> Self {
        // SAFETY: this handle keeps the cown alive; the new reference belongs to the clone.
        unsafe {
            Header::retain(self.header());
            Self::from_body(self.body)
        }
    }
}

impl<T> Drop for Cown<T> {
    fn drop(&mut self) {
        // SAFETY: the handle owns one reference, and is gone after this.
        unsafe { Header::release(self.header()) };
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
