//! The one place that chooses between the real primitives and those of the model checker.
//!
//! Everything in this crate that another thread can see goes through here: atomics, fences, shared
//! ownership, locks, condition variables, thread-locals, spinning. `--cfg loom` swaps in loom's;
//! `--cfg tsan` lets ThreadSanitizer see the locks.

#[cfg(all(feature = "std", not(loom), tsan))]
mod tsan;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic;
#[cfg(loom)]
pub(crate) use loom::sync::atomic;

/// For what one thread has to itself at a time; the checker complains if that is not so.
#[cfg(not(loom))]
pub(crate) use core::cell::Cell;
#[cfg(loom)]
pub(crate) use loom::cell::Cell;

#[cfg(not(loom))]
pub(crate) use alloc::sync::Arc;
#[cfg(loom)]
pub(crate) use loom::sync::Arc;

#[cfg(all(feature = "std", loom))]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(all(feature = "std", not(loom), not(tsan)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(all(feature = "std", not(loom), tsan))]
pub(crate) use tsan::{Condvar, Mutex, MutexGuard};

/// For the waker of a task, which one thread sets and another one calls.
#[cfg(not(loom))]
pub(crate) use atomic_waker::AtomicWaker;

/// The checker does not see into the other one.
#[cfg(loom)]
pub(crate) struct AtomicWaker(loom::sync::Mutex<Option<core::task::Waker>>);

#[cfg(loom)]
impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(None))
    }

    pub(crate) fn register(&self, waker: &core::task::Waker) {
        *self.0.lock().unwrap() = Some(waker.clone());
    }

    pub(crate) fn wake(&self) {
        let waker = self.0.lock().unwrap().take();
        waker.into_iter().for_each(core::task::Waker::wake);
    }
}

/// A value with its cache lines to itself, so that who writes what lies beside it does not slow down
/// who uses it. 128 bytes: processors fetch lines in pairs.
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> core::ops::Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Pauses so many times, and tells the processor (or the model checker) that this thread waits for
/// another one.
pub(crate) fn spin(times: u32) {
    for _ in 0..times {
        #[cfg(loom)]
        loom::hint::spin_loop();
        #[cfg(not(loom))]
        core::hint::spin_loop();
    }
}

/// Fetches a cache line, where the processor can be told so. Any address will do.
#[cfg(all(feature = "std", not(loom)))]
#[inline]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Gives the rest of this thread's time slice away, where there is an operating system to take it.
pub(crate) fn yield_thread() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(all(feature = "std", not(loom)))]
    std::thread::yield_now();
    #[cfg(all(not(feature = "std"), not(loom)))]
    core::hint::spin_loop();
}

/// Whether this is the handle of the calling thread.
///
/// Not by `std::thread::current`, which does not exist any more while a thread is torn down.
#[cfg(all(feature = "std", unix))]
pub(crate) fn is_current<T>(thread: &std::thread::JoinHandle<T>) -> bool {
    use std::os::unix::thread::{JoinHandleExt, RawPthread};

    unsafe extern "C" {
        safe fn pthread_self() -> RawPthread;
    }
    thread.as_pthread_t() == pthread_self()
}

/// Whether this is the handle of the calling thread.
#[cfg(all(feature = "std", not(unix)))]
pub(crate) fn is_current<T>(thread: &std::thread::JoinHandle<T>) -> bool {
    thread.thread().id() == std::thread::current().id()
}

/// The content of a mutex, also after a panic of another thread that held it.
///
/// The critical sections of this crate run no foreign code, so a poisoned lock still guards a
/// consistent value.
#[cfg(feature = "std")]
macro_rules! lock {
    ($mutex:expr) => {
        match $mutex.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    };
}
#[cfg(feature = "std")]
pub(crate) use lock;

/// A thread-local, initialised by a constant where that makes its use cheaper.
#[cfg(feature = "std")]
macro_rules! local {
    ($($(#[$meta:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        #[cfg(loom)]
        loom::thread_local! { $($(#[$meta])* static $name: $type = $value;)* }
        #[cfg(not(loom))]
        std::thread_local! { $($(#[$meta])* static $name: $type = const { $value };)* }
    };
}
#[cfg(feature = "std")]
pub(crate) use local;

/// Something made on one thread and used on another one: the checker panics in [`Watched::see`] if
/// nothing orders the two.
#[cfg(all(test, loom))]
pub(crate) struct Watched(loom::cell::UnsafeCell<()>);

#[cfg(all(test, loom))]
impl Watched {
    pub(crate) fn new() -> Self {
        let watched = Self(loom::cell::UnsafeCell::new(()));
        watched.0.with_mut(|_| ());
        watched
    }

    pub(crate) fn see(&self) {
        self.0.with_mut(|_| ());
    }
}
