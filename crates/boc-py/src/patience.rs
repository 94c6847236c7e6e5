//! Waiting so that other Python threads run meanwhile and Ctrl-C is answered.

use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long a signal can wait for its handler, at the most.
const SLICE: Duration = Duration::from_millis(50);

/// Timeouts beyond this count as "forever": 31 years, as in bocpy.
const FOREVER: f64 = 1e9;

/// When a timeout in seconds, as Python gives it, runs out; `None` if never. A negative one has run
/// out.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    match timeout {
        None => Ok(None),
        Some(seconds) if seconds.is_nan() => Err(pyo3::exceptions::PyValueError::new_err(
            "timeout must be a number of seconds or None, not nan",
        )),
        Some(seconds) if seconds > FOREVER => Ok(None),
        Some(seconds) => Ok(Some(Instant::now() + Duration::from_secs_f64(seconds.max(0.0)))),
    }
}

/// Waits, detached from the interpreter, until `wait` says that it is over or the deadline has
/// passed; says which. `wait` gets the moment until which it may wait.
///
/// # Errors
///
/// What a signal handler raises, which is `KeyboardInterrupt` for Ctrl-C.
pub(crate) fn wait(
    py: Python<'_>,
    deadline: Option<Instant>,
    wait: impl Fn(Option<Instant>) -> bool + Sync,
) -> PyResult<bool> {
    loop {
        let slice = Instant::now() + SLICE;
        let last = deadline.is_some_and(|deadline| deadline <= slice);
        let until = if last { deadline } else { Some(slice) };
        if py.detach(|| wait(until)) {
            return Ok(true);
        }
        py.check_signals()?;
        if last {
            return Ok(false);
        }
    }
}
