//! Chains that reschedule themselves, each over a cown of its own.

use std::time::Duration;

use boc_core::{Cown, acquire, when_detached};
use rayon::Scope;

use super::{Shape, Size};
use crate::{
    check,
    peers::{
        self,
        mutexes::{self, AsyncShared, Shared},
        tokio::Alive,
    },
};

/// Some chains.
pub(crate) struct Chains {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// How many; K if it does not say.
    pub(crate) count: Option<usize>,
}

impl Chains {
    fn count(&self, size: Size) -> usize {
        self.count.unwrap_or(size.k)
    }
}

impl Shape for Chains {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn boc(&self, size: Size) -> Duration {
        fn step(cown: &Cown<u64>, steps: u64) {
            if steps == 0 {
                return;
            }
            when_detached(acquire(cown), move |mut count| {
                *count += 1;
                step(count.cown(), steps - 1);
            });
        }

        let cowns = peers::boc::counters(self.count(size));
        let chains = cowns.clone();
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            for (cown, steps) in chains.iter().zip(size.split(chains.len())) {
                step(cown, steps);
            }
        });
        check::sum(peers::boc::values(&cowns), size.n);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        fn step<'scope>(scope: &Scope<'scope>, count: &'scope Shared<u64>, steps: u64) {
            if steps == 0 {
                return;
            }
            scope.spawn(move |scope| {
                *count.lock().unwrap() += 1;
                step(scope, count, steps - 1);
            });
        }

        let counts = mutexes::shared(self.count(size), 0);
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            for (count, steps) in counts.iter().zip(size.split(counts.len())) {
                step(scope, count, steps);
            }
        });
        check::sum(mutexes::values(counts), size.n);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        fn step(alive: Alive, count: AsyncShared<u64>, steps: u64) {
            if steps == 0 {
                return drop(alive);
            }
            tokio::spawn(async move {
                *count.lock().await += 1;
                step(alive, count, steps - 1);
            });
        }

        let counts = mutexes::async_shared(self.count(size), 0);
        let chains = counts.clone();
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            let steps = size.split(chains.len());
            for (count, steps) in chains.into_iter().zip(steps) {
                step(alive.clone(), count, steps);
            }
        });
        check::sum(mutexes::async_values(&counts), size.n);
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        let counts = mutexes::shared(self.count(size), 0);
        let chains: Vec<_> = counts.iter().zip(size.split(counts.len())).collect();
        let elapsed = peers::plain::run(size.workers, |worker| {
            // A step of each chain, then the next of each. The first chain has the most steps.
            let mine = &chains[size.block(chains.len(), worker)];
            for step in 0..mine.first().map_or(0, |(_, steps)| *steps) {
                for (count, _) in mine.iter().filter(|(_, steps)| step < *steps) {
                    *count.lock().unwrap() += 1;
                }
            }
        });
        check::sum(mutexes::values(counts), size.n);
        elapsed
    }
}
