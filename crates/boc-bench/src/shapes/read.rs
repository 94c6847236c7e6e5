//! Behaviours that all read one cown, made by one producer.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use boc_core::{Cown, read, when_detached};

use super::{Shape, Size};
use crate::{
    check,
    peers::{self, tokio::Alive},
    tally,
};

/// One cown, read by all.
pub(crate) struct Read;

/// What all read, and add to the tally.
const ONE: u64 = 1;

impl Shape for Read {
    fn name(&self) -> &'static str {
        "read1"
    }

    fn about(&self) -> &'static str {
        "all read one cown, from a producer"
    }

    fn boc(&self, size: Size) -> Duration {
        let cown = Cown::new(ONE);
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            for _ in 0..size.n {
                when_detached(read(&cown), |one| tally::add(*one));
            }
        });
        check::equal("the values read sum up to", tally::take(), size.n);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        let lock = RwLock::new(ONE);
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            for _ in 0..size.n {
                scope.spawn(|_| tally::add(*lock.read().unwrap()));
            }
        });
        check::equal("the values read sum up to", tally::take(), size.n);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        let lock = Arc::new(tokio::sync::RwLock::new(ONE));
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            for _ in 0..size.n {
                let (alive, lock) = (alive.clone(), lock.clone());
                tokio::spawn(async move {
                    tally::add(*lock.read().await);
                    drop(alive);
                });
            }
        });
        check::equal("the values read sum up to", tally::take(), size.n);
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        let lock = RwLock::new(ONE);
        let elapsed = peers::plain::run(size.workers, |worker| {
            for _ in 0..size.share(worker) {
                tally::add(*lock.read().unwrap());
            }
        });
        check::equal("the values read sum up to", tally::take(), size.n);
        elapsed
    }
}
