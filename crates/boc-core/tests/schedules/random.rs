//! Programs of which all is drawn: what the scenarios have, in any mixture.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    model::Id,
    play::{Inside, Play, Promise, fail},
    values::{
        Ask::{self, R, W},
        Frail, Seen, Shared,
    },
};

/// So many behaviours are in one program, more or less.
const MOST: usize = 24;
/// How deep behaviours schedule behaviours.
const DEEPEST: usize = 2;

struct Program {
    cowns: Vec<Shared>,
    /// One that may go while the program runs.
    frail: Frail,
    behaviours: AtomicUsize,
    /// What any part of the program may cancel, or schedule over.
    promises: Mutex<Vec<Arc<Promise>>>,
}

impl Program {
    fn promises(&self) -> MutexGuard<'_, Vec<Arc<Promise>>> {
        self.promises.lock().expect("nobody panics with the lock")
    }

    /// One of the promises, if there is one.
    fn any(&self, play: &Play) -> Option<Arc<Promise>> {
        let promises = self.promises();
        let index = play.draw(promises.len() + 1);
        promises.get(index).cloned()
    }

    fn is_enough(&self) -> bool {
        self.behaviours.fetch_add(1, Relaxed) >= MOST
    }
}

pub(crate) fn random_programs(play: &Play) {
    let passing = play.cown();
    let program = Arc::new(Program {
        cowns: play.cowns(1 + play.draw(5)),
        frail: passing.downgrade(),
        behaviours: AtomicUsize::new(0),
        promises: Mutex::default(),
    });
    for _ in 0..play.draw(3) {
        let program = Arc::clone(&program);
        play.spawn(move |play| thread(play, &program));
    }
    thread(play, &program);
    drop(passing);
    thread(play, &program);
}

/// What a thread does: what behaviours do, too, and what waits.
fn thread(play: &Play, program: &Arc<Program>) {
    let mut kept = steps(play, program, 0);
    if play.one_in(3) {
        let mut held = play.claim(&play.some(&program.cowns, 3));
        let limit = play.one_in(2).then_some(Duration::ZERO);
        if play.one_in(2) {
            held.wait(limit);
        }
        play.act();
    }
    kept.extend(steps(play, program, 0));
    for promise in kept {
        match play.draw(4) {
            0 => drop(play.wait(promise)),
            1 => {
                assert!(play.wait_for(promise, Duration::ZERO).is_ok(), "nothing is held for ever")
            }
            2 => play.look(&promise),
            _ => drop(promise),
        }
    }
}

fn steps(play: &Play, program: &Arc<Program>, depth: usize) -> Vec<Promise> {
    let mut kept: Vec<Promise> = Vec::new();
    for _ in 0..play.draw(5) {
        if program.is_enough() {
            break;
        }
        let asks = play.some(&program.cowns, 4);
        match play.draw(12) {
            0..=2 => kept.push(play.when(&asks, body(program, depth))),
            3 => {
                let promise = play.when(&asks, body(program, depth));
                program.promises().push(Arc::new(promise));
            }
            4 => play.detached(&asks, &[], over(program, depth, vec![])),
            5 | 6 => kept.extend(batch(play, program, depth)),
            7 => {
                let other = program.any(play);
                let results: Vec<_> =
                    [kept.last(), other.as_deref()].into_iter().flatten().collect();
                let promise = if play.one_in(2) {
                    play.over_to_read(&asks, &results, body(program, depth))
                } else {
                    let from = results.iter().map(|promise| promise.id).collect();
                    play.over(&asks, &results, over(program, depth, from))
                };
                kept.push(promise);
            }
            8 | 9 => {
                if let Some(promise) = program.any(play) {
                    play.cancel(&promise);
                }
            }
            10 => {
                let promise = play.when(&asks, |inside, _| -> () {
                    inside.act();
                    fail()
                });
                let from = promise.id;
                play.over(&[], &[&promise], move |inside, seen| {
                    seen[0].take(from, inside);
                });
            }
            _ => odds_and_ends(play, program, asks),
        }
        if play.one_in(4) {
            play.act();
        }
    }
    kept
}

fn odds_and_ends(play: &Play, program: &Arc<Program>, mut asks: Vec<Ask<'_>>) {
    if play.one_in(2) {
        if let Some(cown) = program.frail.upgrade() {
            play.when(&[play.either(&cown)], |inside, _| inside.act());
        }
    } else if let Some(twice) = asks.first().copied() {
        asks.push(if play.one_in(3) { W(twice.shared()) } else { R(twice.shared()) });
        play.try_when(&asks, body(program, 0));
    }
}

fn batch(play: &Play, program: &Arc<Program>, depth: usize) -> Vec<Promise> {
    let mut batch = play.batch();
    for _ in 0..1 + play.draw(4) {
        let other = program.any(play).filter(|_| play.one_in(3));
        let from = other.iter().map(|promise| promise.id).collect();
        let asks = play.some(&program.cowns, 3);
        batch.over(&asks, other.as_deref().as_slice(), over(program, depth, from));
    }
    if play.one_in(10) {
        return Vec::new();
    }
    let promises = batch.schedule();
    if let Some(promise) = promises.last().filter(|_| play.one_in(6)) {
        play.cancel(promise);
    }
    promises
}

fn body(
    program: &Arc<Program>,
    depth: usize,
) -> impl FnOnce(&Inside, &mut [Seen<'_>]) -> Option<Promise> + Send + 'static {
    let program = Arc::clone(program);
    move |inside, _| {
        inside.act();
        if depth < DEEPEST && inside.one_in(2) {
            let last = steps(inside, &program, depth + 1).pop();
            inside.act();
            return last;
        }
        None
    }
}

/// Of a behaviour over the results of others, which come last in its request.
fn over(
    program: &Arc<Program>,
    depth: usize,
    from: Vec<Id>,
) -> impl FnOnce(&Inside, &mut [Seen<'_>]) + Send + 'static {
    let body = body(program, depth);
    move |inside, seen| {
        body(inside, seen);
        let first = seen.len() - from.len();
        for (seen, from) in seen[first..].iter_mut().zip(from) {
            if inside.one_in(2) {
                seen.take(from, inside);
            }
        }
    }
}
