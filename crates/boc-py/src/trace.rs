//! What the workers have done, as a file that Perfetto and Chrome's `about:tracing` show.
//!
//! - [`story`]: from events to what is to be drawn;
//! - [`file`]: how that is written.
//!
//! A thread of its own takes what the workers have noted, every few milliseconds, and writes it. So a program
//! of any length needs no more memory than for what happens meanwhile and for what has not ended; and the
//! workers do nothing but note. The thread needs no interpreter.

mod file;
mod story;

use boc_core::observe::{Observation, Report};
use pyo3::{exceptions::PyOSError, prelude::*};
use std::{
    collections::BTreeMap,
    fs::File,
    io, mem,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::pool::Pool;
use file::Output;
use story::Story;

/// How often what has happened is taken.
const PERIOD: Duration = Duration::from_millis(10);

/// So many events are kept for each worker until then, if nobody says else. What is more is lost, and counted.
const KEPT: usize = 1 << 17;

/// A file that is being written.
#[pyclass(frozen, module = "boc._boc")]
pub(crate) struct Trace {
    path: PathBuf,
    /// So many events are kept for each worker until they are written.
    kept: usize,
    orders: Arc<Orders>,
    thread: Mutex<Option<JoinHandle<io::Result<Totals>>>>,
}

/// What was written.
#[derive(Clone, Copy, Default)]
struct Totals {
    behaviours: u64,
    lost: u64,
}

/// What the thread is told.
#[derive(Default)]
struct Orders {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Pools that were not begun with, and what there was in them.
    pools: Vec<(Observation, Report)>,
    ended: bool,
}

impl Orders {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// Waits a while for the end. Gives what is new, and whether that has come.
    fn wait(&self) -> (Vec<(Observation, Report)>, bool) {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, PERIOD, |state| !state.ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (mem::take(&mut state.pools), state.ended)
    }
}

#[pymethods]
impl Trace {
    /// Begins a file. `program` is what it is a trace of, `about` what else is to be in it.
    #[new]
    #[pyo3(signature = (path, program, about, kept=KEPT))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        program: String,
        about: BTreeMap<String, String>,
        kept: usize,
    ) -> PyResult<Self> {
        let begin = || {
            let output = Output::begin(File::create(&path)?, &program)?;
            let orders = Arc::new(Orders::default());
            let (mine, begun) = (Arc::clone(&orders), Instant::now());
            let write = move || write(&mine, Story::new(output, begun), about);
            let thread = thread::Builder::new().name("boc-trace".to_owned()).spawn(write)?;
            Ok((orders, thread))
        };
        // To open a file can take its time.
        let begun = py.detach(begin);
        let (orders, thread) = begun.map_err(|error| os_error(&error, &path))?;
        Ok(Self { path, kept, orders, thread: Mutex::new(Some(thread)) })
    }

    /// From now on what happens to the behaviours of this pool that are observed is written.
    fn add(&self, py: Python<'_>, pool: &Pool) {
        let observation = pool.observation();
        let report = py.detach(|| {
            observation.keep_events(self.kept);
            observation.report()
        });
        self.orders.state().pools.push((observation, report));
    }

    /// Writes the rest. Gives how many behaviours there are in the file, and how many events were lost.
    ///
    /// Raises an `OSError` if something could not be written.
    fn finish(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        self.orders.end();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok((0, 0)) };
        let outcome = py.detach(|| thread.join());
        // If nothing could be written any more.
        for (observation, _) in mem::take(&mut self.orders.state().pools) {
            observation.keep_events(0);
        }
        let outcome =
            outcome.unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")));
        let Totals { behaviours, lost } = outcome.map_err(|error| os_error(&error, &self.path))?;
        Ok((behaviours, lost))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.orders.end();
    }
}

/// With the number of the error, by which Python knows its class, and the name of the file.
fn os_error(error: &io::Error, path: &std::path::Path) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            let whole = error.to_string();
            let text = whole.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text, path.as_os_str().to_owned()))
        }
        None => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}

/// What the thread does.
fn write(
    orders: &Orders,
    mut story: Story,
    mut about: BTreeMap<String, String>,
) -> io::Result<Totals> {
    let mut pools: Vec<Observation> = Vec::new();
    let mut told = || -> io::Result<()> {
        loop {
            let (new, ended) = orders.wait();
            for (observation, report) in new {
                pools.push(observation);
                story.add_pool(&report)?;
            }
            for (index, observation) in pools.iter().enumerate() {
                story.go_on(index, observation)?;
            }
            if ended {
                return Ok(());
            }
        }
    };
    let outcome = told();
    // Nobody takes what is noted from now on.
    pools.iter().for_each(|observation| observation.keep_events(0));
    outcome?;
    let totals = story.totals();
    about.insert("behaviours".to_owned(), totals.behaviours.to_string());
    about.insert("events lost".to_owned(), totals.lost.to_string());
    story.end(&about)?;
    Ok(totals)
}
