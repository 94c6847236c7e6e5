//! Scheduling.

use boc_core::raw::{self, DuplicateCown, Held, Unscheduled};
use std::ffi::c_void;

use crate::{
    body::{Body, boc_body_fn},
    border::{Out, border},
    executor::{self, boc_executor},
    foreign, handle, host,
    owned::{Owned, boc_destroy_fn},
    request::{self, boc_request},
    result::boc_result,
    status::{
        Error,
        boc_status::{self, BOC_DUPLICATE_COWN},
    },
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
        // SAFETY: passed on to the caller.
        let (accesses, out) =
            unsafe { (request::accesses(requests, count)?, Out::optional(result)) };
        let mut outcome = Ok(());
        // SAFETY: the caller keeps the cowns alive during the call.
        unsafe {
            match out {
                None => {
                    let mut work = Some(move |held: Held<'_>, (): &mut ()| call.run_detached(held));
                    executor::with(executor, |executor| {
                        let work_now =
                            work.take().expect("it came back, or this is the first time");
                        match raw::try_when_detached(executor, &accesses, work_now) {
                            Ok(()) => return true,
                            Err(Unscheduled::Refused((), back)) => work = Some(back),
                            Err(Unscheduled::Duplicate(duplicate)) => {
                                outcome = Err(duplicate_error(duplicate));
                                return true;
                            }
                        }
                        false
                    })?;
                }
                Some(out) => {
                    let mut out = Some(out);
                    let mut work =
                        Some(move |held: Held<'_>, value: &mut Value| call.run(held, value));
                    executor::with(executor, |executor| {
                        let work_now =
                            work.take().expect("it came back, or this is the first time");
                        match raw::try_when(executor, &accesses, Value::pending(), work_now) {
                            Ok(result) => {
                                out.take().expect("this comes once").put(handle::give(result));
                                return true;
                            }
                            Err(Unscheduled::Refused(_, back)) => work = Some(back),
                            Err(Unscheduled::Duplicate(duplicate)) => {
                                outcome = Err(duplicate_error(duplicate));
                                return true;
                            }
                        }
                        false
                    })?;
                }
            }
        }
        outcome
    })
}

#[cold]
pub(crate) fn duplicate_error(_: DuplicateCown) -> Error {
    Error::new(
        BOC_DUPLICATE_COWN,
        "a cown is named twice in one request: name each cown once, or only read it (BOC_READ)",
    )
}

/// The closure of a behaviour of C.
pub(crate) struct Call {
    body: unsafe extern "C-unwind" fn(*mut crate::body::boc_body, *const *mut c_void, *mut c_void),
    env: Owned,
}

impl Call {
    pub(crate) fn new(body: boc_body_fn, env: Owned) -> Result<Self, Error> {
        Ok(Self { body: body.ok_or_else(|| Error::null("body"))?, env })
    }

    /// Calls the body of a behaviour with a result.
    pub(crate) fn run(self, held: Held<'_>, outcome: &mut Value) {
        let (body, env) = (self.body, self.env.data());
        let thrown = Body::call(held, outcome, |context, values| {
            // SAFETY: it gets what it was made for.
            foreign::call(|| unsafe { body(context, values, env) })
        });
        Body::finish(outcome, thrown);
        if let Some(message) = host::failure() {
            outcome.fail(message);
        }
    }

    fn run_detached(self, held: Held<'_>) {
        // If it fails, the end of this says so.
        let mut outcome = Value::pending();
        self.run(held, &mut outcome);
    }
}
