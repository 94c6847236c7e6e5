//! An executor as a program without `std` would write it: two lanes, the urgent one first.

use alloc::{collections::VecDeque, sync::Arc};

use boc_core::{Executor, ExecutorRef, Ready};

/// Behaviours that are ready, until somebody [runs](Lanes::run) them.
///
/// A behaviour does not say how urgent it is; it says by its executor. So there are two of them, and
/// each knows its lane.
pub struct Lanes {
    ready: [Arc<Lane>; 2],
    /// To schedule what runs first.
    pub urgent: ExecutorRef,
    /// To schedule what runs when nothing urgent is ready.
    pub ordinary: ExecutorRef,
}

/// What is ready in one lane; `None` once it is closed.
///
/// Not a `RefCell`: an executor is `Sync`, since the last cown that a behaviour waits for may be
/// released anywhere.
struct Lane(spin::Mutex<Option<VecDeque<Ready>>>);

impl Executor for Lane {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        match self.0.lock().as_mut() {
            Some(lane) => {
                lane.push_back(ready);
                Ok(())
            }
            None => Err(ready),
        }
    }
}

impl Lanes {
    pub fn new() -> Self {
        let lane = |_| Arc::new(Lane(spin::Mutex::new(Some(VecDeque::new()))));
        let ready = [0, 1].map(lane);
        let [urgent, ordinary] = ready.each_ref().map(|lane| Arc::clone(lane).into());
        Self { ready, urgent, ordinary }
    }

    /// Runs what is ready, and what becomes so. Returns how many behaviours ran.
    pub fn run(&self) -> usize {
        core::iter::from_fn(|| self.next()).map(Ready::run).count()
    }

    fn next(&self) -> Option<Ready> {
        // The lock is free again before the behaviour runs, which may well schedule others.
        self.ready.iter().find_map(|lane| lane.0.lock().as_mut()?.pop_front())
    }
}

/// What is left is cancelled, and what comes later is refused.
impl Drop for Lanes {
    fn drop(&mut self) {
        // All lanes are closed before the first cancellation, which can make others ready.
        let left = self.ready.each_ref().map(|lane| lane.0.lock().take());
        drop(left);
    }
}
