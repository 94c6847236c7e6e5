//! The order in which behaviours hold their cowns, and who holds them together.

use std::time::Duration;

use crate::{
    play::{Inside, Play, act},
    values::{
        Ask::{R, W},
        Seen, Shared,
    },
};

/// Each needs two forks. All meals are laid in one go, by a thread for each philosopher, or by the
/// philosophers while they eat.
pub(crate) fn philosophers(play: &Play) {
    fn eat_on(play: &Play, left: Shared, right: Shared, meals: usize) {
        let (a, b) = (left.clone(), right.clone());
        play.when(&[W(&a), W(&b)], move |inside, _| {
            inside.act();
            if meals > 1 {
                eat_on(inside, left, right, meals - 1);
            }
        });
    }
    let forks = play.cowns(2 + play.draw(5));
    let meals = 1 + play.draw(3);
    let laid = play.draw(3);
    let mut seats: Vec<_> = (0..forks.len()).collect();
    play.shuffle(&mut seats);
    for seat in seats {
        let mut pair = [forks[seat].clone(), forks[(seat + 1) % forks.len()].clone()];
        play.shuffle(&mut pair);
        let [left, right] = pair;
        let eat = move |play: &Play| {
            (0..meals).for_each(|_| drop(play.when(&[W(&left), W(&right)], act)));
        };
        match laid {
            0 => eat(play),
            1 => play.spawn(eat),
            _ => {
                let pair = [&forks[seat], &forks[(seat + 1) % forks.len()]];
                eat_on(play, pair[0].clone(), pair[1].clone(), meals);
            }
        }
    }
}

/// Rows of readers with writers between, and one at the end; another thread comes in between.
pub(crate) fn reader_chains(play: &Play) {
    fn rows(play: &Play, cown: &Shared) {
        for _ in 0..1 + play.draw(3) {
            (0..1 + play.draw(4)).for_each(|_| drop(play.when(&[R(cown)], act)));
            if play.one_in(2) {
                play.when(&[W(cown)], act);
            }
        }
    }
    let cown = play.cown();
    if play.one_in(2) {
        play.when(&[W(&cown)], act);
    }
    if play.one_in(2) {
        let cown = cown.clone();
        play.spawn(move |play| rows(play, &cown));
    }
    rows(play, &cown);
    play.when(&[W(&cown)], act);
}

/// Readers that have started bring others, which may join them as long as no writer waits.
pub(crate) fn readers_join_a_live_group(play: &Play) {
    fn bring(play: &Play, cown: Shared, more: usize) {
        let read = cown.clone();
        play.when(&[R(&read)], move |inside, _| {
            if inside.one_in(5) {
                inside.when(&[W(&cown)], act);
            }
            for _ in 0..more {
                bring(inside, cown.clone(), inside.draw(more));
                inside.act();
            }
            inside.meet();
        });
    }
    let cown = play.cown();
    bring(play, cown.clone(), 3);
    if play.one_in(2) {
        play.act();
        play.when(&[W(&cown)], act);
        bring(play, cown, 2);
    }
}

/// Pairs out of three cowns, each in both orders, from two threads.
pub(crate) fn overlapping_pairs(play: &Play) {
    fn pairs(play: &Play, cowns: &[Shared]) {
        for _ in 0..3 + play.draw(4) {
            let first = play.draw(cowns.len());
            let second = (first + 1 + play.draw(cowns.len() - 1)) % cowns.len();
            if play.one_in(4) {
                play.when(&[play.either(&cowns[first]), play.either(&cowns[second])], act);
            } else {
                play.when(&[W(&cowns[first]), W(&cowns[second])], act);
            }
        }
    }
    let cowns = play.cowns(2 + play.draw(2));
    let others = cowns.clone();
    play.spawn(move |play| pairs(play, &others));
    pairs(play, &cowns);
}

/// That, on one cown or on two, where some of the four hold a second one as well.
pub(crate) fn write_read_read_write(play: &Play) {
    let (cown, other) = (play.cown(), play.cown());
    let beside = |play: &Play| play.one_in(3).then(|| play.either(&other));
    let with = |first| [Some(first), beside(play)].into_iter().flatten().collect::<Vec<_>>();
    if play.one_in(2) {
        let late = cown.clone();
        play.spawn(move |play| {
            play.when(&[play.either(&late)], act);
        });
    }
    for _ in 0..1 + play.draw(2) {
        for ask in [W(&cown), R(&cown), R(&cown), W(&cown)] {
            play.when(&with(ask), act);
        }
    }
}

/// Batches over the same cowns in different orders; some are given up, some made inside of a
/// behaviour, some have behaviours over the results of others.
pub(crate) fn batches_against_batches(play: &Play) {
    fn one(play: &Play, cowns: &[Shared], depth: usize) {
        let before = play.one_in(3).then(|| play.when(&play.some(cowns, 2), act));
        let mut batch = play.batch();
        for _ in 0..play.draw(5) {
            let asks = play.some(cowns, 3);
            let more = if depth > 0 && play.one_in(4) { Some(cowns.to_vec()) } else { None };
            let body = move |inside: &Inside, _: &mut [Seen<'_>]| {
                inside.act();
                if let Some(cowns) = more {
                    one(inside, &cowns, depth - 1);
                }
            };
            let before = before.as_ref().filter(|_| play.one_in(2));
            batch.over(&asks, before.as_slice(), body);
        }
        if play.one_in(8) {
            return;
        }
        let promises = batch.schedule();
        if let Some(promise) = promises.last().filter(|_| play.one_in(5)) {
            play.cancel(promise);
        }
        promises.iter().for_each(|promise| play.look(promise));
    }
    let cowns = play.cowns(2 + play.draw(2));
    for _ in 0..1 + play.draw(2) {
        let cowns = cowns.clone();
        play.spawn(move |play| {
            (0..1 + play.draw(2)).for_each(|_| one(play, &cowns, 1));
        });
    }
    one(play, &cowns, 1);
    play.when(&play.some(&cowns, 2), act);
    one(play, &cowns, 0);
}

/// Threads hold cowns, some to read, wait for them with and without a limit, or give up.
pub(crate) fn claims_against_behaviours(play: &Play) {
    fn claims(play: &Play, cowns: &[Shared]) {
        for _ in 0..2 {
            let asks = play.some(cowns, 2);
            let mut held = play.claim(&asks);
            match play.draw(4) {
                0 => {}
                1 => drop(held.wait(Some(Duration::ZERO))),
                _ => assert!(held.wait(None)),
            }
            play.act();
            if play.one_in(4) {
                let behind = play.when(&play.some(cowns, 2), act);
                // It may have to wait for what this thread holds: then the time runs out.
                if let Err(behind) = play.wait_for(behind, Duration::ZERO) {
                    drop(held);
                    play.wait(behind);
                }
            }
        }
    }
    let cowns = play.cowns(2 + play.draw(2));
    let others = cowns.clone();
    play.spawn(move |play| claims(play, &others));
    (0..3).for_each(|_| drop(play.when(&play.some(&cowns, 2), act)));
    if play.one_in(2) {
        claims(play, &cowns);
    }
    (0..2).for_each(|_| drop(play.when(&play.some(&cowns, 3), act)));
}
