//! Scopes: waiting for some behaviours, and all that they lead to.

use alloc::boxed::Box;
use core::{cell::UnsafeCell, fmt, ptr::NonNull};

use crate::{
    executor::{ExecutorRef, Head, Ready, Seat, VTable, Watched},
    handle::Handle,
    outcome::swallow,
    promise::Promise,
    request::Request,
    sync::{
        Arc,
        atomic::{
            AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

/// Behaviours that can be waited for together, with all that they schedule in turn.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::{Cown, when};
///
/// let words = Cown::new(Vec::new());
/// runtime.scope(|scope| {
///     let again = words.clone();
///     scope.when(&words, move |words| {
///         words.push("first");
///         // Scheduled inside of a behaviour of the scope, so part of it.
///         when(&again, |words| words.push("second"));
///     });
/// });
/// // Here both have ended.
/// assert_eq!(runtime.when(&words, |words| words.len()).wait().unwrap(), 2);
/// ```
///
/// What a behaviour of the scope schedules by [`when`](crate::when) is part of the scope, too; what it
/// schedules on another executor is not. Other behaviours of the same runtime are not waited for. Inside of behaviours, where nothing may
/// wait, [`Scope::close`] gives a handle to schedule over.
pub struct Scope {
    counting: Counting,
    ended: Handle<()>,
}

impl Scope {
    /// A scope of behaviours that run on `executor`.
    pub fn new(executor: &ExecutorRef) -> Self {
        let (promise, ended) = Promise::new();
        let counting = Counting::new(executor, move || {
            // Nobody is told if all have lost interest.
            let _ = promise.fulfil(());
        });
        Self { counting, ended }
    }

    /// The executor of the scope: all that is scheduled on it is part of the scope. After the scope
    /// has ended it takes no more.
    pub fn executor(&self) -> &ExecutorRef {
        self.counting.executor()
    }

    /// Schedules `body` in the scope; see [`ExecutorRef::when`].
    ///
    /// # Panics
    ///
    /// If a cown is named twice; see [`ExecutorRef::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&self, request: Q, body: F) -> Handle<R>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.executor().when(request, body)
    }

    /// Ends the scope when all its behaviours have ended. They may go on scheduling others until then.
    ///
    /// The handle is to the end of the scope: to be waited for, or scheduled over. But not together with a
    /// cown over which behaviours of the scope are still going to schedule: that one would stand in their way
    /// while it waits for them.
    pub fn close(self) -> Handle<()> {
        self.ended
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(self.executor()).finish()
    }
}

/// What a [`Scope`] is made of: an executor that calls a function when this was dropped, and all that was
/// scheduled on it has ended.
pub struct Counting {
    executor: ExecutorRef,
    /// Its own share of the count.
    _share: Share,
}

/// The executor of a scope: another one, and a count.
#[repr(C)]
struct Counted {
    head: Head,
    inner: ExecutorRef,
    /// Behaviours that have not ended, and one while the scope is not closed.
    count: AtomicUsize,
    /// Called by who gives up the last share, and touched by nobody else.
    ended: UnsafeCell<Option<Box<dyn FnOnce() + Send>>>,
}

// SAFETY: `ended` is used by one thread, see there; the rest is shared by its own means.
unsafe impl Sync for Counted {}
// SAFETY: as above.
unsafe impl Send for Counted {}

/// One of the things that are counted.
struct Share(Arc<Counted>);

impl Drop for Share {
    fn drop(&mut self) {
        // AcqRel: all that the scope's behaviours did happens before its end.
        if self.0.count.fetch_sub(1, AcqRel) == 1 {
            // SAFETY: this was the last share, and there will be none any more.
            let ended = unsafe { (*self.0.ended.get()).take() };
            ended.into_iter().for_each(|ended| ended());
        }
    }
}

impl Counting {
    /// Counts behaviours that run on `executor`. `ended` is called on the thread that ends the last one,
    /// and must not block there.
    pub fn new(executor: &ExecutorRef, ended: impl FnOnce() + Send + 'static) -> Self {
        let counted = Arc::new(Counted {
            head: Head::new(&VTABLE),
            inner: executor.clone(),
            count: AtomicUsize::new(1),
            ended: UnsafeCell::new(Some(Box::new(ended))),
        });
        let data = Arc::into_raw(Arc::clone(&counted)).cast_mut();
        // SAFETY: the reference of the `Arc` goes to the `ExecutorRef`; the head comes first.
        let executor = unsafe { ExecutorRef::from_raw(NonNull::new_unchecked(data).cast()) };
        Self { executor, _share: Share(counted) }
    }

    /// The executor to schedule on.
    pub fn executor(&self) -> &ExecutorRef {
        &self.executor
    }
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counting").field(&self.executor).finish()
    }
}

/// The seat of a behaviour whose inner executor has something of its own to know it by.
#[repr(C)]
struct Inner {
    head: Head,
    share: Share,
    seat: Seat,
}

/// Of a scope, and of the behaviours that have the scope itself as their seat.
static VTABLE: VTable = VTable {
    retain: |head| {
        // SAFETY: `head` came out of `Arc::into_raw`, and the caller knows of a live reference.
        unsafe { Arc::increment_strong_count(head.cast::<Counted>().as_ptr()) }
    },
    release: |head| {
        // SAFETY: `head` came out of `Arc::into_raw`, and the caller gives up a reference.
        unsafe { Arc::decrement_strong_count(head.cast::<Counted>().as_ptr()) }
    },
    wait_for_room: Some(|head| {
        // SAFETY: as above.
        unsafe { head.cast::<Counted>().as_ref() }.inner.wait_for_room();
    }),
    begin: |head| {
        // SAFETY: as above.
        let counted = unsafe { referenced(head) };
        // A scope that has ended does not begin again. Relaxed: this is a share from a share.
        let more = |count| (count > 0).then(|| count + 1);
        counted.count.fetch_update(Relaxed, Acquire, more).ok()?;
        let share = Share(counted);
        let seat = share.0.inner.begin()?;
        if seat.is_that_of(&share.0.inner) {
            // The share and its reference are taken up again by `end`.
            core::mem::forget(share);
            Some(head)
        } else {
            let inner = Inner { head: Head::new(&INNER), share, seat };
            Some(NonNull::from(Box::leak(Box::new(inner))).cast())
        }
    },
    end: |head| {
        // SAFETY: `begin` left the reference, and the share, for this.
        let share = Share(unsafe { Arc::from_raw(head.cast::<Counted>().as_ptr()) });
        // SAFETY: the inner executor has counted the behaviour in, on a seat that is its own.
        unsafe { Seat::of(&share.0.inner).end() };
        swallow(|| drop(share));
    },
    execute: |head, ready| {
        // SAFETY: the behaviour in `ready` has a reference; this is one for the time after it ran.
        let counted = unsafe { referenced(head) };
        // SAFETY: as for `end`.
        let taken = unsafe { Seat::of(&counted.inner).execute(ready) };
        swallow(|| drop(counted));
        taken
    },
    execute_all: None,
    is_executor: true,
    watched: None,
};

/// Of the other behaviours. In an exploration they schedule on the exploration itself; a runtime that
/// observes them learns by `watched` what to lend them.
static INNER: VTable = VTable {
    end: |head| {
        // SAFETY: `begin` made it, and this is its last use.
        let inner = unsafe { Box::from_raw(head.cast::<Inner>().as_ptr()) };
        let Inner { share, seat, .. } = *inner;
        // SAFETY: the seat is that of this behaviour.
        unsafe { seat.end() };
        swallow(|| drop(share));
    },
    execute: |head, ready: Ready| {
        // SAFETY: the behaviour in `ready` has not ended.
        unsafe { head.cast::<Inner>().as_ref().seat.execute(ready) }
    },
    watched: Some(|head| {
        // SAFETY: the behaviour whose seat this is has not ended.
        let inner = unsafe { head.cast::<Inner>().as_ref() };
        let scope = NonNull::new(Arc::as_ptr(&inner.share.0).cast_mut())?;
        Some(Watched { ticket: inner.seat.watched()?.ticket, lender: Some(Seat::at(scope.cast())) })
    }),
    ..VTable::OF_ONE_BEHAVIOUR
};

/// A reference of one's own.
///
/// # Safety
///
/// `head` came out of `Arc::into_raw`, and the scope's executor is alive.
unsafe fn referenced(head: NonNull<Head>) -> Arc<Counted> {
    let counted = head.cast::<Counted>().as_ptr();
    // SAFETY: passed on to the caller.
    unsafe {
        Arc::increment_strong_count(counted);
        Arc::from_raw(counted)
    }
}
