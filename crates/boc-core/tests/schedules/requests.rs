//! All that can stand in a request: nothing, hundreds of cowns, the same twice, what one holds already.

use boc_core::{Acquired, Cown, acquire, when_detached};

use crate::{
    play::{Play, act},
    values::{
        Ask::{R, W},
        Shared,
    },
};

/// Cowns that are named more than once: what only reads goes through, all else is refused, also in a
/// batch.
pub(crate) fn duplicates(play: &Play) {
    let cowns = play.cowns(1 + play.draw(4));
    for _ in 0..3 + play.draw(3) {
        let mut asks = play.some(&cowns, 4);
        let twice = &cowns[play.draw(cowns.len())];
        for _ in 0..1 + play.draw(3) {
            asks.push(if play.one_in(4) { W(twice) } else { R(twice) });
        }
        play.shuffle(&mut asks);
        if play.one_in(3) {
            let mut batch = play.batch();
            batch.when(&play.some(&cowns, 2), act);
            batch.over(&asks, &[], act);
            batch.when(&play.some(&cowns, 2), act);
            batch.schedule();
        } else {
            play.try_when(&asks, act);
        }
        play.when(&play.some(&cowns, 1), act);
    }
}

/// Requests that are put together while the program runs, from two threads and from inside.
pub(crate) fn dynamic_requests(play: &Play) {
    fn requests(play: &Play, cowns: &[Shared], depth: usize) {
        for _ in 0..2 + play.draw(3) {
            let more = (depth > 0 && play.one_in(4)).then(|| cowns.to_vec());
            play.when(&play.some(cowns, 6), move |inside, _| {
                inside.act();
                if let Some(cowns) = more {
                    requests(inside, &cowns, depth - 1);
                }
            });
        }
    }
    let cowns = play.cowns(3 + play.draw(5));
    let others = cowns.clone();
    play.spawn(move |play| requests(play, &others, 1));
    requests(play, &cowns, 1);
}

/// Requests that no array on the stack has room for.
pub(crate) fn hundreds_of_cowns(play: &Play) {
    let count = 100 + play.draw(200);
    let cowns = play.cowns(count);
    let few = cowns[..8].to_vec();
    play.spawn(move |play| {
        (0..4).for_each(|_| drop(play.when(&play.some(&few, 4), act)));
    });
    for _ in 0..2 {
        let mut asks: Vec<_> = cowns.iter().map(W).collect();
        match play.draw(3) {
            0 => {}
            1 => asks = cowns.iter().map(R).collect(),
            _ => asks = cowns.iter().map(|cown| play.either(cown)).collect(),
        }
        play.shuffle(&mut asks);
        if play.one_in(2) {
            let mut batch = play.batch();
            batch.when(&asks, act);
            batch.when(&asks[..count / 2], act);
            batch.schedule();
        } else {
            play.when(&asks, act);
        }
        play.when(&play.some(&cowns, 3), act);
    }
}

/// Behaviours that need nothing, in all ways to say so.
pub(crate) fn zero_cowns(play: &Play) {
    let mut promises = Vec::new();
    for _ in 0..3 + play.draw(3) {
        match play.draw(4) {
            0 => play.detached(&[], &[], act),
            1 => {
                let mut batch = play.batch();
                batch.when(&[], act);
                promises.extend(batch.schedule());
            }
            2 => assert!(play.batch().schedule().is_empty()),
            _ => promises.push(play.when(&[], |inside, _| {
                inside.act();
                inside.when(&[], act)
            })),
        }
    }
    let mut held = play.claim(&[]);
    assert!(held.wait(None));
    for promise in promises {
        match play.draw(3) {
            0 => drop(play.cancel(&promise)),
            1 => drop(play.wait(promise)),
            _ => {}
        }
    }
}

/// Behaviours schedule over the cowns that they hold, alone or with others, and so come after all
/// that waits for those.
pub(crate) fn own_cowns_from_inside(play: &Play) {
    fn again(play: &Play, cowns: &[Shared], times: usize) {
        let asks: Vec<_> = cowns.iter().map(W).collect();
        play.when(&asks, move |inside, seen| {
            let own: Vec<_> = seen.iter().filter_map(|seen| seen.own(inside)).collect();
            inside.act();
            if times > 0 && !own.is_empty() {
                again(inside, &own, times - 1);
                inside.act();
                if inside.one_in(3) {
                    again(inside, &own, times - 1);
                }
            }
        });
    }
    /// By the handle that is lent, without one of its own. The model does not know the cown, but
    /// nobody else does, either.
    fn count_down(mut number: Acquired<'_, u32>) {
        if *number > 0 {
            *number -= 1;
            when_detached(acquire(number.cown()), count_down);
        }
    }
    let cowns = play.cowns(1 + play.draw(2));
    again(play, &cowns, 2);
    if play.one_in(2) {
        play.world.executor().when_detached(acquire(&Cown::new(3)), count_down);
    }
    if play.one_in(2) {
        play.when(&[R(&cowns[0])], act);
    }
    again(play, &cowns, 2);
    let others = cowns.clone();
    play.spawn(move |play| {
        play.when(&play.some(&others, 2), act);
    });
}

/// Behaviours without handles: over cowns and results, from threads and from inside.
pub(crate) fn detached_behaviours(play: &Play) {
    fn some(play: &Play, cowns: &[Shared], depth: usize) {
        for _ in 0..1 + play.draw(3) {
            let more = (depth > 0).then(|| cowns.to_vec());
            play.detached(&play.some(cowns, 3), &[], move |inside, _| {
                inside.act();
                if let Some(cowns) = more {
                    some(inside, &cowns, depth - 1);
                }
            });
        }
    }
    let cowns = play.cowns(2 + play.draw(2));
    let others = cowns.clone();
    play.spawn(move |play| some(play, &others, 1));
    some(play, &cowns, 2);
    let promise = play.when(&play.some(&cowns, 2), act);
    play.detached(&play.some(&cowns, 2), &[&promise], act);
    if play.one_in(2) {
        play.cancel(&promise);
    }
    some(play, &cowns, 0);
}
