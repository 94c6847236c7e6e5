//! Exceptions of bodies that nobody has looked at, to be logged once.
//!
//! One is logged when the last reference to the result goes, or at the exit of the interpreter if
//! the result is still around then: the name that the decorated function had keeps it.
//!
//! An exception is often part of a cycle, since its traceback refers to the frames it came through.
//! A collector that breaks a cycle takes objects apart in any order, so it would be too late to show
//! the exception when the result goes. Python's finalisers run before that; so what a result holds
//! is a Python object with `__del__`, of the class `boc._unseen.Unseen`.

use pyo3::{PyTraverseError, PyVisit, exceptions::PyBaseException, prelude::*};
use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{
        AtomicBool, AtomicPtr,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

use crate::ending::{self, Kept};

/// An exception that a body raised.
#[pyclass(frozen, subclass, module = "boc._boc")]
pub(crate) struct Raised {
    entry: Arc<Entry>,
}

struct Entry {
    exception: Kept<PyBaseException>,
    seen: AtomicBool,
}

impl Raised {
    /// An exception that is logged if nobody looks at it.
    pub(crate) fn remember(exception: Bound<'_, PyBaseException>) -> PyResult<Py<Self>> {
        let py = exception.py();
        let unseen = ending::call(py, "boc._unseen", "Unseen", [exception.as_any()])
            .and_then(|unseen| Ok(unseen.cast_into::<Self>()?.unbind()));
        unseen.or_else(|error| {
            // The interpreter is on its way out, or out of memory.
            error.write_unraisable(py, None);
            Py::new(py, Self::new(exception.unbind()))
        })
    }

    /// The exception, which counts as seen from now on.
    pub(crate) fn look(&self, py: Python<'_>) -> PyErr {
        self.mark_seen();
        PyErr::from_value(self.entry.exception.bind(py).clone().into_any())
    }
}

#[pymethods]
impl Raised {
    #[new]
    fn new(exception: Py<PyBaseException>) -> Self {
        let exception = exception.into();
        let entry = Arc::new(Entry { exception, seen: AtomicBool::new(false) });
        let mut registry = registry().lock().unwrap_or_else(PoisonError::into_inner);
        if registry.len() == registry.capacity() {
            registry.retain(|entry| entry.strong_count() > 0);
        }
        registry.push(Arc::downgrade(&entry));
        Self { entry }
    }

    #[getter]
    fn exception(&self, py: Python<'_>) -> Py<PyBaseException> {
        self.entry.exception.clone_ref(py)
    }

    /// From now on the exception counts as seen. Says whether it did before.
    pub(crate) fn mark_seen(&self) -> bool {
        self.entry.seen.swap(true, Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Shared with the registry for moments only, and never across a collection, so what it
        // refers to is reachable by nobody else.
        visit.call(&*self.entry.exception)
    }
}

type Registry = Mutex<Vec<Weak<Entry>>>;

/// A pointer, so that a child process can put a new registry in the place of one that another
/// thread had locked when the process forked.
static REGISTRY: AtomicPtr<Registry> = AtomicPtr::new(std::ptr::null_mut());

fn registry() -> &'static Registry {
    let mut current = REGISTRY.load(Acquire);
    if current.is_null() {
        let fresh = Box::into_raw(Box::<Registry>::default());
        current = match REGISTRY.compare_exchange(current, fresh, AcqRel, Acquire) {
            Ok(_) => fresh,
            Err(theirs) => {
                // SAFETY: `fresh` was not published.
                drop(unsafe { Box::from_raw(fresh) });
                theirs
            }
        };
    }
    // SAFETY: a registry that was published is never freed.
    unsafe { &*current }
}

/// Called in a child process: what the parent's behaviours raised is the parent's to log.
#[pyfunction]
pub(crate) fn forget_after_fork() {
    let old = REGISTRY.swap(std::ptr::null_mut(), AcqRel);
    if !old.is_null()
        // SAFETY: a registry that was published is never freed.
        && let Ok(registry) = unsafe { &*old }.try_lock()
    {
        let entries = registry.iter().filter_map(Weak::upgrade);
        entries.for_each(|entry| entry.seen.store(true, Relaxed));
    }
}

/// The exceptions that nobody has looked at so far; they count as seen from now on.
#[pyfunction]
pub(crate) fn take_unseen(py: Python<'_>) -> Vec<Py<PyBaseException>> {
    let entries = std::mem::take(&mut *registry().lock().unwrap_or_else(PoisonError::into_inner));
    let entries = entries.iter().filter_map(Weak::upgrade);
    entries
        .filter(|entry| !entry.seen.swap(true, Relaxed))
        .map(|entry| entry.exception.clone_ref(py))
        .collect()
}
