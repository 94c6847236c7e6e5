//! Who goes on: the only place where chance comes in, and all of it from the schedule's seed.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{
    Strategy,
    tasks::{Id, Task},
};

/// SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014).
///
/// Written out rather than taken from a crate: a seed that somebody wrote down has to mean the same
/// schedule with every version of every dependency.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// The part of a [`Strategy::Pct`] schedule's seed that says over how many steps the changes of
/// priority are spread. It has to be in the seed: it is learnt from the schedules before, which a
/// replay does not see.
const LENGTH: u64 = 0xffff;

/// The length of a schedule of which nothing is known.
const FIRST_LENGTH: usize = 16;

/// The seed of the schedule `index` (from 0) of an exploration, when the longest one before it had
/// `longest` steps; 0 if there was none.
pub(super) fn seed(base: u64, index: u64, strategy: Strategy, longest: usize) -> u64 {
    // Far from that of `index + 1`, also when the bases of two explorations are close.
    let seed = Rng(Rng(base).next().wrapping_add(index)).next();
    match strategy {
        Strategy::Random => seed,
        Strategy::Pct { .. } => {
            let length = if longest == 0 { FIRST_LENGTH } else { longest };
            (seed & !LENGTH) | (length as u64).min(LENGTH)
        }
    }
}

/// The choices of one schedule.
pub(super) struct Chooser {
    rng: Rng,
    pct: Option<Pct>,
}

struct Pct {
    /// Before these steps the task that would go on gets the priority that is the index in here.
    changes: Vec<usize>,
    /// Below all that were given so far.
    lowest: i64,
}

impl Chooser {
    pub(super) fn new(strategy: Strategy, seed: u64) -> Self {
        let mut rng = Rng(seed);
        let pct = match strategy {
            Strategy::Random => None,
            Strategy::Pct { depth } => {
                let length = (seed & LENGTH).max(1) as usize;
                let changes = (1..depth).map(|_| 1 + rng.below(length)).collect();
                Some(Pct { changes, lowest: 0 })
            }
        };
        Self { rng, pct }
    }

    /// The priority of a new task.
    pub(super) fn priority(&mut self) -> i64 {
        match &self.pct {
            // Above those that the changes give.
            Some(pct) => (self.rng.next() >> 2) as i64 + pct.changes.len() as i64,
            None => 0,
        }
    }

    /// One of the tasks that can go on at this step, of which there is at least one.
    pub(super) fn choose(&mut self, step: usize, able: &[Id], tasks: &mut [Task]) -> Id {
        let Some(pct) = &mut self.pct else {
            return able[if able.len() == 1 { 0 } else { self.rng.below(able.len()) }];
        };
        let first = |tasks: &[Task]| {
            let foremost = able.iter().max_by_key(|&&id| (tasks[id].priority, Reverse(id)));
            *foremost.expect("some task can go on")
        };
        for (priority, change) in pct.changes.iter().enumerate() {
            if *change == step {
                tasks[first(tasks)].priority = priority as i64;
            }
        }
        first(tasks)
    }

    /// A task has nothing to do but to wait for others. By priorities alone it would do so for ever.
    pub(super) fn step_back(&mut self, task: &mut Task) {
        if let Some(pct) = &mut self.pct {
            pct.lowest -= 1;
            task.priority = pct.lowest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_one_of_the_paper() {
        // The reference implementation's first numbers from the seed 1234567.
        let mut rng = Rng(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_bounded_number_is_below_its_bound_and_reaches_all() {
        let mut rng = Rng(0);
        let mut seen = [false; 5];
        (0..200).for_each(|_| seen[rng.below(5)] = true);
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn the_seed_of_a_pct_schedule_keeps_the_length() {
        let pct = Strategy::Pct { depth: 3 };
        assert_eq!(seed(1, 2, pct, 77) & LENGTH, 77);
        assert_ne!(seed(1, 2, pct, 77), seed(1, 3, pct, 77));
        let chooser = Chooser::new(pct, seed(1, 2, pct, 77));
        let changes = chooser.pct.unwrap().changes;
        assert!(changes.len() == 2 && changes.iter().all(|step| (1..=77).contains(step)));
    }
}
