//! After a round: whether what ran could have run in that order.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

use crate::world::World;

/// What happened on a cown: behaviours that read, one that wrote, and so on. Records.
struct History {
    /// Those that read before the write of the same index, and after the one before; one more than
    /// writes.
    readers: Vec<Vec<usize>>,
    writers: Vec<usize>,
}

/// Checks the order on each cown, and between cowns.
pub(crate) fn check(world: &World) {
    let histories = histories(world);
    for history in &histories {
        check_scheduling_order(world, history);
        check_batches(world, history);
    }
    check_circles(world, &histories);
}

fn histories(world: &World) -> Vec<History> {
    let history =
        |writers: Vec<usize>| History { readers: vec![Vec::new(); writers.len() + 1], writers };
    let mut histories: Vec<_> = world.logs().into_iter().map(history).collect();
    for (reader, record) in world.used().iter().enumerate() {
        for (cown, seen) in record.reads() {
            histories[cown].readers[seen].push(reader);
        }
    }
    histories
}

/// Whoever was scheduled before another one, by the same strand or by one that led to it, came
/// before it, unless both only read.
fn check_scheduling_order(world: &World, history: &History) {
    /// The lowest number of each strand among some behaviours.
    type Lowest = HashMap<usize, usize>;
    let note = |lowest: &mut Lowest, behaviour: usize| {
        let record = &world.records[behaviour];
        let number = record.number.load(Relaxed);
        lowest
            .entry(record.strand.load(Relaxed))
            .and_modify(|lowest| *lowest = number.min(*lowest))
            .or_insert(number);
    };
    let check = |later: &Lowest, behaviour: usize| {
        let mut level = Some(behaviour);
        while let Some(before) = level {
            let record = &world.records[before];
            if let Some(number) = later.get(&record.strand.load(Relaxed)) {
                assert!(
                    *number > record.number.load(Relaxed),
                    "a behaviour ran before one scheduled earlier"
                );
            }
            level = record.parent.load(Relaxed).checked_sub(1);
        }
    };
    let (mut later, mut later_writers) = (Lowest::new(), Lowest::new());
    for (index, readers) in history.readers.iter().enumerate().rev() {
        if let Some(writer) = history.writers.get(index) {
            check(&later, *writer);
            note(&mut later, *writer);
            note(&mut later_writers, *writer);
        }
        readers.iter().for_each(|reader| check(&later_writers, *reader));
        readers.iter().for_each(|reader| note(&mut later, *reader));
    }
}

/// Between two behaviours of a batch that write, nobody else writes or reads.
fn check_batches(world: &World, history: &History) {
    let batch = |behaviour: &usize| world.records[*behaviour].batch.load(Relaxed);
    let mut ended = HashMap::new();
    for (index, pair) in history.writers.windows(2).enumerate() {
        let (one, other) = (batch(&pair[0]), batch(&pair[1]));
        if one != 0 && one == other {
            let readers = &history.readers[index + 1];
            assert!(readers.iter().all(|reader| batch(reader) == one), "a read inside of a batch");
        } else {
            ended.insert(one, index);
            assert!(other == 0 || !ended.contains_key(&other), "a write inside of a batch");
        }
    }
}

/// The order is the same on all cowns, also if a batch counts as one: "came before on some cown" has
/// no circle.
fn check_circles(world: &World, histories: &[History]) {
    let node = |behaviour: usize| match world.records[behaviour].batch.load(Relaxed) {
        0 => (behaviour, 0),
        batch => (0, batch),
    };
    let mut after: HashMap<_, Vec<_>> = HashMap::new();
    let mut waits_for: HashMap<_, usize> = HashMap::new();
    let mut edge = |before: usize, behind: usize| {
        let (before, behind) = (node(before), node(behind));
        waits_for.entry(before).or_default();
        if before != behind {
            after.entry(before).or_default().push(behind);
            *waits_for.entry(behind).or_default() += 1;
        }
    };
    for history in histories {
        history.writers.windows(2).for_each(|pair| edge(pair[0], pair[1]));
        for (index, readers) in history.readers.iter().enumerate() {
            for reader in readers {
                let before = index.checked_sub(1).map(|index| history.writers[index]);
                before.into_iter().for_each(|writer| edge(writer, *reader));
                history.writers.get(index).into_iter().for_each(|writer| edge(*reader, *writer));
            }
        }
    }
    let mut free: Vec<_> =
        waits_for.iter().filter(|(_, n)| **n == 0).map(|(one, _)| *one).collect();
    let mut ordered = 0;
    while let Some(one) = free.pop() {
        ordered += 1;
        for next in after.remove(&one).unwrap_or_default() {
            let left = waits_for.get_mut(&next).expect("it is there");
            *left -= 1;
            if *left == 0 {
                free.push(next);
            }
        }
    }
    assert_eq!(ordered, waits_for.len(), "behaviours came in different orders on different cowns");
}
