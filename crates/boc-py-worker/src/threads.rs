//! Attaching threads, and detaching them while they wait.

use pyo3_ffi::{self as ffi, PyThreadState};
use std::{
    cell::Cell,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::interpreter::{self, where_now};

/// Calls `f` on this thread, which is attached meanwhile: to the interpreter that it is attached to
/// already, or else to the main one.
pub fn attached<R>(f: impl FnOnce() -> R) -> R {
    /// Gives back what was had.
    struct Attached(ffi::PyGILState_STATE);
    impl Drop for Attached {
        fn drop(&mut self) {
            // SAFETY: pairs with the call below, on the same thread.
            unsafe { ffi::PyGILState_Release(self.0) };
        }
    }
    if where_now().is_attached() {
        return f();
    }
    // SAFETY: the interpreter exists: nobody gets here who has not been given something of it.
    let _attached = Attached(unsafe { ffi::PyGILState_Ensure() });
    f()
}

/// Calls `f` on this thread, which is attached to the main interpreter meanwhile if it is attached to that of
/// a worker.
pub fn at_home<R>(f: impl FnOnce() -> R) -> R {
    if where_now().is_worker() {
        interpreter::main().visit(f).expect("the main interpreter lives as long as its pools")
    } else {
        f()
    }
}

/// Calls `f` on this thread, which is detached meanwhile.
pub fn detached<R>(f: impl FnOnce() -> R) -> R {
    /// Attaches again.
    struct Detached(*mut PyThreadState);
    impl Drop for Detached {
        fn drop(&mut self) {
            // SAFETY: the state is this thread's, and was put aside below.
            unsafe { ffi::PyEval_RestoreThread(self.0) };
        }
    }
    // SAFETY: callers are attached.
    let _detached = Detached(unsafe { ffi::PyEval_SaveThread() });
    f()
}

/// Calls `f` on this thread, which is not attached meanwhile, whether it was before or not.
pub(crate) fn unattached<R>(f: impl FnOnce() -> R) -> R {
    if where_now().is_attached() { detached(f) } else { f() }
}

/// Locks what a thread may keep locked that forks, which can give up the lock of the interpreter meanwhile. So this
/// thread, whether it is attached or not, waits without that.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(locked) => return locked,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            // Given back at once, since to attach again means to wait.
            Err(TryLockError::WouldBlock) => unattached(|| drop(mutex.lock())),
        }
    }
}

/// Waits until `what` holds of what a lock protects, or the moment has come (none: never). Says whether it holds.
/// Not attached.
pub(crate) fn wait_until<T>(
    mut locked: MutexGuard<'_, T>,
    changed: &Condvar,
    until: Option<Instant>,
    what: impl Fn(&T) -> bool,
) -> bool {
    while !what(&locked) {
        let Some(until) = until else {
            locked = changed.wait(locked).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        locked = changed.wait_timeout(locked, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}

/// The token of no thread.
pub const NOBODY: u32 = 0;

/// A number that no other thread ever has, and that is not [`NOBODY`].
pub fn this_thread() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(NOBODY);
    thread_local! {
        static TOKEN: Cell<u32> = const { Cell::new(NOBODY) };
    }
    TOKEN.with(|token| {
        if token.get() == NOBODY {
            let next = LAST.fetch_add(1, Relaxed).checked_add(1);
            token.set(next.expect("a process has fewer threads than that"));
        }
        token.get()
    })
}
