//! Between PyO3 and the crate that works without it.

use boc_py_worker::{
    error::{Raised, Result},
    object::Object,
    patience,
};
use pyo3::prelude::*;

/// An exception that was raised.
pub(crate) fn error(py: Python<'_>, raised: Raised) -> PyErr {
    // SAFETY: attached; the exception is an object of this interpreter.
    let exception = unsafe { Bound::from_owned_ptr(py, raised.take().into_ptr()) };
    PyErr::from_value(exception)
}

/// An object, or the exception that was raised.
pub(crate) fn object(py: Python<'_>, result: Result<Object>) -> PyResult<Py<PyAny>> {
    let object = result.map_err(|raised| error(py, raised))?;
    // SAFETY: attached; the reference goes to the `Bound`.
    Ok(unsafe { Bound::from_owned_ptr(py, object.into_ptr()) }.unbind())
}

/// An object, for the crate that works without PyO3.
pub(crate) fn given(object: &Bound<'_, PyAny>) -> Object {
    // SAFETY: attached, and alive.
    unsafe { Object::from_borrowed(object.as_ptr()) }
}

/// A timeout in seconds, as Python gives it; see [`patience::timeout`].
pub(crate) struct Timeout(pub(crate) Option<f64>);

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // SAFETY: attached, and alive.
        unsafe { patience::timeout(object.as_ptr()) }
            .map(Self)
            .map_err(|raised| error(object.py(), raised))
    }
}
