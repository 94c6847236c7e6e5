//! Some 300,000 schedules of small programs, each held against a model of what behaviours may do.
//!
//! A *scenario* is one kind of program; there is a test for each, named after it. Sizes, orders, forms
//! of requests and the like are drawn: a *variant* is the program that comes from one number, and the
//! number also says with which strategy and how many workers it is explored. Each variant is run
//! under some dozen schedules. What is observed goes to a [`model`], step by step, and so it is known
//! of each behaviour whether it was allowed to start when it did, and of each that could start that
//! it is let. At the end of a schedule all that was made, closures and values, has to have been
//! dropped once.
//!
//! Exploration orders what happens at switch points, and scheduling is one step for it. The
//! interleavings inside of that step are explored by the model checker (`tests/loom`), and met by
//! chance in `tests/stress.rs`.
//!
//! | variable of the environment | |
//! |---|---|
//! | `BOC_SCHEDULES_TOTAL` | schedules of all scenarios together; 300,000, or 3,000 without optimisation |
//! | `BOC_VARIANT` | the first variant, instead of 0 |
//! | `BOC_SEED` | one schedule only, of the variant in `BOC_VARIANT` |
#![cfg(all(feature = "std", not(loom)))]

mod abandoned;
mod batch;
mod claim;
mod forms;
mod lifetimes;
mod model;
mod play;
mod queues;
mod random;
mod requests;
mod results;
mod scene;
mod values;

use std::{
    env,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use boc_core::explore::{Explorer, Strategy};

use play::Play;
use scene::Scene;

/// Schedules under which a scenario has failed once, which are run before all others: the name of the
/// scenario, the variant and the seed, as the report of the failure has told them.
///
/// A seed means the same schedule only as long as its scenario draws the same. If a scenario
/// changes, its rows say nothing any more, and the bug is better kept by a test of its own.
const ONCE_FAILED: [(&str, u64, u64); 0] = [];

/// Chance alone, and with one or two decisions that are late.
const STRATEGIES: [Strategy; 3] =
    [Strategy::Random, Strategy::Pct { depth: 2 }, Strategy::Pct { depth: 3 }];

/// With many, behaviours can wait for each other, and so find out what could start and does not.
const WORKERS: [usize; 4] = [MANY, 2, MANY, 3];
const MANY: usize = 64;

/// So many schedules are run of one variant.
const EACH: u64 = 50;
/// But there are so many variants.
const VARIANTS: u64 = 12;

/// Makes a test of each scenario; the numbers are their shares of the schedules.
macro_rules! tests {
    ($($module:ident::$scenario:ident $share:literal)*) => {
        const SHARES: u64 = 0 $(+ $share)*;
        $(
            #[test]
            fn $scenario() {
                explore(stringify!($scenario), $share, $module::$scenario);
            }
        )*
    };
}

tests! {
    queues::philosophers 20
    queues::reader_chains 25
    queues::readers_join_a_live_group 15
    queues::overlapping_pairs 20
    queues::write_read_read_write 20
    queues::batches_against_batches 25
    results::cancel_races_start 25
    results::behaviours_over_results 20
    results::nested_results 10
    results::handles_dropped_early 10
    queues::claims_against_behaviours 15
    requests::duplicates 10
    requests::dynamic_requests 15
    requests::hundreds_of_cowns 3
    requests::zero_cowns 5
    requests::own_cowns_from_inside 12
    lifetimes::last_handle_goes_first 12
    lifetimes::weak_cowns 12
    requests::detached_behaviours 11
    random::random_programs 45
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{variable} has to be a number")))
}

fn explore(scenario: &str, share: u64, program: fn(&Play)) {
    let start = Instant::now();
    let run = Arc::new(AtomicU64::new(0));
    let replay = |variant, seed| {
        let explorer = Explorer::new().replay(seed);
        explore_variant(scenario, variant, explorer, program, &run);
    };
    let first = number("BOC_VARIANT").unwrap_or(0);
    if let Some(seed) = number("BOC_SEED") {
        return replay(first, seed);
    }
    for (_, variant, seed) in ONCE_FAILED.iter().filter(|(name, ..)| *name == scenario) {
        replay(*variant, *seed);
    }
    let default = if cfg!(debug_assertions) { 3_000 } else { 300_000 };
    let total = number("BOC_SCHEDULES_TOTAL").unwrap_or(default);
    let count = (total * share).div_ceil(SHARES).max(1);
    let each = count.div_ceil(VARIANTS).min(EACH);
    let variants = count.div_ceil(each);
    for variant in first..first + variants {
        let explorer = Explorer::new().seed(variant).schedules(each);
        explore_variant(scenario, variant, explorer, program, &run);
    }
    let run = run.load(Relaxed);
    println!("{scenario}: {run} schedules of {variants} programs in {:.1?}", start.elapsed());
}

fn explore_variant(
    scenario: &str,
    variant: u64,
    explorer: Explorer,
    program: fn(&Play),
    run: &Arc<AtomicU64>,
) {
    let workers = WORKERS[(variant / STRATEGIES.len() as u64) as usize % WORKERS.len()];
    let strategy = STRATEGIES[variant as usize % STRATEGIES.len()];
    let last = Arc::new(Mutex::new(None));
    let (kept, run) = (Arc::clone(&last), Arc::clone(run));
    let result = explorer.strategy(strategy).workers(workers).try_check(move |world| {
        run.fetch_add(1, Relaxed);
        let scene = Scene::new(variant, workers == MANY);
        *kept.lock().unwrap() = Some(Arc::clone(&scene));
        let play = Play::new(world, &scene);
        program(&play);
        play.finish();
    });
    if let Err(failed) = result {
        let scene = last.lock().unwrap().take().expect("a schedule has begun");
        panic!(
            "variant {variant} of {scenario} fails; to replay it:\n  BOC_VARIANT={variant} \
             BOC_SEED={} cargo test -p boc-core --test schedules {scenario}\n\n{failed}\n\n{}",
            failed.seed(),
            scene.model()
        );
    }
}
