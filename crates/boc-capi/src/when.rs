//! Scheduling.

use boc_core::raw::{self, DuplicateCown, Held};
use std::{ffi::c_void, mem};

use crate::{
    body::{Body, BodyFn, boc_body_fn},
    border::{Out, border},
    executor::{self, boc_executor},
    foreign::{self, Thrown},
    handle, host,
    owned::{Owned, boc_destroy_fn},
    request::{self, boc_request},
    result::boc_result,
    status::{
        Error,
        boc_status::{self, BOC_DUPLICATE_COWN},
    },
    symbol,
    value::Value,
};

/// Schedules a behaviour: `body` is called once, on some thread of the executor, when the behaviour holds
/// all cowns that are requested. Returns at once.
///
/// Behaviours that share a cown, and do not both only read it, run in the order in which they were
/// scheduled. Can be called on any thread, inside of behaviours as well.
///
/// @param executor Where it runs. NULL: where the running behaviour runs, and outside of behaviours on
///   the default runtime (see `boc_runtime_default`).
/// @param requests The cowns, borrowed for the call; `count` of them. With none, the behaviour can start
///   at once. A cown can be named more than once if it is only read.
/// @param body Gets the values of the cowns in this order, and `env`.
/// @param env Whatever the body needs. It is the behaviour's from now on.
/// @param destroy_env Called once with `env`, in every case: when the body has returned, when the
///   behaviour was cancelled, or before this call returns if it does not succeed. May be NULL.
/// @param result Where to put a handle to the outcome, for the caller to release; the body may have started
///   when it is written. NULL if nobody wants to know; that takes less time and memory.
///
/// If the runtime has a bound on what is in flight, a thread outside of behaviours waits for room.
///
/// @return BOC_OK; BOC_DUPLICATE_COWN; BOC_REFUSED if the executor takes no more; BOC_INVALID_ARGUMENT if
///   a pointer is NULL or a mode unknown; BOC_NO_THREAD if the default runtime cannot be started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_when(
    executor: *const boc_executor,
    requests: *const boc_request,
    count: usize,
    body: boc_body_fn,
    env: *mut c_void,
    destroy_env: boc_destroy_fn,
    result: *mut *mut boc_result,
) -> boc_status {
    border(|| {
        let call = Call::new(body, Owned::new(env, destroy_env))?;
        // SAFETY: passed on to the caller, who keeps the cowns alive during the call.
        unsafe {
            let requests = request::checked(requests, count)?;
            let out = Out::optional(result);
            let mut call = Some(call);
            let scheduled = executor::with(executor, |executor| {
                let begun = raw::begin(executor, requests.len())?;
                let (call, cowns) = (call.take()?, request::accesses(requests));
                let body = call.body();
                let label = || Some(symbol::describe(body).into());
                Some(if out.is_none() {
                    let work = move |held: Held<'_>, (): &mut ()| call.run_detached(held);
                    begun.when_detached(cowns, label, work).map(|()| None)
                } else {
                    let work = move |held: Held<'_>, value: &mut Value| call.run(held, value);
                    begun.when(cowns, label, Value::pending(), work).map(Some)
                })
            })?;
            if let (Some(result), Some(out)) = (scheduled.map_err(duplicate_error)?, out) {
                out.put(handle::give(result));
            }
        }
        Ok(())
    })
}

#[cold]
pub(crate) fn duplicate_error(_: DuplicateCown) -> Error {
    Error::new(
        BOC_DUPLICATE_COWN,
        "a cown is named twice in one request: name each cown once, or only read it (BOC_READ)",
    )
}

#[inline]
fn fail_as_the_host_says(outcome: &mut Value) {
    if let Some(message) = host::failure() {
        outcome.fail(message);
    }
}

/// The closure of a behaviour of C.
pub(crate) struct Call {
    body: BodyFn,
    env: Owned,
}

impl Call {
    pub(crate) fn new(body: boc_body_fn, env: Owned) -> Result<Self, Error> {
        Ok(Self { body: body.ok_or_else(|| Error::null("body"))?, env })
    }

    /// The address of the body.
    pub(crate) fn body(&self) -> *const c_void {
        self.body as *const c_void
    }

    /// Calls the body of a behaviour with a result.
    pub(crate) fn run(self, held: Held<'_>, outcome: &mut Value) {
        host::at_home(|| {
            let thrown = self.call(held, outcome);
            Body::finish(outcome, thrown);
            fail_as_the_host_says(outcome);
            // Here as well, since it may call what C has given.
            drop(self);
        });
    }

    fn run_detached(self, held: Held<'_>) {
        host::at_home(|| {
            // If it fails, the end of this says so.
            let mut outcome = Value::pending();
            if let Err(thrown) = self.call(held, &mut outcome) {
                Body::finish(&mut outcome, Err(thrown));
            }
            fail_as_the_host_says(&mut outcome);
            if outcome.is_untouched() {
                // There is nothing to drop, which the compiler cannot know.
                mem::forget(outcome);
            }
            drop(self);
        });
    }

    #[inline]
    fn call(&self, held: Held<'_>, outcome: &mut Value) -> Result<(), Thrown> {
        Body::call(held, outcome, |body, values| {
            // SAFETY: it gets what it was made for.
            unsafe { foreign::call_body(self.body, body, values, self.env.data()) }
        })
    }
}
