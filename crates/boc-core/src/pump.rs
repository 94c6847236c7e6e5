//! An executor whose behaviours run when somebody asks it to.

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
/// Scheduling works from any thread. Dropping the pump cancels what has not run.
pub struct Pump {
    mailbox: Arc<Mailbox>,
    executor: ExecutorRef,
}

struct Mailbox {
    queue: Queue,
    closed: AtomicBool,
}

impl Executor for Mailbox {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        if self.closed.load(SeqCst) {
            return Err(ready);
        }
        self.queue.push(ready);
        // Pairs with the fence in `Pump::drop`: either that sees what was pushed, or `closed` is
        // seen here.
        fence(SeqCst);
        if self.closed.load(SeqCst) {
            self.cancel_all();
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
        let mailbox = Arc::new(Mailbox { queue: Queue::new(), closed: AtomicBool::new(false) });
        Self { executor: ExecutorRef::from(Arc::clone(&mailbox)), mailbox }
    }

    /// The executor to schedule on.
    pub fn executor(&self) -> &ExecutorRef {
        &self.executor
    }

    /// Runs the behaviour that has been ready for longest. Says whether there was one.
    ///
    /// If another thread takes one out at the same moment, there seems to be none.
    pub fn run_one(&self) -> bool {
        self.mailbox.next().map(Ready::run).is_some()
    }

    /// Runs behaviours until none is ready, with those that become ready meanwhile. Returns how many
    /// ran.
    pub fn run_until_idle(&self) -> usize {
        core::iter::repeat_with(|| self.run_one()).take_while(|ran| *ran).count()
    }
}

impl Default for Pump {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.mailbox.closed.store(true, SeqCst);
        // Pairs with the fence in `execute`.
        fence(SeqCst);
        self.mailbox.cancel_all();
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}
