//! What a cown of Python holds.

use boc_core::{Panic, raw::State};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyBaseException, PyRuntimeError},
    prelude::*,
    sync::critical_section::with_critical_section,
};
use std::{
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{cown::Cown, ending::Kept, travel, unseen::Raised};

/// Behaviours that never ran, in this process.
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

/// How many behaviours were cancelled before they started, since the process began.
#[pyfunction]
pub(crate) fn cancelled() -> usize {
    CANCELLED.load(Relaxed)
}

/// The value of a cown, and for a result how its behaviour ended.
#[derive(Default)]
pub(crate) struct Contents {
    /// Belongs to who holds the cown.
    pub(crate) held: Held,
    /// Written once, by the behaviour whose result this is, before it ends; after that anybody may
    /// read it.
    pub(crate) outcome: Option<Outcome>,
}

/// What only who holds the cown may use.
#[derive(Default)]
pub(crate) struct Held {
    /// `None` stands for Python's `None`, also in a cown that was emptied.
    pub(crate) value: Option<Kept>,
    /// Whether the value is an exception that a body raised and nobody has dealt with.
    pub(crate) exception: bool,
}

/// How a behaviour ended.
pub(crate) enum Outcome {
    Returned(Returned),
    Raised(Kept<Raised>),
    /// It never ran.
    Cancelled,
}

/// What a body returned, until `unwrap` takes it.
pub(crate) struct Returned(UnsafeCell<Option<Kept>>);

impl Returned {
    /// A reference to the value, unless it was taken. `cown` is the result that this belongs to.
    pub(crate) fn get(&self, cown: &Bound<'_, Cown>) -> Option<Py<PyAny>> {
        let py = cown.py();
        // SAFETY: all uses are in a critical section of the one Python object that there is for the
        // cown (or under the GIL), and none does anything there that would suspend that.
        with_critical_section(cown, || unsafe {
            (*self.0.get()).as_ref().map(|value| value.clone_ref(py))
        })
    }

    /// Takes the value out.
    fn take(&self, cown: &Bound<'_, Cown>) -> Option<Kept> {
        // SAFETY: as in `get`.
        with_critical_section(cown, || unsafe { (*self.0.get()).take() })
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: no Python thread runs during a collection, and none was stopped while it used this.
        unsafe { &*self.0.get() }.as_ref().map_or(Ok(()), |value| visit.call(&**value))
    }
}

impl Outcome {
    /// Somebody has looked at the exception, if it is one.
    pub(crate) fn mark_seen(&self) {
        if let Self::Raised(raised) = self {
            raised.get().mark_seen();
        }
    }

    /// Takes out what the body returned, if it is there. `cown` is the result that this belongs to.
    pub(crate) fn take(&self, cown: &Bound<'_, Cown>) -> Option<Kept> {
        match self {
            Self::Returned(returned) => returned.take(cown),
            Self::Raised(_) | Self::Cancelled => None,
        }
    }
}

impl Contents {
    pub(crate) fn new(value: Py<PyAny>) -> Self {
        let held = Held { value: Some(value.into()), exception: false };
        Self { held, outcome: None }
    }

    /// The body has returned or raised.
    pub(crate) fn finish(&mut self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        match result {
            Ok(value) => {
                // Who scheduled the behaviour will look at it, on another thread.
                let value = value.into_bound(py);
                self.held.value = Some(travel::reference(&value).into());
                let returned = Some(travel::reference(&value).into());
                self.outcome = Some(Outcome::Returned(Returned(UnsafeCell::new(returned))));
            }
            Err(error) => self.raise(py, error),
        }
    }

    fn raise(&mut self, py: Python<'_>, error: PyErr) {
        let exception: Bound<'_, PyBaseException> = error.into_value(py).into_bound(py);
        self.held.value = Some(exception.clone().into_any().unbind().into());
        self.held.exception = true;
        let raised = Raised::remember(exception).expect("there is memory for a small object");
        self.outcome = Some(Outcome::Raised(raised.into()));
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(value) = &self.held.value {
            visit.call(&**value)?;
        }
        match &self.outcome {
            Some(Outcome::Returned(returned)) => returned.traverse(visit),
            Some(Outcome::Raised(raised)) => visit.call(&**raised),
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
