//! What all parts of a schedule share, and where what was observed is held against the model.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boc_core::{Failure, explore::Thread};
use fastrand::Rng;

use crate::{
    model::{Ending, Id, Model},
    values::{Given, Seen},
};

/// What all parts of one schedule share.
pub(crate) struct Scene {
    model: Mutex<Model>,
    /// What was made, and how often it was dropped.
    pub(crate) drops: Mutex<Vec<(String, u32)>>,
    pub(crate) threads: Mutex<Vec<Thread<()>>>,
    /// One for all: who draws next is a matter of the schedule, and so of its seed.
    pub(crate) rng: Mutex<Rng>,
    /// Whether there are workers enough for behaviours to wait for each other.
    pub(crate) meetings: bool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    pub(crate) fn new(seed: u64, meetings: bool) -> Arc<Self> {
        Arc::new(Self {
            model: Mutex::default(),
            drops: Mutex::default(),
            threads: Mutex::default(),
            rng: Mutex::new(Rng::with_seed(seed)),
            meetings,
        })
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }

    pub(crate) fn complain(&self, wrong: String) {
        self.model().complain(wrong);
    }

    pub(crate) fn ticket(self: &Arc<Self>, what: &str, number: usize) -> Ticket {
        let mut drops = lock(&self.drops);
        drops.push((format!("{what} {number}"), 0));
        Ticket { scene: Arc::clone(self), number: drops.len() - 1 }
    }

    pub(crate) fn dropped(&self, ticket: usize) -> u32 {
        lock(&self.drops)[ticket].1
    }

    /// Holds what a behaviour finds against what it has to find.
    pub(crate) fn enter(&self, id: Id, seen: &mut [Seen<'_>]) {
        let mut model = self.model();
        model.start(id);
        self.compare(&mut model, id, seen);
        for seen in seen {
            if let Some(value) = seen.writable() {
                value.inside = Some(id);
            }
        }
    }

    /// The same at its end.
    pub(crate) fn leave(&self, id: Id, seen: &mut [Seen<'_>], ending: Ending) {
        let mut model = self.model();
        for seen in &mut *seen {
            if let Some(value) = seen.writable()
                && value.inside.take() != Some(id)
            {
                model.complain(format!("somebody was with {id} in cown {}", value.number));
            }
        }
        self.compare(&mut model, id, seen);
        for seen in seen {
            if let Some(value) = seen.writable() {
                value.last = Some(id);
            }
        }
        model.end(id, ending);
    }

    fn compare(&self, model: &mut Model, id: Id, seen: &[Seen<'_>]) {
        let asks = model.asks(id);
        if asks.len() != seen.len() {
            model.complain(format!("{id} asked for {} cowns and got {}", asks.len(), seen.len()));
        }
        for ((cown, mode), seen) in asks.into_iter().zip(seen) {
            if seen.mode() != mode {
                model.complain(format!("{id} asked for cown {cown} to {mode:?}"));
            }
            if let Some(value) = seen.value() {
                let found = (value.number, value.last, value.inside);
                let expected = (cown, model.last_writer(cown), None);
                if found != expected {
                    model.complain(format!("{id} finds {found:?}, not {expected:?}"));
                }
                if self.dropped(value.ticket.number) > 0 {
                    model.complain(format!("{id} finds a cown whose value is gone"));
                }
            } else if let Some(producer) = model.producer(cown) {
                let ending = model.ending(producer);
                let from = seen.given().map(|given| given.from);
                if from != (ending == Some(Ending::Value)).then_some(producer) {
                    model.complain(format!("{id} finds a value of {from:?}, not {ending:?}"));
                }
            } else {
                model.complain(format!("{id} asked for cown {cown} and got a result"));
            }
        }
    }

    /// Holds the outcome that somebody has taken against what it has to be.
    pub(crate) fn taken(&self, id: Id, outcome: &Result<Given, Failure>) {
        let found = match outcome {
            Ok(given) => (given.from == id).then_some(Ending::Value),
            Err(Failure::Panicked(_)) => Some(Ending::Panicked),
            Err(Failure::Cancelled) => Some(Ending::Cancelled),
            Err(failure) => matches!(failure, Failure::Taken).then_some(Ending::Taken),
        };
        let mut model = self.model();
        let expected = model.ending(id);
        if found != expected {
            model.complain(format!("the outcome of {id} is {found:?}, not {expected:?}"));
        }
        model.take(id);
    }
}

/// Something that is dropped once.
pub(crate) struct Ticket {
    pub(crate) scene: Arc<Scene>,
    pub(crate) number: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.scene.drops)[self.number].1 += 1;
    }
}
