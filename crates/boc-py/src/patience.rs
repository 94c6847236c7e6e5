//! Waiting so that other Python threads run meanwhile and Ctrl-C is answered.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyFloat, PyInt},
};
use std::time::{Duration, Instant};

/// How long a signal can wait for its handler, at the most.
const SLICE: Duration = Duration::from_millis(50);

/// Timeouts beyond this count as "forever": 31 years, as in bocpy.
const FOREVER: f64 = 1e9;

/// A timeout in seconds, as Python gives it. A negative one has run out.
pub(crate) struct Timeout(f64);

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let seconds = match object.extract::<f64>() {
            Ok(seconds) => seconds,
            // Too large for a float.
            Err(_) if object.is_instance_of::<PyInt>() => {
                if object.lt(0)? {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
            Err(error) if object.is_instance_of::<PyFloat>() => return Err(error),
            Err(_) => {
                return Err(PyTypeError::new_err(format!(
                    "timeout must be a number of seconds or None, not {}",
                    object.get_type().name()?
                )));
            }
        };
        if seconds.is_nan() {
            return Err(PyValueError::new_err(
                "timeout must be a number of seconds or None, not nan",
            ));
        }
        Ok(Self(seconds))
    }
}

/// Raises what is wrong with a timeout, for waits that turn out not to be needed.
#[pyfunction]
#[pyo3(signature = (timeout))]
pub(crate) fn check_timeout(timeout: Option<Timeout>) {
    let _ = timeout;
}

/// When a timeout runs out; `None` if never.
pub(crate) fn deadline(timeout: Option<Timeout>) -> Option<Instant> {
    let Timeout(seconds) = timeout?;
    (seconds <= FOREVER).then(|| Instant::now() + Duration::from_secs_f64(seconds.max(0.0)))
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
