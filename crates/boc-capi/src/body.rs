//! What a behaviour can do while it runs.

use boc_core::raw::{Access, CownPtr, Held, Mode};
use std::{
    ffi::{CStr, c_char, c_void},
    ptr,
};

use crate::{
    border::{self, Out, border, quiet},
    cown::boc_cown,
    foreign::Thrown,
    handle::Loans,
    host,
    owned::{Owned, boc_destroy_fn},
    status::{
        Error,
        boc_status::{self, *},
    },
    value::{Ended, Value},
};

/// A running behaviour. It exists while its body runs, for the thread that runs it.
pub struct boc_body {
    _private: [u8; 0],
}

/// The code of a behaviour.
///
/// @param body The behaviour, to be used until this returns, on this thread.
/// @param values The values of the cowns in the order of the request: for a cown of `boc_cown_new` what it
///   was made with; for a result what its behaviour left, or NULL if there is nothing. What is only read
///   must not be changed. They may be used until this returns.
/// @param env What the behaviour was scheduled with.
///
/// It should not block for long, as its thread does nothing else meanwhile, and it cannot wait for other
/// behaviours. A C++ exception that it lets out ends the behaviour as failed (on x86-64 Unix; elsewhere it
/// ends the process); it must neither end nor cancel its thread, nor leave by longjmp.
pub type boc_body_fn = Option<
    unsafe extern "C-unwind" fn(body: *mut boc_body, values: *const *mut c_void, env: *mut c_void),
>;

/// A [`boc_body_fn`] that is there.
pub(crate) type BodyFn =
    unsafe extern "C-unwind" fn(*mut boc_body, *const *mut c_void, *mut c_void);

/// What a `boc_body` points to.
pub(crate) struct Body<'a> {
    held: Held<'a>,
    outcome: &'a mut Value,
    /// Handles to its cowns that were lent to the body.
    lent: Loans,
}

impl<'a> Body<'a> {
    /// Calls `f` with what the code of a behaviour gets.
    // Once for each behaviour, so that a call more could be seen in a benchmark.
    #[inline(always)]
    pub(crate) fn call<R>(
        held: Held<'a>,
        outcome: &'a mut Value,
        f: impl FnOnce(*mut boc_body, *const *mut c_void) -> R,
    ) -> R {
        const FEW: usize = 4;
        let mut few = [ptr::null_mut(); FEW];
        let many: Vec<_>;
        let values = if held.len() <= FEW {
            for (place, access) in few.iter_mut().zip(held.iter()) {
                *place = value_of(access.cown);
            }
            few.as_ptr()
        } else {
            many = held.iter().map(|access| value_of(access.cown)).collect();
            many.as_ptr()
        };
        let mut body = Body { held, outcome, lent: Loans::default() };
        f((&raw mut body).cast(), values)
    }

    /// The behaviour is over.
    pub(crate) fn finish(outcome: &mut Value, thrown: Result<(), Thrown>) {
        if let Err(thrown) = thrown {
            outcome.fail(border::for_c(&format!("the body {thrown}")));
        } else if matches!(outcome.ended, Ended::NotYet) {
            outcome.succeed(Owned::nothing());
        }
    }

    /// The cown at a place of the request, and what the behaviour may do with it.
    fn access(&self, index: usize) -> Result<Access, Error> {
        self.held.get(index).ok_or_else(|| beyond(index, self.held.len()))
    }

    /// The value of a cown of C, which the behaviour holds.
    fn value(&self, index: usize) -> Result<(*mut Value, Mode), Error> {
        let access = self.access(index)?;
        // SAFETY: the behaviour holds the cown; its value has the type that is asked for.
        unsafe {
            if access.cown.holds::<Value>() {
                return Ok((access.cown.value(), access.mode));
            }
        }
        Err(Error::new(
            BOC_NOT_ALLOWED,
            format!("cown {index} of the request was not made by `boc_cown_new` or a `boc_` call"),
        ))
    }
}

/// What a body gets for a cown that it holds.
#[inline]
fn value_of(cown: CownPtr) -> *mut c_void {
    // SAFETY: the running behaviour holds the cown.
    unsafe { Value::pointer_in(cown).unwrap_or_else(|| host::current().view(cown)) }
}

#[cold]
fn beyond(index: usize, count: usize) -> Error {
    let message = format!("there is no cown {index}: the request names {count}, counted from 0");
    Error::new(BOC_INVALID_ARGUMENT, message)
}

/// # Safety
///
/// `body` is NULL, or what a running body was called with, on its thread.
unsafe fn body<'a>(body: *mut boc_body) -> Result<&'a mut Body<'a>, Error> {
    // SAFETY: passed on to the caller: it points to a `Body`, which nobody else uses.
    unsafe { body.cast::<Body<'a>>().as_mut() }.ok_or_else(|| Error::null("body"))
}

/// The cown at a place of the request of a running behaviour, and what that may do with it.
///
/// # Safety
///
/// As for [`body`].
pub(crate) unsafe fn access(body: *mut boc_body, index: usize) -> Result<Access, Error> {
    // SAFETY: passed on to the caller.
    unsafe { self::body(body) }?.access(index)
}

/// How many cowns the behaviour was scheduled over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_count(body: *const boc_body) -> usize {
    // SAFETY: as for all functions here, passed on to the caller.
    quiet(0, || Ok(unsafe { self::body(body.cast_mut()) }?.held.len()))
}

/// The cown at `index` in the request, lent until the body returns: to schedule over it again, or to
/// compare it. NULL if there is none. It is not to be released; `boc_cown_clone` gives one to keep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_cown(body: *mut boc_body, index: usize) -> *const boc_cown {
    quiet(ptr::null(), || {
        // SAFETY: as above.
        let body = unsafe { self::body(body) }?;
        let cown = body.access(index)?.cown;
        // SAFETY: the behaviour keeps the cown alive until its end, which is that of the loans.
        Ok(unsafe { body.lent.lend(index, cown) }.cast_const())
    })
}

/// What the behaviour leaves in its result. A value that was set before is destroyed. Without this the
/// value is NULL.
///
/// `destroy_value` (may be NULL) is called when the value is still there with the last reference to the
/// result; at once if nobody asked for a result, or if the call does not succeed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_set_result(
    body: *mut boc_body,
    value: *mut c_void,
    destroy_value: boc_destroy_fn,
) -> boc_status {
    border(|| {
        let value = Owned::new(value, destroy_value);
        // SAFETY: as above.
        let old = unsafe { self::body(body) }?.outcome.succeed(value);
        drop(old);
        Ok(())
    })
}

/// Says that the behaviour has failed, and why; the body should return then. The cowns go on to the next
/// behaviours with the values that they have. `message` is copied.
///
/// If nobody asks for the outcome, the message goes to the standard error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_fail(body: *mut boc_body, message: *const c_char) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (body, message) = unsafe { (self::body(body)?, border::text(message, "message")?) };
        let old = body.outcome.fail(message.to_owned());
        drop(old);
        Ok(())
    })
}

/// Puts another value into the cown at `index`, which was made by `boc_cown_new`; the old one is
/// destroyed. `values[index]` must not be used any more.
///
/// @return BOC_OK; BOC_NOT_ALLOWED if the cown is only read, or is of another kind; BOC_INVALID_ARGUMENT.
///   If it is not BOC_OK, the value was destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_set_value(
    body: *mut boc_body,
    index: usize,
    value: *mut c_void,
    destroy_value: boc_destroy_fn,
) -> boc_status {
    border(|| {
        let fresh = Owned::new(value, destroy_value);
        // SAFETY: as above; the behaviour holds the cown, to write.
        unsafe {
            let body = self::body(body)?;
            let value = writable(body, index)?;
            if body.access(index)?.cown.is_result() {
                let message =
                    format!("cown {index} is a result: its behaviour alone sets the value");
                return Err(Error::new(BOC_NOT_ALLOWED, message));
            }
            let old = (*value).held.replace(fresh);
            drop(old);
        }
        Ok(())
    })
}

/// Takes the value out of the result at `index`: from then on it is the caller's to destroy, and the
/// result says BOC_TAKEN. From other cowns made by C likewise, which then hold nothing.
///
/// @return BOC_OK; how the behaviour ended if there is no value (BOC_FAILED, BOC_CANCELLED, BOC_BROKEN,
///   BOC_TAKEN); BOC_NOT_ALLOWED if the cown is only read, or is of another kind; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_take(
    body: *mut boc_body,
    index: usize,
    value: *mut *mut c_void,
) -> boc_status {
    border(|| {
        // SAFETY: as above; the behaviour holds the cown, to write.
        unsafe {
            let body = self::body(body)?;
            let out = Out::new(value, "value")?;
            out.put(take(writable(body, index)?)?);
        }
        Ok(())
    })
}

/// How the behaviour ended whose result is at `index`: BOC_OK if there is a value, else BOC_FAILED,
/// BOC_CANCELLED, BOC_BROKEN or BOC_TAKEN. `*message` (may be NULL) is why, or NULL if there is a value;
/// it lives until the body returns. A cown that is no result says BOC_OK, or BOC_TAKEN. What it says of the
/// other behaviour is no error of the call, and leaves `boc_last_error` alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_body_outcome(
    body: *mut boc_body,
    index: usize,
    message: *mut *const c_char,
) -> boc_status {
    let mut outcome = BOC_OK;
    let told = border(|| {
        // SAFETY: as above.
        unsafe {
            let body = self::body(body)?;
            let cown = body.access(index)?.cown;
            if !cown.holds::<Value>() {
                outcome = host::current().outcome(cown);
                let why = match outcome {
                    BOC_OK => None,
                    BOC_CANCELLED => Some(c"the behaviour was cancelled before it started"),
                    _ => Some(c"the behaviour raised an exception, which is the value"),
                };
                if let Some(out) = Out::optional(message) {
                    out.put(why.map_or(ptr::null(), CStr::as_ptr));
                }
                return Ok(());
            }
            let (value, _) = body.value(index)?;
            let ended = Value::look(value);
            outcome = match ended.status() {
                BOC_OK if (*value).held.is_none() => BOC_TAKEN,
                status => status,
            };
            if let Some(out) = Out::optional(message) {
                let taken = (outcome == BOC_TAKEN).then_some(c"the value was taken before");
                out.put(ended.message().or(taken).map_or(ptr::null(), |text| text.as_ptr()));
            }
        }
        Ok(())
    });
    if told == BOC_OK { outcome } else { told }
}

fn writable(body: &mut Body<'_>, index: usize) -> Result<*mut Value, Error> {
    match body.value(index)? {
        (value, Mode::Write) => Ok(value),
        (_, Mode::Read) => Err(Error::new(
            BOC_NOT_ALLOWED,
            format!("cown {index} is only read: request it with BOC_WRITE"),
        )),
    }
}

/// Takes a value out.
///
/// # Safety
///
/// The caller holds its cown.
pub(crate) unsafe fn take(value: *mut Value) -> Result<*mut c_void, Error> {
    // SAFETY: passed on to the caller.
    unsafe {
        let ended = Value::look(value);
        if let Some(message) = ended.message() {
            return Err(Error::new(ended.status(), message.to_string_lossy().into_owned()));
        }
        match (*value).held.take() {
            Some(owned) => Ok(owned.into_data()),
            None => Err(Error::new(BOC_TAKEN, "the value was taken before")),
        }
    }
}

/// Whether the calling thread runs a behaviour. If so, nothing can be called that waits for others.
#[unsafe(no_mangle)]
pub extern "C" fn boc_inside_behaviour() -> bool {
    boc_core::inside_behaviour()
}
