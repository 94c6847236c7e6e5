//! A model that takes everything would find nothing.

use super::{Ending, Id, Mode, Mode::Read, Mode::Write, Model, Number};

fn scheduled(model: &mut Model, asks: &[(Number, Mode)]) -> Id {
    let id = model.prepare(asks.to_vec(), false);
    model.judged(id, false);
    model.schedule(id);
    id
}

fn verdict(mut model: Model) -> String {
    model.finish().expect_err("nothing was found wrong")
}

fn run(model: &mut Model, id: Id) {
    model.start(id);
    model.end(id, Ending::Value);
}

#[test]
fn the_model_knows_order_and_exclusion() {
    let mut model = Model::default();
    let cown = model.cown();
    let [first, second] = [(); 2].map(|()| scheduled(&mut model, &[(cown, Write)]));
    assert_eq!(model.startable(), [first]);
    run(&mut model, second);
    assert!(verdict(model).contains("started before"));

    let mut model = Model::default();
    let cown = model.cown();
    let [first, second] = [(); 2].map(|()| scheduled(&mut model, &[(cown, Write)]));
    model.start(first);
    model.start(second);
    assert!(verdict(model).contains("started before"));
}

#[test]
fn the_model_knows_readers() {
    let mut model = Model::default();
    let cown = model.cown();
    let [first, second] = [(); 2].map(|()| scheduled(&mut model, &[(cown, Read)]));
    let writer = scheduled(&mut model, &[(cown, Write)]);
    let late = scheduled(&mut model, &[(cown, Read)]);
    assert_eq!(model.startable(), [first, second]);
    model.start(second);
    run(&mut model, first);
    assert_eq!(model.startable(), []);
    model.end(second, Ending::Value);
    assert_eq!(model.startable(), [writer]);
    run(&mut model, writer);
    run(&mut model, late);
    assert_eq!(model.finish(), Ok(()));

    let mut model = Model::default();
    let cown = model.cown();
    let writer = scheduled(&mut model, &[(cown, Write)]);
    let late = scheduled(&mut model, &[(cown, Read)]);
    run(&mut model, late);
    run(&mut model, writer);
    assert!(verdict(model).contains("started before"));
}

#[test]
fn the_model_knows_batches() {
    let mut model = Model::default();
    let (a, b) = (model.cown(), model.cown());
    let [x, y] = [a, b].map(|cown| model.prepare(vec![(cown, Write)], false));
    let between = scheduled(&mut model, &[(a, Write), (b, Write)]);
    [x, y].iter().for_each(|id| model.add_to_batch(*id));
    model.schedule_batch(&[x, y]);
    let behind = scheduled(&mut model, &[(b, Write), (a, Write)]);
    run(&mut model, between);
    assert_eq!(model.startable(), [x, y]);
    run(&mut model, y);
    assert_eq!(model.startable(), [x]);
    run(&mut model, behind);
    assert!(verdict(model).contains("started before"));
}

#[test]
fn the_model_knows_that_all_run_once() {
    let mut model = Model::default();
    let id = scheduled(&mut model, &[]);
    run(&mut model, id);
    run(&mut model, id);
    assert!(verdict(model).contains("started, but it is Ended"));

    let mut model = Model::default();
    scheduled(&mut model, &[]);
    assert!(verdict(model).contains("never came to its end"));
}

#[test]
fn the_model_knows_what_is_cancelled() {
    let mut model = Model::default();
    let (a, b) = (model.cown(), model.cown());
    let first = scheduled(&mut model, &[(a, Write)]);
    let cancelled = scheduled(&mut model, &[(a, Write), (b, Write)]);
    let last = scheduled(&mut model, &[(b, Write)]);
    let result = model.result(cancelled);
    let over = scheduled(&mut model, &[(result, Write)]);
    assert_eq!(model.startable(), [first]);
    assert!(model.cancel(cancelled));
    assert!(!model.cancel(cancelled));
    // Its result is there at once; its places are given up when it is their turn.
    assert_eq!(model.startable(), [first, over]);
    run(&mut model, first);
    assert_eq!(model.startable(), [last, over]);
    model.start(cancelled);
    assert!(verdict(model).contains("started, but it is Cancelled"));

    let mut model = Model::default();
    let id = scheduled(&mut model, &[]);
    run(&mut model, id);
    assert!(!model.cancel(id));
}

#[test]
fn the_model_knows_duplicates() {
    for (modes, refused) in [([Read, Read], false), ([Read, Write], true), ([Write; 2], true)] {
        let mut model = Model::default();
        let (a, b) = (model.cown(), model.cown());
        let asks = vec![(a, modes[0]), (b, Write), (a, modes[1])];
        let id = model.prepare(asks, false);
        model.judged(id, !refused);
        assert!(verdict(model).contains("refused"));
    }
}

#[test]
fn the_model_knows_how_long_a_value_is_kept() {
    let mut model = Model::default();
    let cown = model.cown();
    let id = scheduled(&mut model, &[(cown, Write)]);
    model.unrefer(cown);
    assert_eq!(model.is_alive(cown), Some(true));
    run(&mut model, id);
    assert_eq!(model.is_alive(cown), Some(false));
}
