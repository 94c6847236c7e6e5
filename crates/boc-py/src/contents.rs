//! What a cown of Python holds.

use boc_core::{Panic, raw::State};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyBaseException, PyRuntimeError},
    prelude::*,
};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::{travel, unseen::Raised};

/// Behaviours that never ran, in this process.
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

/// How many behaviours were cancelled before they started, since the process began.
#[pyfunction]
pub(crate) fn cancelled() -> usize {
    CANCELLED.load(Relaxed)
}

/// The value of a cown, and for a result how its behaviour ended.
///
/// Everything but `outcome` belongs to who holds the cown. `outcome` is written once, by the
/// behaviour whose result this is, before it ends; after that anybody may read it.
#[derive(Default)]
pub(crate) struct Contents {
    /// `None` stands for Python's `None`, also in a cown that was emptied.
    pub(crate) value: Option<Py<PyAny>>,
    /// Whether the value is an exception that a body raised and nobody has dealt with.
    pub(crate) exception: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// How a behaviour ended.
pub(crate) enum Outcome {
    Returned(Py<PyAny>),
    Raised(Py<Raised>),
    /// It never ran.
    Cancelled,
}

impl Contents {
    pub(crate) fn new(value: Py<PyAny>) -> Self {
        Self { value: Some(value), exception: false, outcome: None }
    }

    /// The body has returned or raised.
    pub(crate) fn finish(&mut self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        match result {
            Ok(value) => {
                // Who scheduled the behaviour will look at it, on another thread.
                let value = value.into_bound(py);
                self.value = Some(travel::reference(&value));
                self.outcome = Some(Outcome::Returned(travel::reference(&value)));
            }
            Err(error) => self.raise(py, error),
        }
    }

    fn raise(&mut self, py: Python<'_>, error: PyErr) {
        let exception: Bound<'_, PyBaseException> = error.into_value(py).into_bound(py);
        self.value = Some(exception.clone().into_any().unbind());
        self.exception = true;
        let raised = Raised::remember(exception).expect("there is memory for a small object");
        self.outcome = Some(Outcome::Raised(raised));
    }

    /// Somebody has looked at the exception, if there is one.
    pub(crate) fn mark_seen(&self) {
        if let Some(Outcome::Raised(raised)) = &self.outcome {
            raised.get().mark_seen();
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(value) = &self.value {
            visit.call(value)?;
        }
        match &self.outcome {
            Some(Outcome::Returned(value)) => visit.call(value),
            Some(Outcome::Raised(raised)) => visit.call(raised),
            Some(Outcome::Cancelled) | None => Ok(()),
        }
    }
}

impl State for Contents {
    fn panicked(&mut self, panic: Panic) {
        // Bodies raise exceptions, which are no panics; so this is a fault of this crate.
        let message = format!(
            "internal error in boc while running a behaviour: {}",
            panic.message().unwrap_or("(no message)")
        );
        Python::attach(|py| self.raise(py, PyRuntimeError::new_err(message)));
    }

    fn cancelled(&mut self) {
        CANCELLED.fetch_add(1, Relaxed);
        self.outcome = Some(Outcome::Cancelled);
    }
}
