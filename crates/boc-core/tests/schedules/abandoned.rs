//! A schedule that has failed is abandoned in the middle of whatever its tasks were doing. Nothing may
//! be left behind by that, either.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use boc_core::{
    Cown, Member,
    explore::{Explorer, Strategy, World, yield_now},
    read,
};

/// Counts itself as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, SeqCst);
        Self(Arc::clone(live))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Where a batch is when another thread fails the schedule is a matter of the seed: at a `when` of it,
/// between two of them, before or after it is scheduled, or dropped.
#[test]
fn an_abandoned_batch_leaks_nothing() {
    fn fill(world: &World, cowns: &[Cown<Counted>; 2], live: &Arc<AtomicUsize>) {
        let mut batch = world.executor().batch();
        let mut members: Vec<Member<Counted>> = Vec::new();
        for index in 0..4 {
            let captured = Counted::new(live);
            let body = move |_: &mut Counted| {
                yield_now();
                captured
            };
            members.push(batch.when(&cowns[index % 2], body));
            let captured = Counted::new(live);
            batch.when(read(cowns), move |_| drop(captured));
            yield_now();
        }
        let scheduled = batch.schedule();
        for (index, member) in members.into_iter().enumerate() {
            let member = scheduled.handle(member);
            let captured = Counted::new(live);
            world.when((read(cowns), &member), move |_| drop(captured));
            if index == 1 {
                member.cancel();
            }
        }
        yield_now();
    }
    let mut failures = 0;
    for seed in 0..2_000 {
        let strategy = if seed % 2 == 0 { Strategy::Random } else { Strategy::Pct { depth: 3 } };
        let live = Arc::new(AtomicUsize::new(0));
        let values = Arc::clone(&live);
        let result = Explorer::new().strategy(strategy).replay(seed).try_check(move |world| {
            let cowns = [0; 2].map(|_| Cown::new(Counted::new(&values)));
            let (inner, other, held) = (world.clone(), cowns.clone(), Arc::clone(&values));
            world.spawn(move || fill(&inner, &other, &held));
            for _ in 0..seed % 13 {
                yield_now();
            }
            let (inner, other, held) = (world.clone(), cowns.clone(), Arc::clone(&values));
            world.when(&cowns[1], move |_| fill(&inner, &other, &held));
            std::panic::resume_unwind(Box::new("the schedule is abandoned"));
        });
        failures += usize::from(result.is_err());
        assert_eq!(live.load(SeqCst), 0, "seed {seed}");
    }
    assert_eq!(failures, 2_000);
}
