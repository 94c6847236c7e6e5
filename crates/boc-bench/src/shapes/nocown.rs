//! Behaviours without any cown, made by one producer.

use std::{hint::black_box, time::Duration};

use boc_core::when_detached;

use super::{Shape, Size};
use crate::{
    check,
    peers::{self, tokio::Alive},
    tally,
};

/// Nothing to wait for: what it costs to run something, somewhere.
pub(crate) struct NoCown;

impl Shape for NoCown {
    fn name(&self) -> &'static str {
        "nocown"
    }

    fn about(&self) -> &'static str {
        "no cown at all, from a producer"
    }

    fn boc(&self, size: Size) -> Duration {
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            for _ in 0..size.n {
                when_detached((), |()| tally::add(1));
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            for _ in 0..size.n {
                scope.spawn(|_| tally::add(1));
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            for _ in 0..size.n {
                let alive = alive.clone();
                tokio::spawn(async move {
                    tally::add(1);
                    drop(alive);
                });
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        let elapsed = peers::plain::run(size.workers, |worker| {
            for _ in 0..size.share(worker) {
                // Otherwise the compiler would add them all up at once.
                tally::add(black_box(1));
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }
}
