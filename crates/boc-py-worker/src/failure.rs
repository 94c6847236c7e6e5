//! Exceptions that go to other interpreters.

use pyo3_ffi::PyObject;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{
    atomic::Fate,
    error::{self, Raised, Result},
    interpreter,
    kept::Kept,
    mail::{self, Letter},
    object::{self, Object},
    parcel::Parcel,
    unseen,
};

/// An exception, as it can be made anew in any interpreter: what `boc._failure.describe` says of it.
pub struct Failure {
    description: Parcel,
    seen: AtomicBool,
    /// As the main interpreter has it, once somebody has looked there.
    object: Mutex<Option<Kept>>,
}

impl Failure {
    /// Describes what was raised in this thread's interpreter.
    pub(crate) fn of(raised: Raised) -> Arc<Self> {
        let exception = raised.take();
        let description = object::call("boc._failure", c"describe", [&exception]);
        let description = description.and_then(|description| Parcel::pack(&description));
        let description = description.unwrap_or_else(|raised| {
            raised.write_unraisable();
            Parcel::None
        });
        let (seen, object) = (AtomicBool::new(false), Mutex::new(None));
        let failure = Arc::new(Self { description, seen, object });
        unseen::register(&failure);
        failure
    }

    /// The exception in this thread's interpreter.
    pub(crate) fn exception(&self) -> Result<Object> {
        let is_main = interpreter::here().is_main();
        let known = || {
            let known = self.object.lock().unwrap_or_else(PoisonError::into_inner);
            known.as_ref().filter(|_| is_main).map(Kept::object)
        };
        if let Some(exception) = known() {
            return Ok(exception);
        }
        let description = self.description.open()?;
        let fresh = object::call("boc._failure", c"rebuild", [&description])?;
        if let Some(exception) = known() {
            return Ok(exception);
        }
        if is_main {
            let kept = Kept::new(fresh.clone());
            let old = self.object.lock().unwrap_or_else(PoisonError::into_inner).replace(kept);
            drop(old);
        }
        Ok(fresh)
    }

    /// Raises it, after which it counts as seen.
    pub(crate) fn raise(&self) -> Raised {
        self.mark_seen();
        self.exception().map_or_else(|raised| raised, Raised::restore)
    }

    /// From now on it counts as seen. Says whether it did before.
    pub(crate) fn mark_seen(&self) -> bool {
        self.seen.swap(true, Relaxed)
    }

    /// Whether it counts as seen.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.load(Relaxed)
    }

    /// Calls `f` with the object of the main interpreter, if there is one. For its collector.
    pub(crate) fn with_object(&self, mut f: impl FnMut(*mut PyObject)) {
        // Nobody was stopped while it had the lock.
        if let Ok(object) = self.object.try_lock()
            && let Some(object) = &*object
        {
            f(object.as_ptr());
        }
    }

    /// What says that a value could not be kept, which is no failure of a body that anybody has to see.
    pub(crate) fn seen(self: Arc<Self>) -> Arc<Self> {
        self.mark_seen();
        self
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        if !*self.seen.get_mut() {
            let description = std::mem::replace(&mut self.description, Parcel::None);
            mail::post(Letter::Call("boc._unseen", c"log_failure", description));
        }
    }
}

/// The exception that says that a behaviour never ran, and why, if its block has raised.
pub(crate) fn cancelled(block: Option<&Fate>) -> Result<Object> {
    let class = object::import("concurrent.futures")?.get(c"CancelledError")?;
    let why = match block.and_then(Fate::raised) {
        Some(raised) => format!("its block of atomic() raised {raised}"),
        None => "by cancel(), or since the workers were stopped".to_owned(),
    };
    class.call([&Object::str(&format!("the behaviour was cancelled before it started: {why}"))?])
}

/// Why there is nothing to be had.
pub(crate) fn lost() -> Raised {
    error::system_error("internal error in boc: a value was lost")
}
