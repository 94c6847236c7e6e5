//! An executor that keeps what is ready until the test takes it, so that a test sees what is ready
//! and says what runs next.

use std::sync::{Arc, Mutex};

use boc_core::{Executor, ExecutorRef, Ready};

#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Kept>);

#[derive(Default)]
struct Kept(Mutex<Vec<Ready>>);

impl Executor for Kept {
    fn execute(&self, ready: Ready) -> Result<(), Ready> {
        self.0.lock().unwrap().push(ready);
        Ok(())
    }
}

impl Shelf {
    pub(crate) fn executor(&self) -> ExecutorRef {
        ExecutorRef::from(Arc::clone(&self.0))
    }

    /// How many behaviours are ready.
    pub(crate) fn len(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }

    /// Takes the one that became ready as the `index`th of those that are there.
    pub(crate) fn take(&self, index: usize) -> Ready {
        // Not run under the lock, as others may become ready by that.
        self.0.0.lock().unwrap().remove(index)
    }

    /// Runs all, also those that become ready by that, the oldest first.
    #[allow(dead_code, reason = "a test that goes step by step does not")]
    pub(crate) fn run_all(&self) {
        while self.len() > 0 {
            self.take(0).run();
        }
    }
}
