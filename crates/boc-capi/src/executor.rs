//! Executors: where behaviours run.

use boc_core::{Executor, ExecutorRef, Ready, raw};
use std::{
    ffi::{c_int, c_void},
    ptr::{self, NonNull},
    sync::Arc,
};

use crate::{
    border::{Out, border, quiet},
    complain::complain,
    cown::release,
    foreign,
    handle::{self, Handle, Kind},
    host,
    owned::{Owned, boc_destroy_fn},
    status::{
        Error,
        boc_status::{self, BOC_REFUSED},
    },
};

/// A reference to what behaviours are scheduled on: the workers of a runtime, a pump, a scope, or an
/// executor of one's own. Can be used, and released, on any thread.
pub struct boc_executor {
    _private: [u8; 0],
}

/// A behaviour that holds all its cowns and has not run. For one thread at a time.
pub struct boc_ready {
    _private: [u8; 0],
}

// SAFETY: that is what the functions for its address promise.
unsafe impl Handle for ExecutorRef {
    type Opaque = boc_executor;
    const KIND: Kind = Kind::Executor;

    fn into_raw(self) -> NonNull<()> {
        raw::executor_into_raw(self)
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { raw::executor_from_raw(raw) }
    }
}

// SAFETY: as above.
unsafe impl Handle for Ready {
    type Opaque = boc_ready;
    const KIND: Kind = Kind::Ready;

    fn into_raw(self) -> NonNull<()> {
        raw::ready_into_raw(self)
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { raw::ready_from_raw(raw) }
    }
}

/// Calls `schedule` with the executor that C means. If that takes no more, which `None` says, and C named
/// none, the host may know another one.
///
/// # Safety
///
/// `executor` is NULL, or a handle that is not released during the call.
#[inline]
pub(crate) unsafe fn with<R>(
    executor: *const boc_executor,
    mut schedule: impl FnMut(&ExecutorRef) -> Option<R>,
) -> Result<R, Error> {
    if executor.is_null() {
        return raw::with_current_executor(|current| match current {
            Some(executor) => schedule(executor).ok_or_else(refused),
            None => outside(&mut schedule),
        });
    }
    // SAFETY: passed on to the caller.
    let executor = unsafe { handle::borrow::<ExecutorRef>(executor, "executor") }?;
    schedule(&executor).ok_or_else(refused)
}

/// [`with`] where no behaviour runs.
#[cold]
fn outside<R>(schedule: &mut dyn FnMut(&ExecutorRef) -> Option<R>) -> Result<R, Error> {
    let mut done = None;
    host::current().with_executor(&mut |executor| {
        done = schedule(executor);
        done.is_some()
    })?;
    done.ok_or_else(refused)
}

#[cold]
pub(crate) fn refused() -> Error {
    Error::new(
        BOC_REFUSED,
        "the executor takes no more behaviours: its runtime was shut down, its pump was released, or \
         its scope has ended",
    )
}

/// The executor that C means.
///
/// # Safety
///
/// As for [`with`].
pub(crate) unsafe fn resolve(executor: *const boc_executor) -> Result<ExecutorRef, Error> {
    // SAFETY: passed on to the caller.
    unsafe { with(executor, |executor| Some(executor.clone())) }
}

/// An executor that is lent to C, as long as this is there.
pub(crate) struct Lent(*mut boc_executor);

// SAFETY: the pointer is a name, which any thread may give away.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// # Safety
    ///
    /// Another reference to the executor stays as long as this.
    pub(crate) unsafe fn new(executor: &ExecutorRef) -> Self {
        let raw = raw::executor_into_raw(executor.clone());
        // SAFETY: this reference is given up at once, and another one stays.
        unsafe {
            drop(raw::executor_from_raw(raw));
            Self(handle::lend::<ExecutorRef>(raw))
        }
    }

    pub(crate) fn handle(&self) -> *const boc_executor {
        self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        handle::end_loan(self.0);
    }
}

/// The executor that NULL stands for: inside of a behaviour the one where that runs, outside that of the
/// default runtime. `*executor` is the caller's to release.
///
/// @return BOC_OK; BOC_NO_THREAD if the default runtime cannot be started; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_executor_current(executor: *mut *mut boc_executor) -> boc_status {
    border(|| {
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let (out, current) = unsafe { (Out::new(executor, "executor")?, resolve(ptr::null())?) };
        out.put(handle::give(current));
        Ok(())
    })
}

/// Another reference to the same executor, for the caller to release. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_executor_clone(executor: *const boc_executor) -> *mut boc_executor {
    quiet(ptr::null_mut(), || {
        // SAFETY: as above.
        let executor = unsafe { handle::borrow::<ExecutorRef>(executor, "executor") }?;
        Ok(handle::give((*executor).clone()))
    })
}

/// Gives up a reference to an executor. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_executor_release(executor: *mut boc_executor) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<ExecutorRef>(executor, "executor") })
}

/// Takes a behaviour that holds all its cowns, to run it soon by `boc_ready_run`, on any thread.
///
/// It is called on the thread that scheduled the behaviour or released the last cown it waited for,
/// possibly on several threads at once. It must not block, and should not run the behaviour itself, since
/// the stack would grow with each behaviour that follows on another.
///
/// @return 0 if `ready` was taken: it is to be given to `boc_ready_run` or `boc_ready_cancel` once.
///   Anything else, as well as an exception, refuses it: the behaviour is cancelled, and `ready` must not be
///   used any more.
pub type boc_execute_fn =
    Option<unsafe extern "C-unwind" fn(env: *mut c_void, ready: *mut boc_ready) -> c_int>;

/// An executor of C.
struct Custom {
    execute: unsafe extern "C-unwind" fn(*mut c_void, *mut boc_ready) -> c_int,
    env: Owned,
}

impl Executor for Custom {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        let (execute, env) = (self.execute, self.env.data());
        let handle = handle::give(ready);
        let answer = std::cell::Cell::new(0);
        let told = &answer;
        // SAFETY: it gets what it was handed over with.
        let thrown = foreign::call(|| told.set(unsafe { execute(env, handle) }));
        if thrown.is_ok() && answer.get() == 0 {
            return Ok(());
        }
        // SAFETY: an executor that refuses does not use it.
        let ready = unsafe { handle::take::<Ready>(handle, "ready") };
        if let Err(thrown) = thrown {
            complain(format_args!("an executor {thrown}"));
        }
        ready.map_or(Ok(()), Err)
    }
}

/// An executor of one's own. `*executor` is the caller's to release.
///
/// `destroy_env` (may be NULL) is called with `env` when the last reference is gone and all behaviours of
/// the executor have ended; or now, if the call does not succeed.
///
/// For a loop that only wants to run behaviours when it is their turn, `boc_pump_new` is simpler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_executor_new(
    execute: boc_execute_fn,
    env: *mut c_void,
    destroy_env: boc_destroy_fn,
    executor: *mut *mut boc_executor,
) -> boc_status {
    border(|| {
        let env = Owned::new(env, destroy_env);
        let execute = execute.ok_or_else(|| Error::null("execute"))?;
        // SAFETY: as above.
        let out = unsafe { Out::new(executor, "executor") }?;
        out.put(handle::give(ExecutorRef::from(Arc::new(Custom { execute, env }))));
        Ok(())
    })
}

/// Runs a behaviour on the calling thread, and releases its cowns. `ready` is used up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_ready_run(ready: *mut boc_ready) -> boc_status {
    border(|| {
        // SAFETY: as above.
        unsafe { handle::take::<Ready>(ready, "ready") }?.run();
        Ok(())
    })
}

/// Cancels a behaviour instead of running it, and releases its cowns. `ready` is used up. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_ready_cancel(ready: *mut boc_ready) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<Ready>(ready, "ready") })
}
