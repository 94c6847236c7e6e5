//! Exceptions of bodies that nobody has looked at, to be logged once.
//!
//! One is logged when the last reference to the result goes, or at the exit of the interpreter if
//! the result is still around then: the name that the decorated function had keeps it.

use pyo3::{PyTraverseError, PyVisit, exceptions::PyBaseException, prelude::*};
use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{
        AtomicBool, AtomicPtr,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

/// An exception that a body raised.
pub(crate) struct Raised {
    exception: Py<PyBaseException>,
    seen: AtomicBool,
}

impl Raised {
    pub(crate) fn new(exception: Py<PyBaseException>) -> Arc<Self> {
        let raised = Arc::new(Self { exception, seen: AtomicBool::new(false) });
        let mut registry = registry().lock().unwrap_or_else(PoisonError::into_inner);
        if registry.len() == registry.capacity() {
            registry.retain(|entry| entry.strong_count() > 0);
        }
        registry.push(Arc::downgrade(&raised));
        raised
    }

    /// The exception, which counts as seen from now on.
    pub(crate) fn look(&self, py: Python<'_>) -> PyErr {
        self.mark_seen();
        PyErr::from_value(self.exception.bind(py).clone().into_any())
    }

    pub(crate) fn mark_seen(&self) {
        self.seen.store(true, Relaxed);
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exception)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if *self.seen.get_mut() {
            return;
        }
        // No interpreter, no log.
        Python::try_attach(|py| {
            // This may come from the end of any object, in the middle of an exception.
            let pending = PyErr::take(py);
            let logged = py
                .import("boc._unseen")
                .and_then(|module| module.call_method1("log", (&self.exception,)));
            if let Err(error) = logged {
                error.write_unraisable(py, None);
            }
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}

type Registry = Mutex<Vec<Weak<Raised>>>;

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
        registry.iter().filter_map(Weak::upgrade).for_each(|raised| raised.mark_seen());
    }
}

/// The exceptions that nobody has looked at so far; they count as seen from now on.
#[pyfunction]
pub(crate) fn take_unseen(py: Python<'_>) -> Vec<Py<PyBaseException>> {
    let entries = std::mem::take(&mut *registry().lock().unwrap_or_else(PoisonError::into_inner));
    let raised = entries.iter().filter_map(Weak::upgrade);
    raised
        .filter(|raised| !raised.seen.swap(true, Relaxed))
        .map(|raised| raised.exception.clone_ref(py))
        .collect()
}
