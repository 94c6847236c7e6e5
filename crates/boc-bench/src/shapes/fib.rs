//! A tree of results: each is computed from two others.

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use boc_core::{Handle, when};
use tokio::task::JoinHandle;

use super::{Shape, Size};
use crate::{check, peers, tally};

/// The Fibonacci numbers, the slow way: n is the argument. Each number is the result of a
/// behaviour over the two before it, and each result is a new cown.
///
/// This is fork and join, so the peers do what they offer for it: rayon joins two closures, and a
/// task of tokio awaits the handles of two others.
pub(crate) struct Fib;

/// Larger ones would take minutes.
const LARGEST: u64 = 40;

impl Shape for Fib {
    fn name(&self) -> &'static str {
        "fib"
    }

    fn about(&self) -> &'static str {
        "fib(n), each result a new cown, computed by a behaviour over the two before it"
    }

    fn n(&self, asked: Option<u64>) -> u64 {
        asked.filter(|n| *n <= LARGEST).unwrap_or(27)
    }

    /// The nodes of the tree: fib(n + 1) leaves, and one less with two branches.
    fn behaviours(&self, n: u64) -> u64 {
        2 * fibonacci(n + 1) - 1
    }

    fn boc(&self, size: Size) -> Duration {
        fn fib(n: u64) -> Handle<u64> {
            if n < 2 {
                return when((), move |()| n);
            }
            let (a, b) = (fib(n - 1), fib(n - 2));
            when((&a, &b), |(a, b)| a.take().unwrap() + b.take().unwrap())
        }

        let (elapsed, result) = peers::boc::run(size.workers, move || fib(size.n));
        let result = result.wait().expect("no behaviour of the tree fails");
        check::equal("the number is", result, fibonacci(size.n));
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        fn fib(n: u64) -> u64 {
            if n < 2 {
                return n;
            }
            let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
            a + b
        }

        let (elapsed, result) = peers::rayon::run(size.workers, |_| fib(size.n));
        check::equal("the number is", result, fibonacci(size.n));
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        fn fib(n: u64) -> JoinHandle<u64> {
            tokio::spawn(async move {
                if n < 2 {
                    return n;
                }
                let (a, b) = (fib(n - 1), fib(n - 2));
                a.await.unwrap() + b.await.unwrap()
            })
        }

        let (elapsed, result) =
            peers::tokio::run(size.workers, async move |_| fib(size.n).await.unwrap());
        check::equal("the number is", result, fibonacci(size.n));
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        fn fib(n: u64) -> Box<Mutex<u64>> {
            let result = black_box(Box::new(Mutex::new(n)));
            if n >= 2 {
                let (a, b) = (fib(n - 1), fib(n - 2));
                *result.lock().unwrap() = *a.lock().unwrap() + *b.lock().unwrap();
            }
            result
        }

        let (branches, next) = (branches(size.n), AtomicUsize::new(0));
        let elapsed = peers::plain::run(size.workers, |_| {
            // Relaxed: the branches were there before the threads.
            while let Some(n) = branches.get(next.fetch_add(1, Relaxed)) {
                tally::add(*fib(*n).lock().unwrap());
            }
        });
        check::equal("the number is", tally::take(), fibonacci(size.n));
        elapsed
    }
}

/// Arguments whose numbers sum up to that of `n`: so many that threads can share them fairly, and
/// so few that what is above them does not count.
fn branches(n: u64) -> Vec<u64> {
    const LEVELS: u32 = 6;
    let mut branches = vec![n];
    for _ in 0..LEVELS {
        let fork = |n| if n < 2 { vec![n] } else { vec![n - 1, n - 2] };
        branches = branches.into_iter().flat_map(fork).collect();
    }
    branches
}

fn fibonacci(n: u64) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

#[cfg(test)]
mod tests {
    use super::{Fib, Shape, branches, fibonacci};

    #[test]
    fn fibonacci_numbers() {
        assert_eq!([0, 1, 2, 3, 10].map(fibonacci), [0, 1, 1, 2, 55]);
    }

    #[test]
    fn behaviours_are_counted_as_the_tree_is_made() {
        fn nodes(n: u64) -> u64 {
            if n < 2 { 1 } else { 1 + nodes(n - 1) + nodes(n - 2) }
        }
        for n in 0..15 {
            assert_eq!(Fib.behaviours(n), nodes(n));
        }
    }

    #[test]
    fn branches_sum_up() {
        for n in 0..15 {
            assert_eq!(branches(n).into_iter().map(fibonacci).sum::<u64>(), fibonacci(n));
        }
    }

    #[test]
    fn an_argument_that_would_take_minutes_is_not_for_fib() {
        assert_eq!(Fib.n(None), 27);
        assert_eq!(Fib.n(Some(20)), 20);
        assert_eq!(Fib.n(Some(1_000_000)), 27);
    }
}
