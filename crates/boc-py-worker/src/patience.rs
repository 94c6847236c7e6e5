//! Waiting so that other threads run meanwhile and Ctrl-C is answered.

use pyo3_ffi::{self as ffi, PyObject};
use std::time::{Duration, Instant};

use crate::{
    error::{self, Raised, Result},
    mail,
    object::{Object, class_name},
    threads,
};

/// How long a signal can wait for its handler, at the most.
const SLICE: Duration = Duration::from_millis(50);

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
        let seconds = ffi::PyFloat_AsDouble(object);
        if seconds != -1.0 || ffi::PyErr_Occurred().is_null() {
            if seconds.is_nan() {
                return Err(error::value_error(
                    "timeout must be a number of seconds or None, not nan",
                ));
            }
            return Ok(Some(seconds));
        }
        if ffi::PyLong_Check(object) != 0 {
            // Too large for a float.
            ffi::PyErr_Clear();
            let zero = Object::int(0)?;
            return match ffi::PyObject_RichCompareBool(object, zero.as_ptr(), ffi::Py_LT) {
                -1 => Err(Raised::already()),
                0 => Ok(Some(f64::INFINITY)),
                _ => Ok(Some(f64::NEG_INFINITY)),
            };
        }
        if ffi::PyFloat_Check(object) != 0 {
            return Err(Raised::already());
        }
        ffi::PyErr_Clear();
        let kind = class_name(object);
        Err(error::type_error(format!("timeout must be a number of seconds or None, not {kind}")))
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
        let slice = Instant::now() + SLICE;
        let last = deadline.is_some_and(|deadline| deadline <= slice);
        let until = if last { deadline } else { Some(slice) };
        let over = threads::detached(|| wait(until));
        // Who has nothing to wait for any more wants to see it all.
        mail::deliver((!over).then_some(SLICE))?;
        if over {
            return Ok(true);
        }
        check_signals()?;
        if last {
            return Ok(false);
        }
    }
}

/// Runs the handlers of signals that have come. Raises what they raise.
pub fn check_signals() -> Result<()> {
    // SAFETY: callers are attached.
    match unsafe { ffi::PyErr_CheckSignals() } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}
