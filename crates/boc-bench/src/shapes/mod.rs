//! What is measured: patterns of behaviours and cowns.
//!
//! Each shape is done by all peers, side by side in one file. Behaviours do next to nothing, so
//! that a figure is the cost of scheduling, ordering and running.
//!
//! Words in the descriptions: K is `--k`; a chain *reschedules itself* when each of its behaviours
//! schedules the next one; a *producer* is one behaviour (or task) that makes all the others.

mod bank;
mod chains;
mod fan;
mod fib;
mod fresh;
mod nocown;
mod pairs;
mod read;

use std::{ops::Range, time::Duration};

/// A pattern of behaviours and cowns.
///
/// Each peer's method does the work once, panics unless the result is right, and returns what
/// [`Peer::run`](crate::peers::Peer::run) promises.
pub(crate) trait Shape: Send + Sync {
    /// Its name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// What it is, in a line.
    fn about(&self) -> &'static str;

    /// The size of a run, if `asked` was on the command line.
    fn n(&self, asked: Option<u64>) -> u64 {
        asked.unwrap_or(1_000_000)
    }

    /// How many behaviours there are in a run of size `n`.
    fn behaviours(&self, n: u64) -> u64 {
        n
    }

    fn boc(&self, size: Size) -> Duration;
    fn rayon(&self, size: Size) -> Duration;
    fn tokio(&self, size: Size) -> Duration;
    fn plain(&self, size: Size) -> Duration;
}

/// All shapes, in the order of reports. A new one is named here, and only here.
pub(crate) static ALL: &[&dyn Shape] = &[
    &chains::Chains { name: "chain1", about: "one chain over one cown", count: Some(1) },
    &chains::Chains { name: "chainK", about: "K chains, each over a cown of its own", count: None },
    &pairs::PAIR,
    &pairs::RING,
    &fan::Fan { name: "queue1", about: "all over one cown, from a producer", count: Some(1) },
    &read::Read,
    &fan::Fan { name: "fanK", about: "over K cowns in turn, from a producer", count: None },
    &fresh::Fresh,
    &nocown::NoCown,
    &bank::Bank,
    &fib::Fib,
];

/// The shape of that name.
pub(crate) fn by_name(name: &str) -> Option<&'static dyn Shape> {
    ALL.iter().copied().find(|shape| shape.name() == name)
}

/// How large a run is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Behaviours, or what else the shape counts its size in.
    pub(crate) n: u64,
    /// Cowns, chains, pairs or accounts.
    pub(crate) k: usize,
    /// Threads.
    pub(crate) workers: usize,
}

impl Size {
    /// Splits `n` into `parts` that differ by one at the most.
    fn split(self, parts: usize) -> impl Iterator<Item = u64> {
        let (share, rest) = (self.n / parts as u64, self.n % parts as u64);
        (0..parts as u64).map(move |part| share + u64::from(part < rest))
    }

    /// How much of `n` falls to one of the workers.
    fn share(self, worker: usize) -> u64 {
        self.split(self.workers).nth(worker).expect("there is a share for each worker")
    }

    /// Which of `count` things fall to one of the workers: neighbours, so that those who share
    /// something are on one thread where possible.
    fn block(self, count: usize, worker: usize) -> Range<usize> {
        count * worker / self.workers..count * (worker + 1) / self.workers
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Size, by_name};
    use std::collections::HashSet;

    #[test]
    fn names_are_distinct() {
        let names: HashSet<_> = ALL.iter().map(|shape| shape.name()).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(by_name("fib").unwrap().name(), "fib");
        assert!(by_name("").is_none());
    }

    #[test]
    fn the_shares_are_all_there_is() {
        let size = Size { n: 10, k: 4, workers: 3 };
        assert_eq!(size.split(4).collect::<Vec<_>>(), [3, 3, 2, 2]);
        assert_eq!((0..3).map(|worker| size.share(worker)).sum::<u64>(), 10);
        assert_eq!([0, 1, 2].map(|worker| size.block(4, worker)), [0..1, 1..2, 2..4]);
        assert!(Size { workers: 2, ..size }.block(1, 0).is_empty());
    }
}
