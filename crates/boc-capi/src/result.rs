//! Results: how behaviours ended, and what they left.

use boc_core::{
    Cown,
    raw::{self, Access, AnyCown, ResultCown, Signal},
};
use std::{
    ffi::{c_char, c_void},
    ptr::{self, NonNull},
    sync::Arc,
};

use crate::{
    body,
    border::{Out, border, quiet},
    cown::{boc_cown, release},
    foreign,
    handle::{self, Handle, Kind},
    host,
    owned::{Owned, boc_destroy_fn},
    status::{
        Error,
        boc_status::{self, *},
    },
    value::Value,
};

/// A reference to the outcome of a behaviour, or of a promise.
///
/// The outcome is a cown, which the behaviour holds from the moment it is scheduled: see
/// `boc_result_cown`. Can be used, and released, on any thread. Releasing it lets the behaviour run all
/// the same.
pub struct boc_result {
    _private: [u8; 0],
}

// SAFETY: a result's cown is at the address of its `AnyCown`, and of that `from_raw` checks the type.
unsafe impl Handle for ResultCown<Value> {
    type Opaque = boc_result;
    const KIND: Kind = Kind::Result;

    fn into_raw(self) -> NonNull<()> {
        AnyCown::from(self.into_cown()).into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        let cown: Result<Cown<Value>, _> = unsafe { AnyCown::from_raw(raw) }.downcast();
        ResultCown::try_from(cown.expect("it was made of one")).expect("it was made of one")
    }
}

/// Without an end: for timeouts, which are in nanoseconds.
pub const BOC_FOREVER: u64 = u64::MAX;

/// Waits until the behaviour has ended, for `timeout_ns` nanoseconds at the most. Not inside of a
/// behaviour.
///
/// @return BOC_OK, however it ended; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR; BOC_INTERRUPTED;
///   BOC_INVALID_ARGUMENT if `result` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_wait(result: *const boc_result, timeout_ns: u64) -> boc_status {
    border(|| {
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let result = unsafe { handle::borrow::<ResultCown<Value>>(result, "result") }?;
        wait(&result, host::Deadline::after(timeout_ns))
    })
}

fn wait(result: &ResultCown<Value>, deadline: host::Deadline) -> Result<(), Error> {
    if result.is_finished() {
        return Ok(());
    }
    refuse_inside("waiting for a result", OVER_THE_RESULT)?;
    let signal = Arc::new(Signal::new());
    let set = Arc::clone(&signal);
    result.on_finished(move || set.set());
    host::wait(deadline, "the behaviour has not ended in time", &|until| signal.wait(until))
}

/// # Errors
///
/// Inside of a behaviour, where `what` cannot be done; `instead` is what can be.
pub(crate) fn refuse_inside(what: &str, instead: &str) -> Result<(), Error> {
    if boc_core::inside_behaviour() {
        let message = format!("{what} inside of a behaviour could wait for ever: {instead}");
        return Err(Error::new(BOC_INSIDE_BEHAVIOUR, message));
    }
    Ok(())
}

/// What to do instead of waiting for a result.
const OVER_THE_RESULT: &str = "schedule what comes next over the result";

/// How the behaviour ended: BOC_PENDING if it has not; BOC_OK if it left a value, which may have been
/// taken since; BOC_FAILED, BOC_CANCELLED or BOC_BROKEN. Does not wait. What it says of the behaviour is no
/// error of the call, and leaves `boc_last_error` alone: see `boc_result_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_status(result: *const boc_result) -> boc_status {
    let mut status = BOC_PENDING;
    let told = border(|| {
        // SAFETY: as above.
        let result = unsafe { handle::borrow::<ResultCown<Value>>(result, "result") }?;
        if result.is_finished() {
            // SAFETY: `result` keeps the value alive; the behaviour has ended.
            status = unsafe { Value::look(raw::value_ptr(result.cown())) }.status();
        }
        Ok(())
    });
    if told == BOC_OK { status } else { told }
}

/// Why there is no value: a message; NULL if there was one, or the behaviour has not ended. It lives as
/// long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_error(result: *const boc_result) -> *const c_char {
    quiet(ptr::null(), || {
        // SAFETY: as above.
        let result = unsafe { handle::borrow::<ResultCown<Value>>(result, "result") }?;
        if !result.is_finished() {
            return Ok(ptr::null());
        }
        // SAFETY: `result` keeps the value alive; the behaviour has ended.
        let ended = unsafe { Value::look(raw::value_ptr(result.cown())) };
        Ok(ended.message().map_or(ptr::null(), |message| message.as_ptr()))
    })
}

/// Waits until the behaviour has ended, and all that was scheduled over its result before this call; then
/// takes the value out, which is the caller's to destroy from then on. Not inside of a behaviour, where
/// `boc_body_take` does it.
///
/// @param timeout_ns How long to wait at the most, in nanoseconds; 0 does not wait.
/// @return BOC_OK; how the behaviour ended if it left no value (BOC_FAILED, BOC_CANCELLED, BOC_BROKEN), or
///   BOC_TAKEN; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR; BOC_INTERRUPTED; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_take(
    result: *const boc_result,
    timeout_ns: u64,
    value: *mut *mut c_void,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (result, out) = unsafe {
            (handle::borrow::<ResultCown<Value>>(result, "result")?, Out::new(value, "value")?)
        };
        refuse_inside("taking a result", OVER_THE_RESULT)?;
        let deadline = host::Deadline::after(timeout_ns);
        wait(&result, deadline)?;
        // SAFETY: `result` keeps the cown alive.
        let claim = unsafe { raw::claim(&[Access::from(result.cown())]) };
        let claim = claim.expect("it is named once");
        let late = "behaviours over the result have not ended in time";
        host::wait(deadline, late, &|until| claim.wait(until))?;
        // SAFETY: the claim holds the cown.
        out.put(unsafe { body::take(raw::value_ptr(result.cown())) }?);
        Ok(())
    })
}

/// Cancels the behaviour, unless it has started. Its `env` is destroyed and its outcome is BOC_CANCELLED
/// at once; its places in the queues of its cowns are given up when it is their turn.
///
/// @param cancelled Whether it was cancelled by this call. May be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_cancel(
    result: *const boc_result,
    cancelled: *mut bool,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (result, out) = unsafe {
            (handle::borrow::<ResultCown<Value>>(result, "result")?, Out::optional(cancelled))
        };
        let done = result.cancel();
        out.into_iter().for_each(|out| out.put(done));
        Ok(())
    })
}

/// Is told something. It must not block.
pub type boc_notify_fn = Option<unsafe extern "C-unwind" fn(env: *mut c_void)>;

/// Calls `notify` when the behaviour has ended: at once if it has, else on the thread that ends it.
///
/// `destroy_env` (may be NULL) is called once with `env`, after `notify`; or without that, if the call
/// does not succeed or the behaviour never ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_on_finished(
    result: *const boc_result,
    notify: boc_notify_fn,
    env: *mut c_void,
    destroy_env: boc_destroy_fn,
) -> boc_status {
    border(|| {
        let env = Owned::new(env, destroy_env);
        let notify = notify.ok_or_else(|| Error::null("notify"))?;
        // SAFETY: as above.
        let result = unsafe { handle::borrow::<ResultCown<Value>>(result, "result") }?;
        result.on_finished(move || {
            let data = env.data();
            // SAFETY: it gets what it was handed over with.
            foreign::tell("a function that is told of the end of a behaviour", || unsafe {
                notify(data)
            });
            drop(env);
        });
        Ok(())
    })
}

/// The cown of the outcome, to schedule over: a behaviour over it runs after the one whose result it is,
/// and finds how that ended by `boc_body_outcome`. It is lent as long as the handle exists; NULL gives
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_cown(result: *const boc_result) -> *const boc_cown {
    // A handle to a result is taken for one to a cown wherever that is only borrowed.
    result.cast()
}

/// Another reference to the same outcome, for the caller to release. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_clone(result: *const boc_result) -> *mut boc_result {
    quiet(ptr::null_mut(), || {
        // SAFETY: as above.
        let result = unsafe { handle::borrow::<ResultCown<Value>>(result, "result") }?;
        Ok(handle::give((*result).clone()))
    })
}

/// Gives up a reference to an outcome. With the last one, and the end of the behaviour, the value is
/// destroyed if nobody has taken it. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_result_release(result: *mut boc_result) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<ResultCown<Value>>(result, "result") })
}
