//! The class `Cown`, and who may look into it.
//!
//! There is one Python object for each cown of the engine, so identity of the object is identity of
//! the cown.
//!
//! # Who may look into a cown
//!
//! The *holder* is the thread that runs a behaviour over the cown, or that acquired it by
//! [`Cown::acquire`]; its token is in [`Cown::holder`]. A thread writes its own token only while it
//! holds the cown, and takes it away before it releases the cown. So a thread that reads its own
//! token there holds the cown, and one that reads anything else does not; no ordering is needed for
//! that, since a thread always sees its own writes.
//!
//! # Garbage collection
//!
//! The object owns the value only while nobody else refers to the cown: behaviours that are queued
//! or running do, and then the value is theirs as well. So it is shown to the collector if the
//! object's reference to the cown is the only one. Whether it is cannot change from yes to no during
//! a collection, when no Python thread runs: a new reference can only be made from the object, by a
//! thread that is attached.

use boc_core::raw::{self, Access, AnyCown, Claim, CownPtr, Mode, ResultCown, Signal};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyRuntimeError, PyTimeoutError},
    prelude::*,
    types::PyType,
};
use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::{
    contents::{Contents, Held, Outcome},
    ending::Kept,
    extension::{
        native::{Native, View},
        objects::Known,
    },
    patience::{self, Timeout},
    pool,
};

/// A concurrently owned value: reached only by the behaviour that holds the cown.
///
/// Schedule a behaviour over it with `when`, and use `.value` inside of that.
#[pyclass(frozen, generic, weakref, module = "boc")]
pub(crate) struct Cown {
    body: Kind,
    /// The token of the thread that holds the cown, or [`NOBODY`].
    pub(crate) holder: AtomicUsize,
    /// What holds the cown for a thread that acquired it.
    claim: Mutex<Option<Claim>>,
    /// By what it is found again if the cown comes back from an extension.
    known: OnceLock<Known>,
}

enum Kind {
    Plain(boc_core::Cown<Contents>),
    Result {
        cown: ResultCown<Contents>,
        /// Set at the end of the behaviour, once somebody has waited for that.
        ended: OnceLock<Arc<Signal>>,
    },
    /// Made by an extension.
    Native(Native),
}

pub(crate) const NOBODY: usize = 0;

/// A number that no other thread ever has, and that is not [`NOBODY`].
pub(crate) fn this_thread() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(NOBODY);
    thread_local! {
        static TOKEN: Cell<usize> = const { Cell::new(NOBODY) };
    }
    TOKEN.with(|token| {
        if token.get() == NOBODY {
            token.set(LAST.fetch_add(1, Relaxed) + 1);
        }
        token.get()
    })
}

impl Cown {
    pub(crate) fn result_of(cown: ResultCown<Contents>) -> Self {
        Self::from_kind(Kind::Result { cown, ended: OnceLock::new() })
    }

    /// A cown that comes from an extension, and has no object.
    pub(crate) fn of(cown: AnyCown, view: Option<&'static View>) -> Self {
        match cown.downcast::<Contents>() {
            Ok(cown) => match ResultCown::try_from(cown) {
                Ok(result) => Self::result_of(result),
                Err(cown) => Self::from_kind(Kind::Plain(cown)),
            },
            Err(cown) => Self::from_kind(Kind::Native(Native::new(cown, view))),
        }
    }

    fn from_kind(body: Kind) -> Self {
        let (holder, claim) = (AtomicUsize::new(NOBODY), Mutex::new(None));
        Self { body, holder, claim, known: OnceLock::new() }
    }

    /// The cown of the engine, if Python has made it.
    fn body(&self) -> Option<&boc_core::Cown<Contents>> {
        match &self.body {
            Kind::Plain(cown) => Some(cown),
            Kind::Result { cown, .. } => Some(cown.cown()),
            Kind::Native(_) => None,
        }
    }

    /// The cown of the engine, which lives as long as this.
    pub(crate) fn address(&self) -> CownPtr {
        match &self.body {
            Kind::Plain(cown) => cown.into(),
            Kind::Result { cown, .. } => cown.cown().into(),
            Kind::Native(native) => native.cown().into(),
        }
    }

    /// In a request.
    pub(crate) fn access(&self) -> Access {
        Access { cown: self.address(), mode: Mode::Write }
    }

    /// Another reference to the cown.
    pub(crate) fn share(&self) -> AnyCown {
        // SAFETY: `self` keeps it alive.
        unsafe { self.address().to_owned() }
    }

    /// Whether the value is an object of Python.
    pub(crate) fn is_python(&self) -> bool {
        self.body().is_some()
    }

    /// How the extension shows the value that has made the cown.
    pub(crate) fn view(&self) -> Option<&'static View> {
        match &self.body {
            Kind::Native(native) => native.view(),
            Kind::Plain(_) | Kind::Result { .. } => None,
        }
    }

    pub(crate) fn known(&self) -> &OnceLock<Known> {
        &self.known
    }

    fn is_mine(&self) -> bool {
        self.holder.load(Relaxed) == this_thread()
    }

    /// Calls `f` with the contents, if this thread holds the cown. `f` must not run Python code,
    /// which could come here again.
    fn with_contents<R>(&self, f: impl FnOnce(&mut Held, Option<&Outcome>) -> R) -> PyResult<R> {
        self.check_mine()?;
        // SAFETY: this thread holds the cown; `f` does not come back here.
        unsafe { self.look_inside(f) }
    }

    fn check_mine(&self) -> PyResult<()> {
        if self.is_mine() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "the value of a cown can be used only by the behaviour that holds it: schedule one with \
             @when(cown), and use the value inside of it; for the result of a behaviour there is \
             also result()",
        ))
    }

    /// # Errors
    ///
    /// If the cown was made by an extension.
    ///
    /// # Safety
    ///
    /// The caller holds the cown, and uses the contents by `f` alone.
    unsafe fn look_inside<R>(
        &self,
        f: impl FnOnce(&mut Held, Option<&Outcome>) -> R,
    ) -> PyResult<R> {
        let Some(body) = self.body() else {
            return Err(PyRuntimeError::new_err(
                "the value of this cown belongs to the extension that made it, which alone can take \
                 it out or say whether it is an exception",
            ));
        };
        let contents = raw::value_ptr(body);
        // SAFETY: what is held is the caller's alone. A behaviour that has an outcome has released
        // the cown, after which the outcome is only read, possibly by others at the same time.
        Ok(unsafe { f(&mut (*contents).held, (*contents).outcome.as_ref()) })
    }

    /// The contents, if nobody else has a reference to the cown; see the module's documentation.
    fn contents_if_sole_owner(&self) -> Option<*mut Contents> {
        let body = self.body()?;
        raw::is_unshared(body).then(|| raw::value_ptr(body))
    }

    fn take_place(&self) -> Claim {
        // SAFETY: `self` keeps the cown alive.
        unsafe { raw::claim(&[self.access()]) }.expect("one cown has no duplicate")
    }

    /// Holds the cown while `f` uses the contents. `f` must not run Python code.
    fn while_held<R>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Held, Option<&Outcome>) -> R,
    ) -> PyResult<R> {
        if self.is_mine() {
            return self.with_contents(f);
        }
        let claim = self.take_place();
        patience::wait(py, None, |until| claim.wait(until))?;
        // SAFETY: the claim holds the cown.
        let result = unsafe { self.look_inside(f) };
        drop(claim);
        result
    }
}

/// Whether the value is an exception; that counts as having seen it.
fn look_at_exception(held: &mut Held, outcome: Option<&Outcome>) -> bool {
    outcome.inspect(|outcome| outcome.mark_seen());
    held.exception
}

/// # Errors
///
/// Inside of a behaviour, where `what` could wait for ever.
fn refuse_inside_behaviour(what: &str, instead: &str) -> PyResult<()> {
    if pool::inside_behaviour() {
        return Err(PyRuntimeError::new_err(format!(
            "{what} inside of a behaviour could wait for ever: {instead}"
        )));
    }
    Ok(())
}

#[pymethods]
impl Cown {
    #[new]
    pub(crate) fn new(value: Py<PyAny>) -> Self {
        Self::from_kind(Kind::Plain(boc_core::Cown::new(Contents::new(value))))
    }

    /// The value. Only for the behaviour, or the thread, that holds the cown.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Kind::Native(native) = &self.body {
            self.check_mine()?;
            // SAFETY: this thread holds the cown.
            return unsafe { native.get(py) };
        }
        self.with_contents(|held, _| {
            held.value.as_ref().map_or_else(|| py.None(), |value| value.clone_ref(py))
        })
    }

    #[setter]
    fn set_value(&self, py: Python<'_>, value: Py<PyAny>) -> PyResult<()> {
        if let Kind::Native(native) = &self.body {
            self.check_mine()?;
            // SAFETY: this thread holds the cown.
            return unsafe { native.set(py, &value) };
        }
        let value = Kept::from(value);
        let old = self.with_contents(|held, _| {
            held.exception = false;
            held.value.replace(value)
        })?;
        // The old value's end may run any code, so it comes after the exchange.
        drop(old);
        Ok(())
    }

    /// Whether the value is an exception that a body raised and nobody has dealt with.
    #[getter]
    fn exception(&self, py: Python<'_>) -> PyResult<bool> {
        if self.is_mine() {
            return self.with_contents(look_at_exception);
        }
        refuse_inside_behaviour(
            "asking a cown that is not held for its exception",
            "name it in @when(…)",
        )?;
        self.while_held(py, look_at_exception)
    }

    #[setter]
    fn set_exception(&self, exception: bool) -> PyResult<()> {
        self.with_contents(|held, outcome| {
            outcome.inspect(|outcome| outcome.mark_seen());
            held.exception = exception;
        })
    }

    /// Whether the calling thread holds the cown.
    #[getter]
    fn acquired(&self) -> bool {
        self.is_mine()
    }

    /// Waits until the calling thread holds the cown. Not inside of a behaviour.
    fn acquire(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_mine() {
            return Err(PyRuntimeError::new_err(
                "this thread holds the cown already, by its behaviour or by acquire(): use its value",
            ));
        }
        refuse_inside_behaviour("acquire()", "name the cown in @when(…)")?;
        let claim = self.take_place();
        patience::wait(py, None, |until| claim.wait(until))?;
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
        self.holder.store(this_thread(), Relaxed);
        Ok(())
    }

    /// Releases a cown that the calling thread acquired.
    fn release(&self) -> PyResult<()> {
        if self.is_mine() {
            let claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(claim) = claim {
                self.holder.store(NOBODY, Relaxed);
                drop(claim);
                return Ok(());
            }
        }
        Err(PyRuntimeError::new_err(
            "only the thread that called acquire() can release the cown; a behaviour's cowns are \
             released when it ends",
        ))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.acquire(py)?;
        let value = self.value(py);
        if value.is_err() {
            // An extension does not show it. Without this there is no end of the block to release it.
            self.release()?;
        }
        value
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.release()
    }

    /// Takes the value out of the cown, which holds `None` afterwards; or raises the exception that
    /// the body raised. Only when no behaviour is running or waiting.
    fn unwrap(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if pool::is_busy() {
            return Err(PyRuntimeError::new_err(
                "unwrap() while behaviours are running or waiting: call quiesce() or wait() \
                 before, or use result() to wait for this behaviour alone",
            ));
        }
        let taken = this.while_held(py, |held, outcome| {
            let returned = outcome.and_then(|outcome| outcome.take(slf));
            let cancelled = matches!(outcome, Some(Outcome::Cancelled));
            let raised = look_at_exception(held, outcome);
            held.exception = false;
            (held.value.take(), returned, raised, cancelled)
        })?;
        let (value, returned, raised, cancelled) = taken;
        // What the body returned, if a behaviour has put something else into its place. Its end may
        // run any code.
        drop(returned);
        match value.map(Py::from) {
            Some(value) if raised => Err(PyErr::from_value(value.into_bound(py))),
            Some(value) => Ok(value),
            None if cancelled => Err(cancelled_error(py)),
            None => Ok(py.None()),
        }
    }

    /// Waits until the behaviour whose result this is has ended. Returns what its body returned, or
    /// raises what it raised. What unwrap() took is not there any more, and that is a RuntimeError.
    #[pyo3(signature = (timeout=None))]
    fn result(slf: &Bound<'_, Self>, timeout: Option<Timeout>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let Kind::Result { cown, ended } = &this.body else {
            return Err(PyRuntimeError::new_err(
                "this cown is not the result of a behaviour, so there is nothing to wait for; \
                 schedule a behaviour over it with @when(cown)",
            ));
        };
        if !cown.is_finished() {
            refuse_inside_behaviour("result()", "schedule over the result, @when(result)")?;
            let deadline = patience::deadline(timeout);
            let ended = ended.get_or_init(|| {
                let signal = Arc::new(Signal::new());
                let set = Arc::clone(&signal);
                cown.on_finished(move || set.set());
                signal
            });
            if !patience::wait(py, deadline, |until: Option<Instant>| ended.wait(until))? {
                return Err(PyTimeoutError::new_err("the behaviour has not ended in time"));
            }
        }
        match this.outcome() {
            Some(Outcome::Returned(value)) => value.get(slf).ok_or_else(|| {
                PyRuntimeError::new_err(
                    "the value of this result was taken by unwrap(), which hands it over: use what \
                     unwrap() returned, or result() alone, which can be called as often as you like",
                )
            }),
            Some(Outcome::Raised(raised)) => Err(raised.get().look(py)),
            Some(Outcome::Cancelled) => Err(cancelled_error(py)),
            None => Ok(py.None()),
        }
    }

    fn __richcmp__(&self, other: &Self, op: pyo3::basic::CompareOp) -> bool {
        op.matches(self.address().cmp(&other.address()))
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        BuildHasherDefault::<DefaultHasher>::default().hash_one(self.address().into_raw())
    }

    fn __repr__(&self) -> String {
        let kind = match &self.body {
            Kind::Plain(_) => "",
            Kind::Result { cown, .. } if cown.is_finished() => " result",
            Kind::Result { .. } => " pending result",
            Kind::Native(_) => " of an extension",
        };
        format!("<boc.Cown{kind} at {:p}>", self.address().into_raw())
    }

    /// A cown is a place, not a value: a copy would be another place.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyType>> {
        let _ = slf;
        Err(pyo3::exceptions::PyTypeError::new_err(
            "a Cown cannot be pickled or copied: pass the Cown itself, or the value of a behaviour \
             over it",
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.contents_if_sole_owner() {
            // SAFETY: nobody else has a reference to the cown, so nobody holds it, and no Python
            // thread runs during a collection that could come to use it by this object.
            Some(contents) => unsafe { (*contents).traverse(&visit) },
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Some(contents) = self.contents_if_sole_owner() {
            // SAFETY: as above; what is unreachable is used by the collector alone.
            let old = unsafe { std::mem::take(&mut *contents) };
            drop(old);
        }
    }
}

impl Cown {
    /// Whether this is the result of a behaviour that never ran, and never will.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Cancelled))
    }

    /// How the behaviour ended whose result this is; `None` if it has not, or this is no result.
    fn outcome(&self) -> Option<&Outcome> {
        match &self.body {
            Kind::Result { cown, .. } if cown.is_finished() => {
                // SAFETY: written before the end of the behaviour, and not changed any more.
                unsafe { (*raw::value_ptr(cown.cown())).outcome.as_ref() }
            }
            _ => None,
        }
    }
}

fn cancelled_error(py: Python<'_>) -> PyErr {
    let error = py
        .import("concurrent.futures")
        .and_then(|module| module.getattr("CancelledError"))
        .and_then(|class| {
            class.call1(("the behaviour was cancelled before it started: the runtime was stopped",))
        });
    error.map_or_else(|failure| failure, PyErr::from_value)
}
