//! How behaviours end, who learns of that, and who prevents it.

use std::{sync::Arc, time::Duration};

use crate::{
    model::Id,
    play::{Play, Promise, act, fail},
    values::{Ask::W, Shared},
};

/// Behaviours that wait, are ready, run or have ended are cancelled, by threads and by behaviours.
pub(crate) fn cancel_races_start(play: &Play) {
    let cowns = play.cowns(1 + play.draw(3));
    let mut promises: Vec<Arc<Promise>> = Vec::new();
    for _ in 0..3 + play.draw(4) {
        let over = promises.last().filter(|_| play.one_in(3));
        let before = promises.get(play.draw(promises.len() + 1)).cloned();
        let promise = play.over(&play.some(&cowns, 2), over.map(|it| &**it).as_slice(), {
            move |inside, _| {
                inside.act();
                if let Some(before) = before {
                    inside.cancel(&before);
                }
            }
        });
        promises.push(Arc::new(promise));
    }
    for _ in 0..1 + play.draw(2) {
        let promises = promises.clone();
        play.spawn(move |play| {
            for promise in promises {
                if play.one_in(2) {
                    play.cancel(&promise);
                }
                if play.one_in(2) {
                    play.pause();
                }
            }
        });
    }
    let late = &promises[play.draw(promises.len())];
    play.over(&[], &[late], act);
    play.cancel(late);
    play.when(&play.some(&cowns, 3), act);
    play.act();
    for promise in promises {
        if let Some(promise) = Arc::into_inner(promise) {
            play.wait(promise);
        }
    }
}

/// Behaviours over the results of others, of which some panic: they look, or they take.
pub(crate) fn behaviours_over_results(play: &Play) {
    fn over(play: &Play, cowns: &[Shared], promises: &[&Promise], take: bool) -> Promise {
        let asks = play.some(cowns, 2);
        if !take && play.one_in(2) {
            return play.over_to_read(&asks, promises, act);
        }
        let from: Vec<Id> = promises.iter().map(|promise| promise.id).collect();
        let results = asks.len();
        play.over(&asks, promises, move |inside, seen| {
            inside.act();
            for (seen, from) in seen[results..].iter_mut().zip(from) {
                if take {
                    seen.take(from, inside);
                }
            }
        })
    }
    let cowns = play.cowns(2);
    let mut promises = Vec::new();
    for _ in 0..2 + play.draw(3) {
        let fails = play.one_in(4);
        let asks = play.some(&cowns, 2);
        let promise = play.when(&asks, move |inside, _| {
            inside.act();
            if fails {
                fail();
            }
        });
        if play.one_in(2) {
            over(play, &cowns, &[&promise], false);
        }
        if fails || play.one_in(3) {
            // A panic has to be looked at by somebody.
            promises.push(over(play, &cowns, &[&promise], true));
        }
        if play.one_in(2) {
            over(play, &cowns, &[&promise], true);
        }
        if !fails {
            promises.push(promise);
        }
    }
    if let [one, two, ..] = &promises[..] {
        over(play, &cowns, &[one, two], play.one_in(2));
        over(play, &cowns, &[two, one], play.one_in(2));
    }
    for promise in promises {
        match play.draw(3) {
            0 => drop(play.wait(promise)),
            // There is always something that can go on.
            1 => assert!(play.wait_for(promise, Duration::ZERO).is_ok()),
            _ => play.look(&promise),
        }
    }
}

/// Behaviours give handles of behaviours that were scheduled inside, and those the next ones.
pub(crate) fn nested_results(play: &Play) {
    fn deeper(play: &Play, cown: &Shared, depth: usize) -> Promise {
        let inner = cown.clone();
        play.when(&[play.either(cown)], move |inside, _| {
            inside.act();
            (depth > 0).then(|| deeper(inside, &inner, depth - 1))
        })
    }
    /// Goes down as deep as it goes, by one behaviour for each level.
    fn follow(play: &Play, promise: &Promise) -> Promise {
        let from = promise.id;
        play.over(&[], &[promise], move |inside, seen| {
            let given = seen[0].take(from, inside)?;
            let nested = given.nested?;
            Some(follow(inside, &nested))
        })
    }
    let cown = play.cown();
    let promise = deeper(play, &cown, 1 + play.draw(3));
    if play.one_in(2) {
        let mut next = Some(promise);
        while let Some(promise) = next {
            if play.one_in(8) {
                break;
            }
            next = play.wait(promise).and_then(|given| given.nested);
        }
    } else {
        let followed = follow(play, &promise);
        if play.one_in(3) {
            play.cancel(&followed);
        }
    }
    play.when(&[W(&cown)], act);
}

/// Nobody keeps the handles, but there may be behaviours over the results.
pub(crate) fn handles_dropped_early(play: &Play) {
    let cowns = play.cowns(2);
    for _ in 0..3 + play.draw(3) {
        let asks = play.some(&cowns, 2);
        let promise = play.when(&asks, move |inside, _| {
            inside.act();
            // A result that nobody will see.
            inside.one_in(2).then(|| inside.when(&[], act))
        });
        let from = promise.id;
        match play.draw(4) {
            0 => drop(promise),
            1 => {
                (0..2).for_each(|_| drop(play.over_to_read(&[], &[&promise], act)));
                play.over(&[], &[&promise], act);
            }
            2 => play.detached(&play.some(&cowns, 1), &[&promise], move |inside, seen| {
                inside.act();
                let results = seen.len() - 1;
                seen[results].take(from, inside);
            }),
            _ => play.spawn(move |play| {
                play.act();
                play.look(&promise);
            }),
        }
    }
}
