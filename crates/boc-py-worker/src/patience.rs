//! Waiting so that other threads run meanwhile and Ctrl-C is answered.

use pyo3_ffi::{self as ffi, PyObject};
use std::time::{Duration, Instant};

use crate::{
    error::{self, Raised, Result},
    mail,
    object::{self, Object, class_name},
    pinned, threads,
};

/// How long a signal can wait for its handler, at the most.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// Timeouts beyond this count as "forever": 31 years, as in bocpy.
const FOREVER: f64 = 1e9;

/// A timeout in seconds, as Python gives it; a negative one has run out, `None` never does.
///
/// # Safety
///
/// The thread is attached, and the object alive.
pub unsafe fn timeout(object: *mut PyObject) -> Result<Option<f64>> {
    // SAFETY: passed on to the caller.
    unsafe {
        if object == ffi::Py_None() {
            return Ok(None);
        }
        seconds(object, "a number of seconds or None").map(Some)
    }
}

/// A number of seconds, as Python gives it; `wanted` is what else could be given, for the message.
///
/// # Safety
///
/// The thread is attached, and the object alive.
pub(crate) unsafe fn seconds(object: *mut PyObject, wanted: &str) -> Result<f64> {
    // SAFETY: passed on to the caller.
    unsafe {
        let seconds = ffi::PyFloat_AsDouble(object);
        if seconds != -1.0 || ffi::PyErr_Occurred().is_null() {
            if seconds.is_nan() {
                return Err(error::value_error(format!("timeout must be {wanted}, not nan")));
            }
            return Ok(seconds);
        }
        if ffi::PyLong_Check(object) != 0 {
            // Too large for a float.
            ffi::PyErr_Clear();
            let zero = Object::int(0)?;
            return match ffi::PyObject_RichCompareBool(object, zero.as_ptr(), ffi::Py_LT) {
                -1 => Err(Raised::already()),
                0 => Ok(f64::INFINITY),
                _ => Ok(f64::NEG_INFINITY),
            };
        }
        if ffi::PyFloat_Check(object) != 0 {
            return Err(Raised::already());
        }
        ffi::PyErr_Clear();
        let kind = class_name(object);
        Err(error::type_error(format!("timeout must be {wanted}, not {kind}")))
    }
}

/// When a timeout runs out; `None` if never.
pub fn deadline(timeout: Option<f64>) -> Option<Instant> {
    let seconds = timeout?;
    (seconds <= FOREVER).then(|| Instant::now() + Duration::from_secs_f64(seconds.max(0.0)))
}

/// Waits, detached from the interpreter, until `wait` says that it is over or the deadline has
/// passed; says which. `wait` gets the moment until which it may wait. Raises what a signal handler
/// raises, which is `KeyboardInterrupt` for Ctrl-C.
pub fn wait(deadline: Option<Instant>, wait: impl Fn(Option<Instant>) -> bool) -> Result<bool> {
    loop {
        let (until, last) = slice(deadline);
        let over = threads::detached(|| wait(Some(until)));
        if look_around(over)? || last {
            return Ok(over);
        }
    }
}

/// As [`wait`], for what behaviours bring about: the main thread meanwhile runs those that are pinned to it. `wait` gets
/// as well whether it is to return when there is one of these.
pub fn wait_for_behaviours(
    deadline: Option<Instant>,
    wait: impl Fn(Option<Instant>, bool) -> bool,
) -> Result<bool> {
    let has_passed = || deadline.is_some_and(|deadline| deadline <= Instant::now());
    loop {
        let served = pinned::is_served_here();
        let (mut until, _) = slice(deadline);
        if served {
            until = until.min(Instant::now() + pinned::patience());
        }
        let over = threads::detached(|| wait(Some(until), served));
        if look_around(over)? || has_passed() {
            return Ok(over);
        }
        if served {
            pinned::serve()?;
        }
    }
}

/// What a wait does between two slices. Says again whether it is over.
fn look_around(over: bool) -> Result<bool> {
    // Who has nothing to wait for any more wants to see it all.
    mail::deliver((!over).then_some(SLICE))?;
    if !over {
        check_signals()?;
    }
    Ok(over)
}

/// Until when to wait before signals are looked at, and whether the deadline has passed then.
pub(crate) fn slice(deadline: Option<Instant>) -> (Instant, bool) {
    let slice = Instant::now() + SLICE;
    match deadline {
        Some(deadline) if deadline <= slice => (deadline, true),
        _ => (slice, false),
    }
}

/// Raises what waits to be raised on this thread: as [`check_signals`], and what another thread has set, as at
/// the exit of the program for behaviours that have not ended. For waits inside of behaviours.
pub(crate) fn look_up() -> Result<()> {
    check_signals()?;
    // Python looks for that where a function begins.
    object::call("boc._patience", c"look_up", []).map(drop)
}

/// Runs the handlers of signals that have come. Raises what they raise.
pub fn check_signals() -> Result<()> {
    // SAFETY: callers are attached.
    match unsafe { ffi::PyErr_CheckSignals() } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}
