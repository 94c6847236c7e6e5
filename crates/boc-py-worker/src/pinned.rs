//! Behaviours that run on the main thread of the main interpreter, since one of their cowns is pinned to it.
//!
//! They count as behaviours of the pool that they were scheduled on, and go to the *desk* when they are ready. The main
//! thread takes them from there when the program pumps, and while it waits for behaviours.
//!
//! Who waits for something else than the desk is told by [`ring`] that this has come about.

use boc_core::{
    Executor, ExecutorRef, Ready, Runtime,
    raw::{self, Held},
};
use pyo3_ffi as ffi;
use std::{
    cell::RefCell,
    collections::VecDeque,
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    atomic::Aside,
    contents::{Contents, Outcome},
    error::{self, Raised, Result},
    interpreter::where_now,
    object::Object,
    orphan, patience,
    per_process::PerProcess,
    pool, threads,
    unseen::Unseen,
};

/// Where behaviours lie that the main thread is to run.
#[derive(Default)]
struct Desk {
    content: Mutex<Content>,
    /// Told when anything has changed for who waits.
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    ready: VecDeque<Ready>,
    /// How many have come so far, and how often somebody who waits for that was to look up.
    came: u64,
    /// Since when there have been some, and nobody has taken any.
    starving: Option<Instant>,
    /// How many such times there have been, and the last one that was told of.
    times: u64,
    told: u64,
    /// Whether the main thread is taking them.
    is_pumped: bool,
    /// The runtime for whose end the main thread waits.
    quiescing: Option<Arc<Runtime>>,
    /// Which watch is on.
    watch: u64,
    /// Whether nobody is going to take any more.
    closed: bool,
}

static DESK: PerProcess<Desk> = PerProcess::new();

/// Whether there has been a pinned cown.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// The identifier of the main thread.
static MAIN_THREAD: AtomicU64 = AtomicU64::new(0);

/// How many milliseconds the main thread waits for behaviours at the most before it looks what else there is.
static POLL: AtomicU64 = AtomicU64::new(patience::SLICE.as_millis() as u64);

impl Desk {
    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Somebody begins to wait for the main thread, if there is anything to wait for.
    fn begin_to_starve(&mut self) {
        if self.starving.is_none() && !self.is_pumped && !self.ready.is_empty() {
            self.starving = Some(Instant::now());
            self.times += 1;
        }
    }
}

/// The way to the desk.
struct ToDesk;

impl Executor for ToDesk {
    fn execute(&self, ready: Ready) -> std::result::Result<(), Ready> {
        let desk = DESK.get();
        let mut content = desk.content();
        if content.closed {
            return Err(ready);
        }
        content.ready.push_back(ready);
        content.came += 1;
        content.begin_to_starve();
        let quiescing = content.quiescing.clone();
        drop(content);
        desk.changed.notify_all();
        if let Some(runtime) = quiescing {
            runtime.look_again();
        }
        Ok(())
    }
}

/// What behaviours go to that are to run on the main thread.
pub(crate) fn executor() -> &'static ExecutorRef {
    static EXECUTOR: OnceLock<ExecutorRef> = OnceLock::new();
    EXECUTOR.get_or_init(|| ExecutorRef::from(Arc::new(ToDesk)))
}

/// A pinned cown is made.
pub(crate) fn note_use() {
    IN_USE.store(true, Relaxed);
}

/// Says which thread is the main one.
pub fn set_main_thread(ident: u64) {
    MAIN_THREAD.store(ident, Relaxed);
}

/// Says how long the main thread waits for behaviours before it looks what else there is, in milliseconds.
pub fn set_poll(milliseconds: u64) {
    POLL.store(milliseconds, Relaxed);
}

/// Whether this thread is the main one, and attached to the main interpreter.
pub fn is_main_thread() -> bool {
    // SAFETY: asks for nothing.
    let ident = unsafe { ffi::PyThread_get_thread_ident() };
    ident as u64 == MAIN_THREAD.load(Relaxed) && where_now().is_main()
}

/// What a pump has done so far.
#[derive(Default)]
struct Pump {
    executed: usize,
    raised: usize,
    /// Whether the first exception is to come out of it at the end.
    keeps_first: bool,
    first: Option<Unseen>,
    /// What comes out of it at once, as `KeyboardInterrupt`.
    fatal: Option<Unseen>,
}

thread_local! {
    /// That of this thread, while it pumps.
    static PUMP: RefCell<Option<Pump>> = const { RefCell::new(None) };
}

fn with_pump<R>(f: impl FnOnce(&mut Pump) -> R) -> Option<R> {
    PUMP.with_borrow_mut(|pump| pump.as_mut().map(f))
}

/// Runs a behaviour on the main thread, and notes for the pump how it went.
pub(crate) fn run_noted<W>(
    (work, run): (W, fn(W, Held<'_>, &mut Contents)),
    held: Held<'_>,
    result: &mut Contents,
) {
    run(work, held, result);
    with_pump(|pump| pump.executed += 1);
    match &result.outcome {
        Some(Outcome::Raised(unseen)) => {
            let shared = unseen.share();
            let is_ordinary = is_ordinary(&shared.exception());
            // What is replaced, or not wanted, is given up when nothing is borrowed.
            let _unwanted = with_pump(|pump| {
                pump.raised += 1;
                if !is_ordinary {
                    return pump.fatal.replace(shared);
                }
                if pump.keeps_first && pump.first.is_none() {
                    return pump.first.replace(shared);
                }
                Some(shared)
            });
        }
        Some(Outcome::Failed(_)) => drop(with_pump(|pump| pump.raised += 1)),
        Some(Outcome::Returned(_) | Outcome::Cancelled(_)) | None => {}
    }
}

/// Whether it is an `Exception`.
fn is_ordinary(exception: &Object) -> bool {
    // SAFETY: the object is alive, and shows that the thread is attached; this is a class of exceptions.
    unsafe { ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), ffi::PyExc_Exception) != 0 }
}

/// Raises an exception, which counts as seen then.
fn raise(unseen: Unseen) -> Raised {
    unseen.mark_seen();
    let exception = unseen.exception();
    // An exception must not be set while other code runs.
    drop(unseen);
    Raised::restore(exception)
}

/// The main thread takes behaviours from the desk.
struct Turn {
    /// What the thread has left for this: a signal's handler can wait between two behaviours of another turn.
    outer: Option<Pump>,
    /// Whether it has forked in a behaviour, and what it runs now is the child's own.
    in_orphan: bool,
    /// What runs here is in none of the blocks of `atomic()` that the thread is in.
    _blocks: Aside,
}

impl Turn {
    fn begin(keeps_first: bool) -> Self {
        let outer = PUMP.replace(Some(Pump { keeps_first, ..Pump::default() }));
        let mut content = DESK.get().content();
        content.is_pumped = true;
        content.starving = None;
        Self { outer, in_orphan: orphan::replace(false), _blocks: Aside::put() }
    }

    /// Runs the behaviour that has been ready for longest, unless it was cancelled; says whether there was one. Raises
    /// what a body raises that is none of its own business, such as `KeyboardInterrupt`.
    fn run_one(&self) -> Result<bool> {
        patience::check_signals()?;
        // In a statement of its own, so that the lock is given back.
        let next = DESK.get().content().ready.pop_front();
        let Some(ready) = next else { return Ok(false) };
        ready.run();
        match with_pump(|pump| Some((pump.fatal.take()?, pump.first.take()))).flatten() {
            Some((unseen, first)) => {
                drop(first);
                Err(raise(unseen))
            }
            None => Ok(true),
        }
    }

    fn executed(&self) -> usize {
        with_pump(|pump| pump.executed).unwrap_or(0)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        orphan::replace(self.in_orphan);
        let is_pumped = self.outer.is_some();
        let pump = PUMP.replace(self.outer.take());
        let mut content = DESK.get().content();
        content.is_pumped = is_pumped;
        content.begin_to_starve();
        drop(content);
        DESK.get().changed.notify_all();
        drop(pump);
    }
}

/// What [`pump`] has done.
pub struct Pumped {
    /// How many behaviours have run.
    pub executed: usize,
    /// Whether there were others when the time had run out.
    pub deadline_reached: bool,
    /// How many of them have raised.
    pub raised: usize,
}

/// Runs behaviours that are ready, and those that become so meanwhile, on the main thread: no more than `limit`, and
/// begins with none of them when `time` has passed.
///
/// Raises what a body raises that is no `Exception`, such as `KeyboardInterrupt`, at once, and with `raise_on_error` at
/// the end the first exception of a body.
///
/// # Errors
///
/// `RuntimeError` on another thread, inside of a behaviour, and inside of another pump.
pub fn pump(limit: usize, time: Option<Duration>, raise_on_error: bool) -> Result<Pumped> {
    if !is_main_thread() {
        return Err(error::runtime_error(
            "pump() works in the main thread of the main interpreter alone, where pinned cowns live",
        ));
    }
    if pool::inside_behaviour() {
        return Err(error::runtime_error(
            "pump() inside of a behaviour: what is ready runs when that has ended, and the main thread pumps",
        ));
    }
    if with_pump(|_| ()).is_some() {
        return Err(error::runtime_error(
            "pump() inside of pump(), or of a wait that pumps: what is ready runs when that goes on",
        ));
    }
    let until = time.and_then(|time| Instant::now().checked_add(time));
    let turn = Turn::begin(raise_on_error);
    let mut deadline_reached = false;
    while turn.executed() < limit {
        if until.is_some_and(|until| until <= Instant::now()) {
            deadline_reached = is_any_ready();
            break;
        }
        if !turn.run_one()? {
            break;
        }
    }
    let first = with_pump(|pump| pump.first.take()).flatten();
    let raised = with_pump(|pump| pump.raised).unwrap_or(0);
    match first {
        Some(unseen) => Err(raise(unseen)),
        None => Ok(Pumped { executed: turn.executed(), deadline_reached, raised }),
    }
}

/// Whether there is something for the main thread to run.
pub(crate) fn is_any_ready() -> bool {
    !DESK.get().content().ready.is_empty()
}

/// Whether this thread is to run behaviours while it waits for others.
pub(crate) fn is_served_here() -> bool {
    IN_USE.load(Relaxed) && is_main_thread() && !pool::inside_behaviour()
}

/// Runs what is ready, for no longer than a slice of time if there is no end of it.
pub(crate) fn serve() -> Result<()> {
    if !is_any_ready() {
        return Ok(());
    }
    let until = Instant::now() + patience::SLICE;
    let turn = Turn::begin(false);
    while turn.run_one()? && Instant::now() < until {}
    Ok(())
}

/// How long the main thread waits for behaviours at the most before it looks what there is for itself.
pub(crate) fn patience() -> Duration {
    if is_any_ready() {
        return Duration::ZERO;
    }
    Duration::from_millis(POLL.load(Relaxed)).min(patience::SLICE)
}

/// Waits until something is ready for the main thread, `over` holds, or the moment has come. Says whether `over` holds.
/// Who makes it so calls [`ring`]. Not attached.
pub(crate) fn wait_or(over: impl Fn() -> bool, until: Option<Instant>) -> bool {
    let desk = DESK.get();
    let is_over = |content: &Content| !content.ready.is_empty() || over();
    threads::wait_until(desk.content(), &desk.changed, until, is_over);
    over()
}

/// Has who is in [`wait_or`] look whether it is over.
pub(crate) fn ring() {
    let desk = DESK.get();
    drop(desk.content());
    desk.changed.notify_all();
}

/// As [`Runtime::quiesce`], on the main thread: also returns when there is something to run. Says whether nothing is in
/// flight. Not attached.
pub fn quiesce(runtime: &Arc<Runtime>, until: Option<Instant>) -> bool {
    DESK.get().content().quiescing = Some(Arc::clone(runtime));
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let quiescent = runtime.quiesce_unless(left, &is_any_ready).is_ok();
    // The last reference to a runtime is none of ours.
    let runtime = DESK.get().content().quiescing.take();
    drop(runtime);
    quiescent
}

/// Waits, detached, until something has become ready since `seen`, or [`nudge`]. Gives what to call it with next.
pub fn wait_ready(seen: u64) -> u64 {
    threads::detached(|| {
        let desk = DESK.get();
        threads::wait_until(desk.content(), &desk.changed, None, |content| content.came != seen);
        desk.content().came
    })
}

/// Has those look up who are in [`wait_ready`].
pub fn nudge() {
    let desk = DESK.get();
    desk.content().came += 1;
    desk.changed.notify_all();
}

/// Begins to watch; who has watched so far ends. Gives the number of the watch.
pub fn begin_watch() -> u64 {
    let desk = DESK.get();
    let mut content = desk.content();
    content.watch += 1;
    // Of what is ready now, the next one tells anew.
    content.told = 0;
    let watch = content.watch;
    drop(content);
    desk.changed.notify_all();
    watch
}

/// Waits, detached, until something has been ready for so long and nobody has pumped. Gives for how long by then, and
/// how many there are; once for each such time. `None` when the watch is over.
pub fn wait_starved(watch: u64, patience: Duration) -> Option<(Duration, usize)> {
    threads::detached(|| {
        let desk = DESK.get();
        let mut content = desk.content();
        loop {
            if content.watch != watch {
                return None;
            }
            let since = content.starving.filter(|_| content.told != content.times);
            let Some(since) = since else {
                content = desk.changed.wait(content).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                content.told = content.times;
                return Some((since.elapsed(), content.ready.len()));
            }
            let waited = desk.changed.wait_timeout(content, left);
            content = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    })
}

/// Nobody is going to run what is ready, nor what becomes so: it is cancelled.
pub fn close() {
    DESK.get().content().closed = true;
    discard();
}

/// What is ready is cancelled.
pub fn discard() {
    let desk = DESK.get();
    let mut content = desk.content();
    content.starving = None;
    let dropped = mem::take(&mut content.ready);
    drop(content);
    drop(dropped);
}

/// To be called in a child process, by the thread that is the main one there. What the parent has scheduled is the
/// parent's to run.
pub fn forget_after_fork() {
    let _ = DESK.forget();
    // SAFETY: asks for nothing.
    set_main_thread(unsafe { ffi::PyThread_get_thread_ident() } as u64);
}

/// To be called in a child process, on the thread that forked: whether that was pumping, and is in the middle of a
/// behaviour, which it forgets.
pub(crate) fn leave_after_fork() -> bool {
    let pump = PUMP.take();
    let was_pumping = pump.is_some();
    drop(pump);
    was_pumping && raw::forget_behaviour()
}
