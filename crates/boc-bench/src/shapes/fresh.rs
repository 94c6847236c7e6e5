//! Behaviours over a new cown each, made by one producer.

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    time::Duration,
};

use boc_core::{Cown, when_detached};

use super::{Shape, Size};
use crate::{
    check,
    peers::{self, tokio::Alive},
    tally,
};

/// Nobody keeps the cowns, so the behaviours hand their counts on to the tally. The peers have
/// their mutexes in an `Arc`, because a cown, too, is made to be shared.
pub(crate) struct Fresh;

/// What is done to each new value.
fn count(value: &mut u64) {
    *value += 1;
    tally::add(*value);
}

impl Shape for Fresh {
    fn name(&self) -> &'static str {
        "fresh"
    }

    fn about(&self) -> &'static str {
        "a new cown for each, from a producer"
    }

    fn boc(&self, size: Size) -> Duration {
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            for _ in 0..size.n {
                when_detached(&Cown::new(0), count);
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            for _ in 0..size.n {
                let fresh = Arc::new(Mutex::new(0));
                scope.spawn(move |_| count(&mut fresh.lock().unwrap()));
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            for _ in 0..size.n {
                let (alive, fresh) = (alive.clone(), Arc::new(tokio::sync::Mutex::new(0)));
                tokio::spawn(async move {
                    count(&mut *fresh.lock().await);
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
                let fresh = black_box(Arc::new(Mutex::new(0)));
                count(&mut fresh.lock().unwrap());
            }
        });
        check::equal("the counters sum up to", tally::take(), size.n);
        elapsed
    }
}
