//! What is different inside of a program that has a scheduler of its own, such as Python's: which runtime
//! is the default one, how a thread waits there, and what its cowns show to C.

use boc_core::{Builder, ExecutorRef, Runtime, raw::CownPtr};
use std::{
    ffi::{CString, c_void},
    ptr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    executor::refused,
    status::{
        Error,
        boc_status::{self, BOC_INTERRUPTED, BOC_NO_THREAD, BOC_OK, BOC_TIMED_OUT},
    },
};

/// The program that the library is a part of.
pub trait Host: Sync {
    /// Calls `schedule` with an executor for threads outside of behaviours, which answers whether that
    /// took the behaviour. If not, it can be called again with another one.
    ///
    /// # Errors
    ///
    /// If there is none, or none that took it.
    fn with_executor(&self, schedule: &mut dyn FnMut(&ExecutorRef) -> bool) -> Result<(), Error>;

    /// The default runtime, and whether C may end it.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    fn runtime(&self) -> Result<(Arc<Runtime>, bool), Error>;

    /// Waits by `wait`, which gets the moment until which it may wait and says whether it is over.
    fn wait(
        &self,
        deadline: Option<Instant>,
        wait: &(dyn Fn(Option<Instant>) -> bool + Sync),
    ) -> Waited;

    /// Runs a behaviour of C by `run`, on a thread of the program that may be [elsewhere](set_elsewhere).
    fn bring_home(&self, run: &mut dyn FnMut());

    /// Calls a function of somebody else, by `call`, where that can run code of the program.
    fn enclose(&self, call: &mut dyn FnMut());

    /// Why a body that has just returned has failed, if the program has a way of its own to say so.
    fn failure(&self) -> Option<CString>;

    /// How the behaviour ended whose result is a cown that was not made by C: `BOC_OK` if it has a value, or is
    /// no result.
    ///
    /// # Safety
    ///
    /// The running behaviour holds the cown.
    unsafe fn outcome(&self, cown: CownPtr) -> boc_status;

    /// Tells the user of an error that nobody can be told otherwise. Says whether that was possible.
    fn complain(&self, message: &str) -> bool;

    /// What the body of a behaviour of C gets for a cown that was not made by C.
    ///
    /// # Safety
    ///
    /// The running behaviour holds the cown.
    unsafe fn view(&self, cown: CownPtr) -> *mut c_void;
}

/// How a wait came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It is over.
    Done,
    /// The deadline has passed.
    TimedOut,
    /// The program wants the thread back.
    Interrupted,
}

static HOST: OnceLock<&'static dyn Host> = OnceLock::new();

/// Says which program the library is a part of. The first call counts.
pub fn set(host: &'static dyn Host) {
    // Another call can only be one by the same program.
    let _ = HOST.set(host);
}

/// Whether the program has threads where C must not run its behaviours without further ado.
static ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Says that the program has threads that are not where C takes them to be, so that [`Host::bring_home`] is
/// asked to run the behaviours of C.
pub fn set_elsewhere() {
    ELSEWHERE.store(true, Relaxed);
}

/// Runs a behaviour of C where it is at home.
#[inline]
pub(crate) fn at_home<R>(run: impl FnOnce() -> R) -> R {
    #[cold]
    fn brought<R>(run: impl FnOnce() -> R) -> R {
        let (mut run, mut result) = (Some(run), None);
        current().bring_home(&mut || result = run.take().map(|run| run()));
        result.expect("the host runs it")
    }
    if ELSEWHERE.load(Relaxed) { brought(run) } else { run() }
}

#[inline]
pub(crate) fn current() -> &'static dyn Host {
    containing().unwrap_or(&Alone)
}

/// The program that the library is a part of, if there is one.
#[inline]
pub(crate) fn containing() -> Option<&'static dyn Host> {
    HOST.get().copied()
}

/// Why a body that has just returned has failed; see [`Host::failure`].
#[inline]
pub(crate) fn failure() -> Option<CString> {
    containing().and_then(|host| host.failure())
}

/// A program that only links the library.
struct Alone;

impl Alone {
    /// Started when it is asked for, with a worker for each processor; lives as long as the program.
    fn default_runtime() -> Result<&'static Arc<Runtime>, Error> {
        static DEFAULT: OnceLock<Arc<Runtime>> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        if let Some(runtime) = DEFAULT.get() {
            return Ok(runtime);
        }
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = DEFAULT.get() {
            return Ok(runtime);
        }
        let runtime = Builder::new().build().map_err(|error| {
            Error::new(BOC_NO_THREAD, format!("cannot start the default runtime: {error}"))
        })?;
        Ok(DEFAULT.get_or_init(|| Arc::new(runtime)))
    }
}

impl Host for Alone {
    fn with_executor(&self, schedule: &mut dyn FnMut(&ExecutorRef) -> bool) -> Result<(), Error> {
        if schedule(Self::default_runtime()?.executor()) { Ok(()) } else { Err(refused()) }
    }

    fn runtime(&self) -> Result<(Arc<Runtime>, bool), Error> {
        Ok((Arc::clone(Self::default_runtime()?), true))
    }

    fn wait(
        &self,
        deadline: Option<Instant>,
        wait: &(dyn Fn(Option<Instant>) -> bool + Sync),
    ) -> Waited {
        if wait(deadline) { Waited::Done } else { Waited::TimedOut }
    }

    fn bring_home(&self, run: &mut dyn FnMut()) {
        run();
    }

    fn enclose(&self, call: &mut dyn FnMut()) {
        call();
    }

    fn failure(&self) -> Option<CString> {
        None
    }

    unsafe fn outcome(&self, _: CownPtr) -> boc_status {
        BOC_OK
    }

    fn complain(&self, _: &str) -> bool {
        false
    }

    unsafe fn view(&self, cown: CownPtr) -> *mut c_void {
        // Nothing is known of a cown of Rust but who made it.
        let _ = cown;
        ptr::null_mut()
    }
}

/// Until when a call may wait.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn after(timeout_ns: u64) -> Self {
        if timeout_ns == crate::BOC_FOREVER {
            return Self(None);
        }
        // One that the clock cannot express is never reached.
        Self(Instant::now().checked_add(Duration::from_nanos(timeout_ns)))
    }
}

/// Waits as the host does; `late` is what is said if the time runs out.
pub(crate) fn wait(
    Deadline(deadline): Deadline,
    late: &'static str,
    wait: &(dyn Fn(Option<Instant>) -> bool + Sync),
) -> Result<(), Error> {
    match current().wait(deadline, wait) {
        Waited::Done => Ok(()),
        Waited::TimedOut => Err(Error::new(BOC_TIMED_OUT, late)),
        Waited::Interrupted => Err(Error::new(BOC_INTERRUPTED, "the wait was interrupted")),
    }
}
