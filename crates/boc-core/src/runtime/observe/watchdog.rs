//! Telling of behaviours that do not return.

use alloc::vec::Vec;
use core::fmt;
use std::{
    io,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{super::Builder, BehaviourId, BehaviourReport, BehaviourState, Observer, Report};
use crate::{outcome::swallow, sync::Arc};

/// A thread that is inside of one behaviour for longer than it should be; see [`Builder::watchdog`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// Which worker; none if another executor runs the behaviour.
    pub worker: Option<usize>,
    /// The behaviour, which cowns it holds, and for how long it has been running.
    pub behaviour: BehaviourReport,
    /// The behaviours that wait for one of these cowns, or for its outcome, and for how long.
    pub waiting: Vec<BehaviourReport>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BehaviourReport { id, elapsed, holds, .. } = &self.behaviour;
        match self.worker {
            Some(worker) => write!(f, "worker {worker}")?,
            None => f.write_str("another executor")?,
        }
        let origin = self.behaviour.origin();
        write!(f, " has been inside of {id} for {elapsed:.1?}, scheduled at {origin}")?;
        holds.iter().try_for_each(|named| write!(f, "\n    holds {named}"))?;
        self.waiting.iter().try_for_each(|one| write!(f, "\n    in the way of {one}"))
    }
}

type Hook = std::sync::Arc<dyn Fn(&Stall) + Send + Sync>;

/// When to call whom.
#[derive(Clone)]
pub(in crate::runtime) struct Watchdog {
    limit: Duration,
    hook: Hook,
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Builder {
    /// Calls `hook` when a thread has been inside of one behaviour's closure for longer than `limit`.
    /// Implies [`Builder::observe`].
    ///
    /// It is called once for each call of a closure, however long that takes then; to see how it goes
    /// on, ask [`Runtime::report`](crate::Runtime::report).
    ///
    /// The hook runs on a thread of its own, which the runtime starts and ends: it is not called any
    /// more when [`Runtime::shutdown`](crate::Runtime::shutdown) has returned, which waits for a hook
    /// that is just running, unless the hook is what calls it. While it runs, nothing else is watched.
    /// The behaviour may have ended meanwhile. A panic of the hook is swallowed.
    ///
    /// The clock is looked at once in `limit`, and not more often than each millisecond.
    ///
    /// ```
    /// use boc_core::Builder;
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (told, stalls) = mpsc::channel();
    /// let runtime = Builder::new()
    ///     .workers(1)
    ///     .watchdog(Duration::from_millis(5), move |stall| {
    ///         eprintln!("{stall}");
    ///         let _ = told.send(stall.worker);
    ///     })
    ///     .build()
    ///     .unwrap();
    /// // Blocks its worker until somebody has noticed.
    /// let noticed = runtime.when((), move |()| stalls.recv().unwrap());
    /// assert_eq!(noticed.wait().unwrap(), Some(0));
    /// ```
    #[must_use]
    pub fn watchdog(self, limit: Duration, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        let watchdog = Watchdog { limit, hook: std::sync::Arc::new(hook) };
        self.observe_with(|settings| settings.watchdog = Some(watchdog))
    }
}

impl Watchdog {
    /// Starts the thread, which ends when the observer is closed.
    pub(in crate::runtime) fn start(
        self,
        observer: Arc<Observer>,
        name: &str,
    ) -> io::Result<JoinHandle<()>> {
        let name = alloc::format!("{name}-watchdog");
        thread::Builder::new().name(name).spawn(move || self.watch(&observer))
    }

    fn watch(self, observer: &Observer) {
        /// Not to be busy with a limit of next to nothing.
        const SHORTEST: Duration = Duration::from_millis(1);
        // The calls that the hook was told of, as long as they last.
        let mut told = Vec::new();
        loop {
            let mut pause = self.limit;
            let calls = observer.calls();
            told.retain(|one| calls.iter().any(|call| call.name() == *one));
            for call in calls {
                if told.contains(&call.name()) {
                    continue;
                }
                let elapsed = Duration::from_nanos(observer.now().saturating_sub(call.since));
                // What starts later is not over its limit before the end of a pause of that length.
                match self.limit.checked_sub(elapsed) {
                    Some(left) if !left.is_zero() => pause = pause.min(left),
                    _ => {
                        told.push(call.name());
                        self.tell(observer, call.name());
                    }
                }
            }
            // Without a deadline if the clock cannot express it.
            if observer.closed.wait(Instant::now().checked_add(pause.max(SHORTEST))) {
                return;
            }
        }
    }

    /// Calls the hook, if that call has not returned.
    fn tell(&self, observer: &Observer, name: (Option<usize>, u64)) {
        let snapshot = observer.snapshot();
        let Some(call) = snapshot.calls.iter().find(|call| call.name() == name) else { return };
        let (worker, behaviour) = (call.worker, call.behaviour);
        if let Some(stall) = snapshot.report().stall(worker, behaviour) {
            swallow(|| (self.hook)(&stall));
        }
    }
}

impl Report {
    fn stall(&self, worker: Option<usize>, behaviour: BehaviourId) -> Option<Stall> {
        let behaviour = self.behaviour(behaviour)?;
        let waits = |one: &&BehaviourReport| one.state == BehaviourState::Waiting;
        let waiting = self.waiting_for(behaviour).filter(waits).cloned().collect();
        Some(Stall { worker, behaviour: behaviour.clone(), waiting })
    }
}
