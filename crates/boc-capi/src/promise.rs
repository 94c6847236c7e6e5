//! Promises: outcomes that come from outside of all behaviours.

use boc_core::raw::Promise;
use std::ffi::{c_char, c_void};

use crate::{
    border::{self, Out, border, quiet},
    cown::release,
    handle::{self, Kind, Known},
    owned::{Owned, boc_destroy_fn},
    result::boc_result,
    status::{
        Error,
        boc_status::{self, BOC_CANCELLED},
    },
    value::Value,
};

/// The other end of a result whose value does not come from a behaviour, but from a timer, from input and
/// output, from another library. Can be used on any thread, and is used up by fulfilling it.
pub struct boc_promise {
    _private: [u8; 0],
}

impl Known for Promise<Value> {
    type Opaque = boc_promise;
    const KIND: Kind = Kind::Promise;
}

/// Makes a promise, and a handle to what it is going to be fulfilled with. Both are the caller's to
/// release; behaviours over the result wait for the promise, and their runtime does not end before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_promise_new(
    promise: *mut *mut boc_promise,
    result: *mut *mut boc_result,
) -> boc_status {
    border(|| {
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let (promise_out, result_out) =
            unsafe { (Out::new(promise, "promise")?, Out::new(result, "result")?) };
        let (promise, result) = Promise::new(Value::pending());
        promise_out.put(handle::give(Box::new(promise)));
        result_out.put(handle::give(result));
        Ok(())
    })
}

/// Gives the value, and releases the promise. The value is the result's from now on; if the call does not
/// succeed, it is destroyed.
///
/// @return BOC_OK; BOC_CANCELLED if the result was cancelled before; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_promise_fulfil(
    promise: *mut boc_promise,
    value: *mut c_void,
    destroy_value: boc_destroy_fn,
) -> boc_status {
    border(|| {
        let value = Owned::new(value, destroy_value);
        // SAFETY: as above.
        settle(*unsafe { handle::take::<Box<_>>(promise, "promise") }?, |outcome| {
            outcome.succeed(value);
        })
    })
}

/// Says that there will be no value, and why; releases the promise. `message` is copied.
///
/// @return As for `boc_promise_fulfil`. If `message` is NULL, the promise is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_promise_fail(
    promise: *mut boc_promise,
    message: *const c_char,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let message = unsafe { border::text(message, "message") }?.to_owned();
        // SAFETY: as above.
        settle(*unsafe { handle::take::<Box<_>>(promise, "promise") }?, |outcome| {
            outcome.fail(message);
        })
    })
}

fn settle(promise: Promise<Value>, f: impl FnOnce(&mut Value)) -> Result<(), Error> {
    let mut settled = false;
    promise.fulfil(|outcome| {
        settled = true;
        f(outcome);
    });
    if settled {
        Ok(())
    } else {
        Err(Error::new(BOC_CANCELLED, "the result of the promise was cancelled before"))
    }
}

/// Whether the result was cancelled, so that nobody wants the value any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_promise_is_cancelled(promise: *const boc_promise) -> bool {
    quiet(false, || {
        // SAFETY: as above.
        Ok(unsafe { handle::borrow::<Box<Promise<Value>>>(promise, "promise") }?.is_cancelled())
    })
}

/// Gives up a promise that was not fulfilled: the outcome is BOC_BROKEN. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_promise_release(promise: *mut boc_promise) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<Box<Promise<Value>>>(promise, "promise") })
}
