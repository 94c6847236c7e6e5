//! Chains that reschedule themselves, each over two cowns.

use std::time::Duration;

use boc_core::{Cown, acquire, when_detached};
use rayon::Scope;

use super::{Shape, Size};
use crate::{
    check,
    peers::{
        self,
        mutexes::{self, AsyncShared, Shared, in_address_order},
        tokio::Alive,
    },
};

/// Chains that share nothing.
pub(crate) const PAIR: Pairs = Pairs {
    name: "pairK",
    about: "K chains, each over two cowns of its own",
    cowns: |k| 2 * k,
    pair: |chain, _| (2 * chain, 2 * chain + 1),
};

/// Each chain is a philosopher, each cown a fork between two neighbours.
pub(crate) const RING: Pairs = Pairs {
    name: "ringK",
    about: "K chains in a ring, which share a cown with each neighbour: the dining philosophers",
    cowns: |k| k,
    pair: |chain, k| (chain, (chain + 1) % k),
};

/// K chains, each over two cowns.
pub(crate) struct Pairs {
    name: &'static str,
    about: &'static str,
    /// How many cowns there are for K chains.
    cowns: fn(usize) -> usize,
    /// The numbers of a chain's cowns, given its own and K.
    pair: fn(usize, usize) -> (usize, usize),
}

impl Pairs {
    /// The pair of each chain, and its steps.
    fn chains<'a, T>(
        &self,
        size: Size,
        all: &'a [T],
    ) -> impl Iterator<Item = (&'a T, &'a T, u64)> + use<'a, T> {
        let pair = self.pair;
        size.split(size.k).enumerate().map(move |(chain, steps)| {
            let (left, right) = pair(chain, size.k);
            (&all[left], &all[right], steps)
        })
    }
}

impl Shape for Pairs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn boc(&self, size: Size) -> Duration {
        fn step(left: &Cown<u64>, right: &Cown<u64>, steps: u64) {
            if steps == 0 {
                return;
            }
            when_detached((acquire(left), acquire(right)), move |(mut left, mut right)| {
                *left += 1;
                *right += 1;
                step(left.cown(), right.cown(), steps - 1);
            });
        }

        let cowns = peers::boc::counters((self.cowns)(size.k));
        let chains: Vec<_> = self
            .chains(size, &cowns)
            .map(|(left, right, steps)| (left.clone(), right.clone(), steps))
            .collect();
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            for (left, right, steps) in &chains {
                step(left, right, *steps);
            }
        });
        check::sum(peers::boc::values(&cowns), 2 * size.n);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        fn step<'scope>(
            scope: &Scope<'scope>,
            first: &'scope Shared<u64>,
            second: &'scope Shared<u64>,
            steps: u64,
        ) {
            if steps == 0 {
                return;
            }
            scope.spawn(move |scope| {
                add_to_both(first, second);
                step(scope, first, second, steps - 1);
            });
        }

        let counts = mutexes::shared((self.cowns)(size.k), 0);
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            for (left, right, steps) in self.chains(size, &counts) {
                let (first, second, _) = in_address_order(left, right);
                step(scope, first, second, steps);
            }
        });
        check::sum(mutexes::values(counts), 2 * size.n);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        fn step(alive: Alive, first: AsyncShared<u64>, second: AsyncShared<u64>, steps: u64) {
            if steps == 0 {
                return drop(alive);
            }
            tokio::spawn(async move {
                {
                    let mut first = first.lock().await;
                    let mut second = second.lock().await;
                    *first += 1;
                    *second += 1;
                }
                step(alive, first, second, steps - 1);
            });
        }

        let counts = mutexes::async_shared((self.cowns)(size.k), 0);
        let chains: Vec<_> = self
            .chains(size, &counts)
            .map(|(left, right, steps)| (left.clone(), right.clone(), steps))
            .collect();
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            for (left, right, steps) in chains {
                let (first, second, _) = in_address_order(left, right);
                step(alive.clone(), first, second, steps);
            }
        });
        check::sum(mutexes::async_values(&counts), 2 * size.n);
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        let counts = mutexes::shared((self.cowns)(size.k), 0);
        let chains: Vec<_> = self
            .chains(size, &counts)
            .map(|(left, right, steps)| {
                let (first, second, _) = in_address_order(left, right);
                (first, second, steps)
            })
            .collect();
        let elapsed = peers::plain::run(size.workers, |worker| {
            // A step of each chain, then the next of each. The first chain has the most steps.
            let mine = &chains[size.block(chains.len(), worker)];
            for step in 0..mine.first().map_or(0, |(.., steps)| *steps) {
                for (first, second, _) in mine.iter().filter(|(.., steps)| step < *steps) {
                    add_to_both(first, second);
                }
            }
        });
        check::sum(mutexes::values(counts), 2 * size.n);
        elapsed
    }
}

/// The two are in the order in which everybody takes them.
fn add_to_both(first: &Shared<u64>, second: &Shared<u64>) {
    let mut first = first.lock().unwrap();
    let mut second = second.lock().unwrap();
    *first += 1;
    *second += 1;
}
