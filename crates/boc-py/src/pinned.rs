//! Pinned cowns: what the package asks of the main thread's queue.

use boc_py_worker::pinned;
use pyo3::prelude::*;
use std::time::Duration;

use crate::convert;

/// Runs what is ready on the main thread: so many behaviours, and so many milliseconds, at the most. Gives how many have
/// run, whether there were others when the time had run out, and how many have raised.
#[pyfunction]
pub(crate) fn pump_pinned(
    py: Python<'_>,
    limit: Option<usize>,
    milliseconds: Option<u64>,
    raise_on_error: bool,
) -> PyResult<(usize, bool, usize)> {
    let time = milliseconds.map(Duration::from_millis);
    let pumped = pinned::pump(limit.unwrap_or(usize::MAX), time, raise_on_error);
    let pumped = pumped.map_err(|raised| convert::error(py, raised))?;
    Ok((pumped.executed, pumped.deadline_reached, pumped.raised))
}

/// Says which thread is the main one.
#[pyfunction]
pub(crate) fn set_main_thread(ident: u64) {
    pinned::set_main_thread(ident);
}

/// Whether the calling thread is that.
#[pyfunction]
pub(crate) fn is_main_thread() -> bool {
    pinned::is_main_thread()
}

/// Says how many milliseconds the main thread waits for behaviours at the most before it looks what else there is.
#[pyfunction]
pub(crate) fn set_pinned_poll(milliseconds: u64) {
    pinned::set_poll(milliseconds);
}

/// Waits until something has become ready for the main thread since this gave `seen`, or `nudge_pinned` is called.
#[pyfunction]
pub(crate) fn wait_for_pinned(seen: u64) -> u64 {
    pinned::wait_ready(seen)
}

/// Wakes those who are in `wait_for_pinned`.
#[pyfunction]
pub(crate) fn nudge_pinned() {
    pinned::nudge();
}

/// Begins to watch whether the main thread pumps, and ends the watch before. Gives the number of the watch.
#[pyfunction]
pub(crate) fn watch_pinned() -> u64 {
    pinned::begin_watch()
}

/// Waits until something has been ready for so many milliseconds and nobody has pumped. Gives how many by then, and how
/// many behaviours there are; `None` when the watch is over.
#[pyfunction]
pub(crate) fn wait_for_starving(watch: u64, milliseconds: u64) -> Option<(u64, usize)> {
    let starved = pinned::wait_starved(watch, Duration::from_millis(milliseconds));
    starved.map(|(time, count)| (u64::try_from(time.as_millis()).unwrap_or(u64::MAX), count))
}

/// Called at the end of the program: cancels what is ready for the main thread, and what becomes so.
#[pyfunction]
pub(crate) fn close_pinned() {
    pinned::close();
}

/// What the main thread is to run is cancelled.
#[pyfunction]
pub(crate) fn discard_pinned() {
    pinned::discard();
}

/// Called in a child process, on the thread that is the main one there.
#[pyfunction]
pub(crate) fn forget_pinned_after_fork() {
    pinned::forget_after_fork();
}
