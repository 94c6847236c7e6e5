//! How long cowns live.

use crate::{
    play::{Play, act},
    values::Ask::W,
};

/// The last handle to a cown is dropped while behaviours wait for it or hold it; the value goes with
/// the last of them, and with it perhaps another cown.
pub(crate) fn last_handle_goes_first(play: &Play) {
    let inner = play.cown();
    if play.one_in(2) {
        play.when(&[play.either(&inner)], act);
    }
    let outer = play.cown_with(Some(inner));
    let other = play.cown();
    for _ in 0..1 + play.draw(4) {
        match play.draw(3) {
            0 => play.detached(&[play.either(&outer)], &[], act),
            1 => drop(play.when(&[play.either(&outer), play.either(&other)], act)),
            _ => drop(play.when(&[W(&outer)], |inside, seen| {
                inside.act();
                let value = seen[0].writable().expect("it was asked for to write");
                if let Some(inner) = value.inner.take() {
                    inside.when(&[W(&inner)], act);
                    if inside.one_in(2) {
                        value.inner = Some(inner);
                    }
                }
            })),
        }
    }
    if play.one_in(2) {
        let outer = outer.clone();
        play.spawn(move |play| {
            play.act();
            drop(outer);
        });
    }
    let frail = outer.downgrade();
    drop(outer);
    play.act();
    play.quiesce();
    play.world.spawn(|| ()).join();
    drop(frail.upgrade());
}

/// Weak handles are upgraded by threads and behaviours while the last strong one goes.
pub(crate) fn weak_cowns(play: &Play) {
    let (cown, other) = (play.cown(), play.cown());
    let frail = cown.downgrade();
    for _ in 0..1 + play.draw(2) {
        let frail = frail.clone();
        play.spawn(move |play| {
            for _ in 0..2 {
                if let Some(cown) = frail.upgrade() {
                    play.when(&[play.either(&cown)], act);
                }
                play.act();
            }
        });
    }
    for _ in 0..1 + play.draw(3) {
        let frail = frail.clone();
        play.when(&[play.either(&other)], move |inside, _| {
            inside.act();
            if let Some(cown) = frail.upgrade() {
                let again = frail.clone();
                inside.when(&[inside.either(&cown)], move |inside, _| {
                    inside.act();
                    // The behaviour holds the cown, so it is there.
                    let cown = again.upgrade().expect("it is held by who asks");
                    drop((cown, again));
                });
            }
        });
    }
    if play.one_in(2) {
        play.when(&[W(&cown)], act);
    }
    play.act();
    drop(cown);
    play.act();
    drop(frail.upgrade());
}
