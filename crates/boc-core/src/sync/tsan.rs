//! The standard library's locks, announced to ThreadSanitizer: they come compiled and without
//! instrumentation, so that it would not see the order they make.

use core::{
    ffi::c_void,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
};
use std::{
    sync::{LockResult, PoisonError},
    time::Duration,
};

unsafe extern "C" {
    safe fn __tsan_acquire(address: *mut c_void);
    safe fn __tsan_release(address: *mut c_void);
}

/// [`std::sync::Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

/// [`std::sync::MutexGuard`].
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    guard: ManuallyDrop<std::sync::MutexGuard<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }
    fn address(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }
    /// A guard for a mutex that this thread has just locked.
    fn held<'a>(&'a self, guard: std::sync::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        __tsan_acquire(self.address());
        MutexGuard { guard: ManuallyDrop::new(guard), mutex: self }
    }
    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.0.lock() {
            Ok(guard) => Ok(self.held(guard)),
            Err(poisoned) => Err(PoisonError::new(self.held(poisoned.into_inner()))),
        }
    }
}

impl<'a, T> MutexGuard<'a, T> {
    /// The standard library's guard, about to be unlocked by somebody else.
    fn give_up(mut self) -> (std::sync::MutexGuard<'a, T>, &'a Mutex<T>) {
        __tsan_release(self.mutex.address());
        let mutex = self.mutex;
        // SAFETY: taken once, as `self` is forgotten.
        let guard = unsafe { ManuallyDrop::take(&mut self.guard) };
        core::mem::forget(self);
        (guard, mutex)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        __tsan_release(self.mutex.address());
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.guard) };
    }
}
/// [`std::sync::Condvar`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);
impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let (guard, mutex) = guard.give_up();
        let guard = self.0.wait(guard).unwrap_or_else(|p| p.into_inner());
        Ok(mutex.held(guard))
    }
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        left: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, std::sync::WaitTimeoutResult)> {
        let (guard, mutex) = guard.give_up();
        let (guard, result) = self.0.wait_timeout(guard, left).unwrap_or_else(|p| p.into_inner());
        Ok((mutex.held(guard), result))
    }
}
