//! The worker threads, and which pool `when` schedules on.

use boc_core::{Builder, ExecutorRef, Host, QuiesceError, RunWorkerError, Runtime, raw};
use pyo3::{
    exceptions::{PyRuntimeError, PyTimeoutError},
    prelude::*,
    types::{PyDict, PyList},
};
use std::{
    cell::RefCell,
    mem::ManuallyDrop,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

use crate::{
    ending, orphan,
    patience::{self, Timeout},
};

/// Workers that wait for threads: each is a Python thread that calls `run_worker`.
#[pyclass(frozen, module = "boc._boc")]
pub(crate) struct Pool {
    runtime: ManuallyDrop<Arc<Runtime>>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.runtime.stop();
        // The end of a runtime waits for its workers, which may wait for this thread to detach. The
        // package ends its pools before it lets go of them, so that this happens only when the
        // interpreter is on its way out.
        if self.runtime.wait_retired(Some(Duration::ZERO)) {
            // SAFETY: not used any more.
            unsafe { ManuallyDrop::drop(&mut self.runtime) };
        }
    }
}

/// The pool in use.
static CURRENT: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

/// Changes whenever `CURRENT` does, so that threads can keep a reference of their own and need no
/// lock to see that it is still the right one.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Whether no pool will be in use any more. Known here, because a thread that calls into Python while
/// the interpreter ends may not come back.
static EXITING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static KNOWN: RefCell<(u64, Option<ExecutorRef>)> = const { RefCell::new((0, None)) };
}

pub(crate) fn current() -> MutexGuard<'static, Option<Arc<Runtime>>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_current(runtime: Option<Arc<Runtime>>) {
    let old = std::mem::replace(&mut *current(), runtime);
    GENERATION.fetch_add(1, Release);
    drop(old);
}

/// Whether behaviours of the pool in use are running or waiting.
pub(crate) fn is_busy() -> bool {
    current().as_ref().is_some_and(|runtime| runtime.in_flight() > 0)
}

/// Calls `schedule` with the executor to schedule on: that of the worker which this thread is, or
/// the pool in use, which is started if there is none.
///
/// `schedule` says `None` if the executor refused. Then another thread has just stopped the pool,
/// and it is called again with the next one; but a worker has no other executor than its own.
pub(crate) fn with_executor<R>(
    py: Python<'_>,
    mut schedule: impl FnMut(&ExecutorRef, Refusal) -> Option<R>,
) -> PyResult<R> {
    let mine = |executor: &ExecutorRef| schedule(executor, Refusal::IsFinal);
    if let Some(result) = raw::with_current_executor(|executor| executor.and_then(mine)) {
        return Ok(result);
    }
    loop {
        let in_use = |executor: &ExecutorRef| schedule(executor, Refusal::IsTold);
        if let Some(result) = known(|executor| executor.and_then(in_use)) {
            return Ok(result);
        }
        start(py)?;
    }
}

/// Starts a pool, if there is none in use.
pub(crate) fn start(py: Python<'_>) -> PyResult<()> {
    if EXITING.load(Relaxed) {
        return Err(PyRuntimeError::new_err(
            "cannot schedule behaviours while the interpreter exits",
        ));
    }
    py.check_signals()?;
    ending::call(py, "boc._runtime", "start", [])?;
    Ok(())
}

/// What becomes of a behaviour that an executor refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is scheduled on another executor.
    IsTold,
    /// It is cancelled.
    IsFinal,
}

/// Calls `f` with this thread's reference to the executor of the pool in use.
pub(crate) fn known<R>(f: impl FnOnce(Option<&ExecutorRef>) -> R) -> R {
    let generation = GENERATION.load(Acquire);
    let executor = KNOWN.with_borrow_mut(|(seen, executor)| {
        if *seen != generation {
            *executor = current().as_ref().map(|runtime| runtime.executor().clone());
            *seen = generation;
        }
        // Taken out, because `f` runs Python code, which may come here again.
        executor.take()
    });
    let result = f(executor.as_ref());
    KNOWN.with_borrow_mut(|(seen, place)| {
        if *seen == generation && place.is_none() {
            *place = executor;
        }
    });
    result
}

/// A Python thread stays attached while it has behaviours to run, and detaches to sleep.
struct Attached<'py>(Python<'py>);

impl Host for Attached<'_> {
    fn park(&mut self, wait: &mut dyn FnMut()) {
        /// Only this thread calls it, and only while `park` waits for that.
        struct Here<'a>(&'a mut dyn FnMut());
        // SAFETY: `detach` calls its closure on the calling thread.
        unsafe impl Send for Here<'_> {}
        impl Here<'_> {
            fn wait(&mut self) {
                (self.0)();
            }
        }
        orphan::end_if_outermost();
        let mut here = Here(wait);
        self.0.detach(move || here.wait());
    }
}

#[pymethods]
impl Pool {
    #[new]
    fn new(workers: usize) -> PyResult<Self> {
        let runtime = Builder::new().workers(workers).foreign_threads().build()?;
        Ok(Self { runtime: ManuallyDrop::new(Arc::new(runtime)) })
    }

    /// Makes this the pool that `when` schedules on.
    fn activate(&self) {
        set_current(Some(Arc::clone(&self.runtime)));
    }

    /// Makes no pool the one that `when` schedules on.
    #[staticmethod]
    fn deactivate() {
        set_current(None);
    }

    /// Runs behaviours on the calling thread, until the pool is told to end.
    fn run_worker(&self, py: Python<'_>) -> PyResult<()> {
        self.runtime.run_worker(&mut Attached(py)).map_err(|error| match error {
            RunWorkerError::NoPlace | RunWorkerError::AlreadyWorker => {
                PyRuntimeError::new_err(error.to_string())
            }
        })
    }

    /// Waits until all behaviours have ended.
    #[pyo3(signature = (timeout=None))]
    fn quiesce(&self, py: Python<'_>, timeout: Option<Timeout>) -> PyResult<()> {
        if inside_behaviour() {
            return Err(PyRuntimeError::new_err(QuiesceError::InsideBehaviour.to_string()));
        }
        let quiesce = |until: Option<Instant>| {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.runtime.quiesce(left).is_ok()
        };
        if patience::wait(py, patience::deadline(timeout), quiesce)? {
            return Ok(());
        }
        let left = self.runtime.in_flight();
        Err(PyTimeoutError::new_err(format!(
            "behaviours still running or waiting when the time ran out: {left}"
        )))
    }

    /// Tells the workers to end when nothing is in flight, and waits for that.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.runtime.drain();
        let retired = |until: Option<Instant>| {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.runtime.wait_retired(left)
        };
        patience::wait(py, None, retired).map(|_| ())
    }

    /// Tells the workers to end after the behaviour they are running; what has not started is
    /// cancelled.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.runtime.stop());
    }

    /// Behaviours that were scheduled and have not ended.
    fn in_flight(&self) -> usize {
        self.runtime.in_flight()
    }

    /// For each worker what it has done so far.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let stats = self.runtime.stats();
        let rows = stats.iter().enumerate().map(|(index, worker)| {
            let row = PyDict::new(py);
            row.set_item("worker_index", index)?;
            row.set_item("run", worker.run)?;
            row.set_item("stolen", worker.stolen)?;
            row.set_item("parked", worker.parked)?;
            row.set_item("woken", worker.woken)?;
            Ok(row)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }
}

/// Says whether threads that schedule are told that the interpreter exits.
#[pyfunction]
pub(crate) fn set_exiting(exiting: bool) {
    EXITING.store(exiting, Relaxed);
}

/// Whether the calling thread is running the body of a behaviour, or a finaliser behind one: the
/// worker releases cowns then, and would wait for itself just the same.
#[pyfunction]
pub(crate) fn inside_behaviour() -> bool {
    boc_core::inside_behaviour() || raw::with_current_executor(|executor| executor.is_some())
}

/// Raises an exception in another thread, as soon as that runs Python code.
#[pyfunction]
pub(crate) fn raise_in_thread(ident: std::ffi::c_ulong, exception: &Bound<'_, PyAny>) {
    // SAFETY: attached, and the exception is a live object.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident as _, exception.as_ptr()) };
}
