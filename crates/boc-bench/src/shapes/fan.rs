//! Behaviours over some cowns in turn, all made by one producer.

use std::time::Duration;

use boc_core::when_detached;

use super::{Shape, Size};
use crate::{
    check,
    peers::{self, mutexes, tokio::Alive},
};

/// A producer and the cowns it serves.
pub(crate) struct Fan {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// How many cowns; K if it does not say.
    pub(crate) count: Option<usize>,
}

impl Fan {
    fn count(&self, size: Size) -> usize {
        self.count.unwrap_or(size.k)
    }
}

/// The things in turn, `n` in all.
fn in_turn<T>(things: &[T], n: u64) -> impl Iterator<Item = &T> {
    (0..n).zip(things.iter().cycle()).map(|(_, thing)| thing)
}

impl Shape for Fan {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn boc(&self, size: Size) -> Duration {
        let cowns = peers::boc::counters(self.count(size));
        let all = cowns.clone();
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            for cown in in_turn(&all, size.n) {
                when_detached(cown, |count| *count += 1);
            }
        });
        check::sum(peers::boc::values(&cowns), size.n);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        let counts = mutexes::shared(self.count(size), 0);
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            for count in in_turn(&counts, size.n) {
                scope.spawn(move |_| *count.lock().unwrap() += 1);
            }
        });
        check::sum(mutexes::values(counts), size.n);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        let counts = mutexes::async_shared(self.count(size), 0);
        let all = counts.clone();
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            for count in in_turn(&all, size.n) {
                let (alive, count) = (alive.clone(), count.clone());
                tokio::spawn(async move {
                    *count.lock().await += 1;
                    drop(alive);
                });
            }
        });
        check::sum(mutexes::async_values(&counts), size.n);
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        let counts = mutexes::shared(self.count(size), 0);
        let elapsed = peers::plain::run(size.workers, |worker| {
            for count in in_turn(&counts, size.share(worker)) {
                *count.lock().unwrap() += 1;
            }
        });
        check::sum(mutexes::values(counts), size.n);
        elapsed
    }
}
