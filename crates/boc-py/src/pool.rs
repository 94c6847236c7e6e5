//! The worker threads.

use boc_core::{
    Builder, Host, Progress, QuiesceError, RunWorkerError, Runtime, observe::Observation,
};
use boc_py_worker::{
    atomic, callbacks, contents, debug, messages, noticeboard, orphan,
    parcel::Parcel,
    patience, pinned, pool, scope, unseen, value, watched,
    worker::{self, Crew},
};
use pyo3::{
    exceptions::{PyRuntimeError, PyTimeoutError},
    ffi,
    prelude::*,
    types::{PyDict, PyList},
};
use std::{
    mem::ManuallyDrop,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use crate::{
    convert::{self, Timeout},
    report::{self, Activity, Report},
};

/// Workers that wait for threads: each is a Python thread that calls `run_worker`.
#[pyclass(frozen, module = "boc._boc")]
pub(crate) struct Pool {
    runtime: ManuallyDrop<Arc<Runtime>>,
    /// The workers, if they have interpreters of their own.
    crew: OnceLock<Arc<Crew>>,
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

impl Pool {
    /// What can be seen of the runtime.
    pub(crate) fn observation(&self) -> Observation {
        self.runtime.observation().expect("it was made to be observed")
    }
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
        let runtime = Builder::new().workers(workers).foreign_threads().observable().build()?;
        let runtime = ManuallyDrop::new(Arc::new(runtime));
        Ok(Self { runtime, crew: OnceLock::new() })
    }

    /// Makes this the pool that `when` schedules on.
    fn activate(&self) {
        let by_value = self.crew.get().is_some();
        let runtime = Arc::clone(&self.runtime);
        pool::set_current(Some(pool::Pool { runtime, by_value }));
    }

    /// Makes no pool the one that `when` schedules on.
    #[staticmethod]
    fn deactivate() {
        pool::set_current(None);
    }

    /// Runs behaviours on the calling thread, until the pool is told to end.
    fn run_worker(&self, py: Python<'_>) -> PyResult<()> {
        self.runtime.run_worker(&mut Attached(py)).map_err(|error| match error {
            RunWorkerError::NoPlace | RunWorkerError::AlreadyWorker => {
                PyRuntimeError::new_err(error.to_string())
            }
        })
    }

    /// Starts workers with interpreters of their own, which get this `sys.path`, and settings for
    /// `boc._worker`.
    fn start_interpreters(
        &self,
        py: Python<'_>,
        workers: usize,
        path: &Bound<'_, PyAny>,
        settings: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        boc_capi::host::set_elsewhere();
        let start = || {
            let path = Parcel::pack(&convert::given(path))?;
            let settings = Parcel::pack(&convert::given(settings))?;
            Crew::start(Arc::clone(&self.runtime), workers, path, settings)
        };
        let crew = start().map_err(|raised| convert::error(py, raised))?;
        let _ = self.crew.set(crew);
        Ok(())
    }

    /// Waits until those workers have ended; says whether they have.
    #[pyo3(signature = (timeout=None))]
    fn join_interpreters(&self, py: Python<'_>, timeout: Option<Timeout>) -> PyResult<bool> {
        let timeout = timeout.and_then(|Timeout(seconds)| seconds);
        let joined = self.crew.get().map_or(Ok(true), |crew| crew.join(timeout));
        joined.map_err(|raised| convert::error(py, raised))
    }

    /// Raises SystemExit in those workers that have not ended; gives their names.
    fn interrupt_interpreters(&self) -> Vec<String> {
        self.crew.get().map_or_else(Vec::new, Crew::interrupt)
    }

    /// Raises it again and again in those that still have not, whatever they catch.
    fn insist_interpreters(&self) {
        if let Some(crew) = self.crew.get() {
            crew.insist();
        }
    }

    /// Waits until all behaviours have ended.
    #[pyo3(signature = (timeout=None))]
    fn quiesce(&self, py: Python<'_>, timeout: Option<Timeout>) -> PyResult<()> {
        if self.quiesced(py, timeout)? {
            return Ok(());
        }
        let left = self.runtime.in_flight();
        Err(PyTimeoutError::new_err(format!(
            "behaviours still running or waiting when the time ran out: {left}"
        )))
    }

    /// Waits until nothing is in flight; says whether it has come to that in time.
    #[pyo3(signature = (timeout=None))]
    fn quiesced(&self, py: Python<'_>, timeout: Option<Timeout>) -> PyResult<bool> {
        if pool::inside_behaviour() {
            return Err(PyRuntimeError::new_err(QuiesceError::InsideBehaviour.to_string()));
        }
        let quiesce = |until: Option<Instant>, served: bool| {
            if served {
                return pinned::quiesce(&self.runtime, until);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.runtime.quiesce(left).is_ok()
        };
        let deadline = timeout.and_then(|Timeout(seconds)| patience::deadline(seconds));
        let waited = patience::wait_for_behaviours(deadline, quiesce);
        waited.map_err(|raised| convert::error(py, raised))
    }

    /// Tells the workers to end when nothing is in flight, and waits for that.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.runtime.drain();
        let retired = |until: Option<Instant>, _: bool| {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.runtime.wait_retired(left)
        };
        let waited = patience::wait_for_behaviours(None, retired);
        waited.map(|_| ()).map_err(|raised| convert::error(py, raised))
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

    /// Behaviours that have ended, and those that were scheduled, these among them.
    fn progress(&self) -> (usize, usize) {
        let Progress { ended, scheduled, .. } = self.runtime.progress();
        (ended, scheduled)
    }

    /// Says whether behaviours that are scheduled from now on are observed.
    fn observe(&self, on: bool) {
        self.observation().observe(on);
    }

    /// What the workers do now, as far as that is observed.
    fn activity(&self, py: Python<'_>) -> Activity {
        py.detach(|| Activity::of(&self.runtime, &self.observation()))
    }

    /// Who waits for whom, of those that are observed; at the most so many of those that wait.
    fn report(&self, py: Python<'_>, limit: usize) -> Report {
        py.detach(|| report::of(&self.runtime, &self.observation(), limit))
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

/// Raises what is wrong with a timeout, for waits that turn out not to be needed.
#[pyfunction]
#[pyo3(signature = (timeout))]
pub(crate) fn check_timeout(timeout: Option<Timeout>) {
    let _ = timeout;
}

/// How many behaviours were cancelled before they started, since the process began.
#[pyfunction]
pub(crate) fn cancelled() -> usize {
    contents::cancelled()
}

/// Says whether behaviours are asked at their end who else can reach what they hold.
#[pyfunction]
pub(crate) fn set_debug(on: bool) {
    debug::set(on);
}

/// Says whether threads that schedule are told that the interpreter exits.
#[pyfunction]
pub(crate) fn set_exiting(py: Python<'_>, exiting: bool) {
    py.detach(|| pool::set_exiting(exiting));
}

/// Whether the calling thread is running the body of a behaviour, or a finaliser behind one.
#[pyfunction]
pub(crate) fn inside_behaviour() -> bool {
    pool::inside_behaviour()
}

/// Imports a module in the interpreter of a worker; says why it cannot be imported there, which is nothing if it
/// can. `None` if there is no such interpreter now.
#[pyfunction]
pub(crate) fn try_import(py: Python<'_>, name: &str) -> PyResult<Option<String>> {
    worker::try_import(name).map_err(|raised| convert::error(py, raised))
}

/// Whether a module is an extension that only the main interpreter can load, or one that shares its GIL.
#[pyfunction]
pub(crate) fn needs_main_interpreter(module: &Bound<'_, PyAny>) -> bool {
    #[cfg(Py_3_12)]
    // SAFETY: attached, and the module is alive, and with it its definition. That ends with a slot of number 0, if it
    // has any.
    unsafe {
        if ffi::PyModule_Check(module.as_ptr()) == 0 {
            return false;
        }
        let definition = ffi::PyModule_GetDef(module.as_ptr());
        if definition.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        let mut slot = (*definition).m_slots;
        while !slot.is_null() && (*slot).slot != 0 {
            if (*slot).slot == ffi::Py_mod_multiple_interpreters {
                return (*slot).value != ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED;
            }
            slot = slot.add(1);
        }
        true
    }
    #[cfg(not(Py_3_12))]
    {
        let _ = module;
        false
    }
}

/// Ends the interpreters that are kept for the next pool, and waits for that; says whether they have ended. Waits no
/// longer if none has ended for as long as the timeout.
#[pyfunction]
#[pyo3(signature = (timeout=None))]
pub(crate) fn end_resting_interpreters(py: Python<'_>, timeout: Option<Timeout>) -> PyResult<bool> {
    let timeout = timeout.and_then(|Timeout(seconds)| seconds);
    worker::end_resting(timeout).map_err(|raised| convert::error(py, raised))
}

/// The last thing at exit, if there is no worker any more.
#[pyfunction]
pub(crate) fn free_nothing() {
    worker::free_nothing();
}

/// Ends all interpreters but the main one until `resume_interpreters`.
#[pyfunction]
pub(crate) fn pause_interpreters() {
    worker::before_fork();
}

/// Has the workers make their interpreters anew.
#[pyfunction]
pub(crate) fn resume_interpreters() {
    worker::after_fork_in_parent();
}

/// Has workers take over what changes in the dictionary of `sys`, as far as it is about streams, and in that of the
/// environment.
#[pyfunction]
pub(crate) fn watch_settings(
    py: Python<'_>,
    sys: &Bound<'_, PyAny>,
    environment: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let watched = watched::watch(&convert::given(sys), &convert::given(environment));
    watched.map_err(|raised| convert::error(py, raised))
}

/// Has workers take over the settings of the program once more.
#[pyfunction]
pub(crate) fn settings_changed() {
    watched::note_change();
}

/// Called in a child process, on the thread that forked.
#[pyfunction]
pub(crate) fn leave_pool_after_fork() {
    worker::after_fork_in_child();
    orphan::leave_pool_after_fork();
}

/// Called in a child process: what the parent's behaviours raised is the parent's to log, messages are the parent's
/// to receive, and the noticeboard is the parent's.
#[pyfunction]
pub(crate) fn forget_after_fork() {
    unseen::forget_after_fork();
    messages::forget_after_fork();
    noticeboard::forget_after_fork();
    value::forget_after_fork();
}

/// All that is on the noticeboard, as a dict.
#[pyfunction]
pub(crate) fn read_noticeboard(py: Python<'_>) -> PyResult<Py<PyAny>> {
    convert::object(py, noticeboard::everything())
}

/// Takes everything off the noticeboard.
#[pyfunction]
pub(crate) fn clear_noticeboard() {
    noticeboard::clear();
}

/// Says how many keys there can be on the noticeboard; none for as many as usual.
#[pyfunction]
#[pyo3(signature = (limit=None))]
pub(crate) fn limit_noticeboard(limit: Option<usize>) {
    noticeboard::set_limit(limit.unwrap_or(noticeboard::DEFAULT_LIMIT));
}

/// Drops the messages that nobody has received.
#[pyfunction]
pub(crate) fn clear_messages() {
    messages::clear();
}

/// Raises inside of a block of `atomic()`, whose behaviours nobody can wait for in there.
#[pyfunction]
pub(crate) fn refuse_to_wait(py: Python<'_>, what: &str) -> PyResult<()> {
    atomic::refuse_to_wait(what).map_err(|raised| convert::error(py, raised))
}

/// Opens a scope: gives it, and the result of its end.
#[pyfunction]
pub(crate) fn open_scope(py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let (scope, ended) = scope::open().map_err(|raised| convert::error(py, raised))?;
    Ok((convert::object(py, Ok(scope))?, convert::object(py, Ok(ended))?))
}

/// A callback, and the result that it gets.
type Due = (Py<PyAny>, Py<PyAny>);

/// Waits until behaviours have ended for which there are callbacks: a list of those and of the results that they
/// get. Those that it gave before have been called.
#[pyfunction]
pub(crate) fn take_callbacks(py: Python<'_>) -> PyResult<Vec<Due>> {
    let objects = |due: callbacks::Due| {
        let callback = convert::object(py, Ok(due.callback.object()))?;
        Ok((callback, convert::object(py, Ok(due.result.object()))?))
    };
    callbacks::take().into_iter().map(objects).collect()
}

/// Says whether there is a thread that calls `take_callbacks`.
#[pyfunction]
pub(crate) fn set_callbacks_served(served: bool) {
    callbacks::set_served(served);
}

/// Waits until all callbacks have been called whose behaviours have ended; says whether they have.
#[pyfunction]
#[pyo3(signature = (timeout=None))]
pub(crate) fn wait_for_callbacks(py: Python<'_>, timeout: Option<Timeout>) -> PyResult<bool> {
    let timeout = timeout.and_then(|Timeout(seconds)| seconds);
    callbacks::wait_called(timeout).map_err(|raised| convert::error(py, raised))
}

/// Called in a child process: what the parent's behaviours have to call is the parent's to call.
#[pyfunction]
pub(crate) fn forget_callbacks_after_fork() {
    callbacks::forget_after_fork();
}

/// The exceptions that nobody has looked at so far; they count as seen from now on.
#[pyfunction]
pub(crate) fn take_unseen(py: Python<'_>) -> Vec<Py<PyAny>> {
    let all = unseen::take_unseen().into_iter();
    all.filter_map(|exception| convert::object(py, Ok(exception)).ok()).collect()
}

/// Raises an exception in another thread, as soon as that runs Python code.
#[pyfunction]
pub(crate) fn raise_in_thread(ident: std::ffi::c_ulong, exception: &Bound<'_, PyAny>) {
    // SAFETY: attached, and the exception is a live object.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, exception.as_ptr()) };
}
