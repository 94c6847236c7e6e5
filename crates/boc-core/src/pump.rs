//! An executor whose behaviours run when somebody asks it to.

use alloc::vec::Vec;
use core::fmt;

use crate::{
    backoff::Backoff,
    executor::{Executor, ExecutorRef, Ready},
    mpsc::Queue,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst, fence},
    },
};

/// An executor that runs its behaviours where and when it is pumped: on a main thread, in an event
/// loop, on a machine without threads.
///
/// ```
/// use boc_core::{Cown, Pump};
///
/// let pump = Pump::new();
/// let cown = Cown::new(vec![1]);
/// pump.executor().when(&cown, |numbers| numbers.push(2));
/// let sum = pump.executor().when(&cown, |numbers| numbers.iter().sum::<i32>());
/// assert_eq!(pump.run_until_idle(), 2);
/// assert!(sum.is_finished());
/// ```
///
/// A pump can have several *lanes*. Of the behaviours that are ready, those of the first lane run
/// before those of the second, and so on:
///
/// ```
/// use boc_core::{Cown, Pump};
///
/// let pump = Pump::with_lanes(2);
/// let log = Cown::new(Vec::new());
/// let (urgent, later) = (pump.lane(0), pump.lane(1));
/// later.when(&log, |log| log.push("first over the log"));
/// later.when((), |()| ());
/// urgent.when(&log, |log| log.push("second, for all its urgency"));
/// let seen = urgent.when((), |()| "before all that wait in the other lane");
/// pump.run_one();
/// assert!(seen.is_finished());
/// # pump.run_until_idle();
/// ```
///
/// On one cown the order of scheduling holds, whatever the lanes: an urgent behaviour waits for those
/// that were scheduled over its cowns before. A lane that is never empty starves those behind it.
///
/// Scheduling works from any thread. Dropping the pump cancels what has not run.
pub struct Pump {
    /// Never empty.
    lanes: Vec<Lane>,
}

struct Lane {
    mailbox: Arc<Mailbox>,
    executor: ExecutorRef,
}

struct Mailbox {
    queue: Queue,
    closed: AtomicBool,
    wake: Wake,
}

/// Who is told that a behaviour was handed in.
type Wake = Option<alloc::sync::Arc<dyn Fn() + Send + Sync>>;

impl Executor for Mailbox {
    fn is_open(&self) -> bool {
        !self.closed.load(SeqCst)
    }

    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        if self.closed.load(SeqCst) {
            return Err(ready);
        }
        self.queue.push(ready);
        // Pairs with the fence in `Pump::close`: either that sees what was pushed, or `closed` is
        // seen here.
        fence(SeqCst);
        if self.closed.load(SeqCst) {
            self.cancel_all();
        } else if let Some(wake) = &self.wake {
            wake();
        }
        Ok(())
    }
}

impl Mailbox {
    fn next(&self) -> Option<Ready> {
        self.queue.try_consume()?.pop()
    }

    /// Cancels all that is in the queue, also what another thread is just pushing.
    fn cancel_all(&self) {
        let mut backoff = Backoff::new();
        while !self.queue.is_empty() {
            match self.next() {
                Some(ready) => drop(ready),
                None => backoff.snooze(),
            }
        }
    }
}

impl Pump {
    /// A pump with nothing to do.
    pub fn new() -> Self {
        Self::with_lanes(1)
    }

    /// A pump whose behaviours have one of so many priorities.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    pub fn with_lanes(count: usize) -> Self {
        Self::make(count, None)
    }

    /// A pump for a loop that waits for other things, too: `wake` is called whenever a behaviour has
    /// become ready, after it was put where [`Pump::run_one`] finds it.
    ///
    /// ```
    /// use boc_core::{Cown, Pump};
    /// use std::sync::mpsc;
    ///
    /// let (wake, woken) = mpsc::channel();
    /// let pump = Pump::waking(1, move || drop(wake.send(())));
    /// let seen = pump.executor().when(&Cown::new(1), |one| *one);
    /// woken.recv().unwrap();
    /// pump.run_until_idle();
    /// assert!(seen.is_finished());
    /// ```
    ///
    /// It is called on the thread that made the behaviour ready, possibly on several threads at once. So
    /// it must not block, and it should not pump; to write to a pipe or to notify a condition variable is
    /// what it is for. A panic of it is swallowed.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    pub fn waking(count: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self::make(count, Some(alloc::sync::Arc::new(wake)))
    }

    fn make(count: usize, wake: Wake) -> Self {
        assert!(count > 0, "a pump needs at least one lane");
        let lane = |_| {
            let (queue, closed) = (Queue::new(), AtomicBool::new(false));
            let mailbox = Arc::new(Mailbox { queue, closed, wake: wake.clone() });
            Lane { executor: ExecutorRef::from(Arc::clone(&mailbox)), mailbox }
        };
        Self { lanes: (0..count).map(lane).collect() }
    }

    /// The executor to schedule on: the first lane.
    pub fn executor(&self) -> &ExecutorRef {
        self.lane(0)
    }

    /// The executor of a lane; 0 is the one that goes before all others.
    ///
    /// # Panics
    ///
    /// If the pump has no such lane.
    pub fn lane(&self, lane: usize) -> &ExecutorRef {
        let count = self.lanes.len();
        match self.lanes.get(lane) {
            Some(lane) => &lane.executor,
            None => {
                panic!("this pump has {count} lanes, counted from 0, so there is no lane {lane}")
            }
        }
    }

    /// Runs the behaviour that has been ready for longest in the first lane that has one. Says whether
    /// there was one. Those that were cancelled are passed over, and cleared away.
    ///
    /// If another thread takes one out or hands one in at the same moment, there may seem to be none.
    pub fn run_one(&self) -> bool {
        while let Some(ready) = self.lanes.iter().find_map(|lane| lane.mailbox.next()) {
            let cancelled = ready.was_cancelled();
            ready.run();
            if !cancelled {
                return true;
            }
        }
        false
    }

    /// Runs behaviours until none is ready, with those that become ready meanwhile. Returns how many
    /// ran; one that another thread cancels just as it is its turn may count, too.
    pub fn run_until_idle(&self) -> usize {
        core::iter::repeat_with(|| self.run_one()).take_while(|ran| *ran).count()
    }
}

impl Pump {
    /// Ends the pump: it takes no more behaviours, and those that have not run are cancelled. A behaviour
    /// that it runs can do that, too; dropping the pump does.
    pub fn close(&self) {
        self.lanes.iter().for_each(|lane| lane.mailbox.closed.store(true, SeqCst));
        // Pairs with the fence in `execute`.
        fence(SeqCst);
        self.lanes.iter().for_each(|lane| lane.mailbox.cancel_all());
    }
}

impl Default for Pump {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}
