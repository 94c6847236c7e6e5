//! Beginning to observe a runtime while it goes on, and ending that.

use alloc::vec::Vec;
use core::fmt;

use super::{super::Builder, super::Runtime, Events, Observer, Running, Settings, observer::Call};
use crate::sync::Arc;

/// Switches on and off what is observed of a runtime, and takes it; see [`Builder::observable`].
///
/// It does not keep the runtime alive, and can be used when that has ended.
#[derive(Clone)]
pub struct Observation(Arc<Observer>);

/// What a runtime does at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// For each worker what it is inside of, and the number of that call among those of the worker.
    pub workers: Vec<Option<(Running, u64)>>,
    /// What other executors run of what the runtime counts, and the number of that call among theirs.
    pub elsewhere: Vec<(Running, u64)>,
    /// How many closures were called so far.
    pub calls: u64,
}

impl Builder {
    /// Makes a runtime that is not observed, but can be, from the moment on when that is
    /// [asked for](Observation::observe).
    ///
    /// ```
    /// use boc_core::{Builder, observe::EventKind};
    ///
    /// let runtime = Builder::new().workers(1).observable().build().unwrap();
    /// runtime.when((), |()| ()).wait().unwrap();
    ///
    /// let observation = runtime.observation().unwrap();
    /// observation.observe(true);
    /// observation.keep_events(100);
    /// runtime.when((), |()| ()).wait().unwrap();
    /// let started = |events: boc_core::observe::Events| {
    ///     events.events.iter().filter(|event| event.kind == EventKind::Started).count()
    /// };
    /// assert_eq!(started(observation.take_events()), 1);
    /// ```
    #[must_use]
    pub fn observable(mut self) -> Self {
        let on_demand = Settings { on_demand: true, ..Settings::default() };
        self.observation.get_or_insert(on_demand);
        self
    }
}

impl Runtime {
    /// What can be switched on and off of what is observed; none if the runtime can never be observed.
    pub fn observation(&self) -> Option<Observation> {
        self.shared.observer.clone().map(Observation)
    }
}

impl Observation {
    /// Says whether what is scheduled from now on is observed. What was scheduled before stays as it is.
    pub fn observe(&self, on: bool) {
        self.0.set_on(on);
    }

    /// Keeps the last `capacity` events of each worker from now on, and as many of all other threads
    /// together; with 0 none, and those that there are, are gone. See [`Builder::events`].
    ///
    /// Events are those of behaviours that are observed.
    pub fn keep_events(&self, capacity: usize) {
        self.0.set_capacity(capacity);
    }

    /// As [`Runtime::take_events`].
    pub fn take_events(&self) -> Events {
        Events::of(&self.0)
    }

    /// The behaviours that are observed, as [`Runtime::report`] tells of them; also while no others
    /// are. What is in flight are those alone.
    pub fn report(&self) -> super::Report {
        self.0.snapshot().report()
    }

    /// What the workers do now, as far as that is observed. Takes no more than a lock for each of them.
    pub fn activity(&self) -> Activity {
        let now = self.0.now();
        let numbered = |call: &Call| (call.running(now), call.number);
        let (workers, elsewhere) = Call::by_place(&self.0.calls(), self.0.workers(), numbered);
        Activity { workers, elsewhere, calls: self.0.count_calls() }
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation").field("is_on", &self.0.is_on()).finish_non_exhaustive()
    }
}
