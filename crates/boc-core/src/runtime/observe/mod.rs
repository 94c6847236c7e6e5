//! Seeing what happens in a runtime, from outside of it.
//!
//! A runtime that was built with [`Builder::observe`] knows its behaviours by number, and says of each
//! that has not ended where it was scheduled, what it waits for and who is before it:
//! [`Runtime::report`](crate::Runtime::report). With [`Builder::events`] it writes down what happened
//! when, and with [`Builder::watchdog`] it calls when a worker stays inside of one behaviour for too
//! long.
//!
//! A runtime that is not observed has no part in any of this. One that is spends some hundred
//! nanoseconds and three allocations on each behaviour. One that [can be](Builder::observable), and is not
//! at the moment, asks for each behaviour whether it is.
//!
//! A behaviour that a runtime counts and another executor runs, as a binding can have it, is observed like
//! any other; it is told of as one that runs [elsewhere](BehaviourReport::elsewhere).
//!
//! Others that share its cowns, that is behaviours of other executors and threads that
//! [wait](crate::Handle::wait) for a handle, are not seen. That a behaviour waits for nobody who is
//! known means that it waits for one of these.
//!
//! ```
//! use boc_core::{Builder, Cown, observe::BehaviourState};
//! use std::sync::mpsc;
//!
//! let runtime = Builder::new().workers(1).observe().build().unwrap();
//! let account = Cown::new(100);
//! let (started, is_running) = mpsc::channel();
//! let (go_on, may_go_on) = mpsc::channel::<()>();
//! runtime.when_detached(&account, move |_| {
//!     started.send(()).unwrap();
//!     may_go_on.recv().unwrap();
//! });
//! runtime.when_detached(&account, |balance| *balance += 1);
//!
//! is_running.recv().unwrap();
//! let report = runtime.report();
//! assert_eq!(report.behaviours[0].state, BehaviourState::Running);
//! let second = &report.behaviours[1];
//! assert_eq!(second.state, BehaviourState::Waiting);
//! let before = report.before(&second.waits_for[0]);
//! assert_eq!(before[0].behaviour, report.behaviours[0].id);
//! println!("{report}");
//! # go_on.send(()).unwrap();
//! ```

mod demand;
mod events;
mod observer;
mod report;
mod ticket;
mod watchdog;

use core::{fmt, ptr::NonNull};

use super::Builder;
use crate::{Cown, Handle, cown::Header};

pub use crate::slot::Mode;
pub use demand::{Activity, Observation};
pub use events::{Event, EventKind, Events};
pub use report::{BehaviourReport, BehaviourState, CownQueue, Place, Report, Running, Wait};
pub use watchdog::Stall;

pub(super) use observer::{Observer, Whence};
pub(super) use ticket::{Ticket, run_elsewhere};
pub(crate) use ticket::{entering, made, ready};
pub(super) use watchdog::Watchdog;

/// The number of a behaviour, among those of its runtime: the first one that was scheduled is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BehaviourId(u64);

impl BehaviourId {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for BehaviourId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A cown, by its address.
///
/// It says which cown is meant, and keeps nothing of it: when the cown is gone, another one can come
/// to have the same address.
///
/// ```
/// use boc_core::{Cown, observe::CownId};
///
/// let cown = Cown::new(1);
/// assert_eq!(CownId::from(&cown), CownId::from(&cown.clone()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CownId(usize);

impl CownId {
    fn of(header: NonNull<Header>) -> Self {
        Self(header.addr().get())
    }
}

impl<T> From<&Cown<T>> for CownId {
    fn from(cown: &Cown<T>) -> Self {
        Self::of(cown.header())
    }
}

/// The cown of the outcome.
impl<R: Send + 'static> From<&Handle<R>> for CownId {
    fn from(handle: &Handle<R>) -> Self {
        handle.cown().into()
    }
}

impl CownId {
    /// The address, for bindings that show it to their users in another way.
    pub fn address(self) -> usize {
        self.0
    }
}

impl fmt::Debug for CownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CownId({:#x})", self.0)
    }
}

impl fmt::Display for CownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cown {:#x}", self.0)
    }
}

/// A cown in the request of a behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NamedCown {
    /// Which.
    pub cown: CownId,
    /// Whether it is written or read.
    pub mode: Mode,
}

impl fmt::Display for NamedCown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Write => "to write",
            Mode::Read => "to read",
        };
        write!(f, "{} {mode}", self.cown)
    }
}

/// What of a runtime is observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Nothing is observed before somebody asks for it.
    pub(super) on_demand: bool,
    /// So many events are kept for each worker.
    pub(super) events: usize,
    pub(super) watchdog: Option<Watchdog>,
}

impl Builder {
    /// Observes the behaviours of the runtime, so that [`Runtime::report`](crate::Runtime::report) can
    /// tell of them. See [`observe`](crate::observe).
    ///
    /// ```
    /// let runtime = boc_core::Builder::new().observe().build().unwrap();
    /// assert!(runtime.report().behaviours.is_empty());
    /// ```
    #[must_use]
    pub fn observe(self) -> Self {
        self.observe_with(|_| ())
    }

    fn observe_with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        let settings = self.observation.get_or_insert_default();
        settings.on_demand = false;
        set(settings);
        self
    }
}
