//! The queues alone, without what is around them, so that all interleavings can be explored.
//! [`crate::schedule`] and [`crate::behaviour`] do the same steps.

use super::*;
use crate::{
    cown::VTable,
    sync::{Arc, atomic::AtomicU32},
};
use Mode::{Read as R, Write as W};
use core::cell;
use loom::{cell::UnsafeCell, thread};

/// What one behaviour asks for: cowns by number, in their order.
type Wanted = &'static [(usize, Mode)];

/// What one thread schedules: batches, which mostly are one behaviour.
type Program = &'static [&'static [Wanted]];

struct Cown {
    header: Header,
    /// The behaviours that wrote it. The checker complains if one reads or writes while another one
    /// writes, or without being ordered after it.
    log: UnsafeCell<Vec<usize>>,
}

/// Does nothing: cowns live until the end of the model.
static NOTHING: VTable = VTable {
    drop_value: |_| (),
    free: |_| (),
    type_id: core::any::TypeId::of::<()>,
    is_result: false,
};

impl Cown {
    fn new() -> Self {
        let header = Header::new(ptr::null_mut(), 1, &NOTHING);
        Self { header, log: UnsafeCell::new(Vec::new()) }
    }
}

/// A behaviour over some of the cowns.
struct Request {
    name: usize,
    wanted: Wanted,
    /// In one allocation, so that the order of their addresses is the same in each run.
    cowns: Arc<Vec<Cown>>,
    slots: Vec<cell::UnsafeCell<Slot>>,
    pending: AtomicU32,
    ran: AtomicU32,
}

impl Request {
    fn new(name: usize, cowns: &Arc<Vec<Cown>>, wanted: Wanted) -> Box<Self> {
        let mut request = Box::new(Self {
            name,
            wanted,
            cowns: Arc::clone(cowns),
            slots: Vec::new(),
            pending: AtomicU32::new(wanted.len() as u32 + 1),
            ran: AtomicU32::new(0),
        });
        // Never used as a pointer to a behaviour.
        let this = NonNull::from(&*request).cast();
        let slot = |(cown, mode): &(usize, Mode)| {
            cell::UnsafeCell::new(Slot::new(NonNull::from(&cowns[*cown].header), *mode, this))
        };
        request.slots = wanted.iter().map(slot).collect();
        request
    }

    /// They stay where they are until the threads are joined.
    fn slots(&self) -> impl Iterator<Item = NonNull<Slot>> {
        self.slots.iter().filter_map(|slot| NonNull::new(slot.get()))
    }

    fn resolve(&self, count: u32) {
        if self.pending.fetch_sub(count, AcqRel) != count {
            return;
        }
        for (cown, mode) in self.wanted {
            let cown = &self.cowns[*cown];
            // SAFETY: the request holds the cown in that mode.
            unsafe {
                match mode {
                    W => cown.log.with_mut(|log| (*log).push(self.name)),
                    R => cown.log.with(|log| assert!((*log).len() < 100)),
                }
            }
        }
        self.ran.fetch_add(1, Relaxed);
        for slot in self.slots() {
            // SAFETY: the request holds the cown, and `schedule` made slots of requests, which live
            // until the threads are joined.
            unsafe {
                let resolve = |next: NonNull<Slot>| {
                    next.as_ref().behaviour().cast::<Request>().as_ref().resolve(1);
                };
                let slot = slot.as_ref();
                match slot.mode() {
                    Mode::Read => slot.release_reader().into_iter().for_each(resolve),
                    Mode::Write => match slot.release_writer() {
                        None => (),
                        Some(next) if next.reads() => admit_readers(next.slot()).for_each(resolve),
                        Some(next) => resolve(next.slot()),
                    },
                }
                if slot.references() > 0 {
                    Header::release(slot.cown(), slot.references());
                }
            }
        }
        // SAFETY: they were released.
        self.slots().for_each(|slot| unsafe { Slot::scribble(slot) });
    }
}

/// As `schedule::acquire_all`; for one behaviour, `schedule::enter`; and for one over one cown to write,
/// `schedule::acquire_one`.
fn schedule(batch: &[&Request]) {
    if let [request] = batch
        && let [(_, W)] = request.wanted
    {
        request.pending.store(1, Relaxed);
        for slot in request.slots() {
            // SAFETY: the slot enters its queue once, and stays until the threads are joined.
            if unsafe { Slot::enter_alone(slot) } {
                request.resolve(1);
            }
        }
        return;
    }
    if let [request] = batch {
        // SAFETY: each slot enters its queue once, and stays until the threads are joined.
        let held = |slot: NonNull<Slot>| u32::from(unsafe { Slot::enqueue(slot) });
        let obtained = 1 + request.slots().map(held).sum::<u32>();
        // SAFETY: as above.
        request.slots().for_each(|slot| unsafe { slot.as_ref() }.publish());
        return request.resolve(obtained);
    }
    let mut slots: Vec<_> = batch.iter().flat_map(|request| request.slots()).collect();
    // SAFETY: the slots stay until the threads are joined.
    let cown = |slot: &NonNull<Slot>| unsafe { slot.as_ref() }.cown();
    slots.sort_by_key(cown);
    let mut lasts = Vec::new();
    for row in slots.chunk_by(|a, b| cown(a) == cown(b)) {
        // SAFETY: each slot enters its queue once, and stays until the threads are joined.
        unsafe {
            let mut chain = Chain::new(row[0]);
            row[1..].iter().for_each(|slot| chain.append(*slot));
            chain.enqueue(|slot| slot.as_ref().behaviour().cast::<Request>().as_ref().resolve(1));
            lasts.push(chain.last());
        }
    }
    // SAFETY: the slots live until the threads are joined.
    lasts.iter().for_each(|slot| unsafe { slot.as_ref() }.publish());
    batch.iter().for_each(|request| request.resolve(1));
}

/// Runs each program on a thread of its own. `check` gets the logs of the cowns.
fn run(
    preemptions: Option<usize>,
    cowns: usize,
    programs: &'static [Program],
    check: fn(&[Vec<usize>]),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let cowns: Arc<Vec<_>> = Arc::new((0..cowns).map(|_| Cown::new()).collect());
        let mut name = 0;
        let mut request = |wanted: &Wanted| {
            name += 1;
            Request::new(name - 1, &cowns, wanted)
        };
        let requests: Vec<Vec<Vec<Box<Request>>>> = programs
            .iter()
            .map(|program| {
                program.iter().map(|batch| batch.iter().map(&mut request).collect()).collect()
            })
            .collect();
        let requests = Arc::new(requests);
        let work = |index: usize| {
            let requests = Arc::clone(&requests);
            move || {
                for batch in &requests[index] {
                    schedule(&batch.iter().map(|request| &**request).collect::<Vec<_>>());
                }
            }
        };
        let others: Vec<_> = (1..programs.len()).map(|index| thread::spawn(work(index))).collect();
        work(0)();
        others.into_iter().for_each(|thread| thread.join().unwrap());
        for request in requests.iter().flatten().flatten() {
            assert_eq!(request.ran.load(Relaxed), 1, "each behaviour runs once");
        }
        for cown in &*cowns {
            assert!(cown.header.tail.load(Relaxed).is_null());
            assert!(cown.header.readers.is_quiet());
            assert!(cown.header.is_only_reference(1));
        }
        // SAFETY: all threads have ended.
        let log = |cown: &Cown| cown.log.with(|log| unsafe { (*log).clone() });
        check(&cowns.iter().map(log).collect::<Vec<_>>());
    });
}

fn same_order(logs: &[Vec<usize>]) {
    assert_eq!(logs[0].len(), 2);
    assert_eq!(logs[0], logs[1]);
}

#[test]
fn two_writers_over_two_cowns() {
    run(None, 2, &[&[&[&[(0, W), (1, W)]]], &[&[&[(0, W), (1, W)]]]], same_order);
}

#[test]
fn two_requests_that_share_one_of_their_cowns() {
    run(None, 3, &[&[&[&[(0, W), (1, W)]]], &[&[&[(1, W), (2, W)]]]], |logs| {
        assert_eq!(logs[1].len(), 2);
    });
}

/// Three behaviours, each of which shares one cown with each of the others. Were they ordered in
/// a circle, one could hold what the next one needs.
#[test]
fn overlapping_pairs() {
    const PROGRAMS: &[Program] =
        &[&[&[&[(0, W), (1, W)]]], &[&[&[(1, W), (2, W)]]], &[&[&[(0, W), (2, W)]]]];
    run(Some(3), 3, PROGRAMS, |logs| {
        assert!(logs.iter().all(|log| log.len() == 2));
        let before = |cown: usize, a: usize, b: usize| logs[cown] == [a, b];
        let circle = before(1, 0, 1) && before(2, 1, 2) && before(0, 2, 0);
        let other = before(0, 0, 2) && before(2, 2, 1) && before(1, 1, 0);
        assert!(!circle && !other, "{logs:?}");
    });
}

#[test]
fn three_writers_over_one_cown() {
    run(Some(3), 1, &[&[&[&[(0, W)]]], &[&[&[(0, W)]]], &[&[&[(0, W)]]]], |logs| {
        assert_eq!(logs[0].len(), 3);
    });
}

#[test]
fn a_reader_against_a_writer() {
    run(None, 1, &[&[&[&[(0, R)]]], &[&[&[(0, W)]]]], |_| ());
}

#[test]
fn two_readers() {
    run(None, 1, &[&[&[&[(0, R)]]], &[&[&[(0, R)]]]], |_| ());
}

/// A reader that may join the first one, and a writer that waits for both.
#[test]
fn two_readers_against_a_writer() {
    run(Some(3), 1, &[&[&[&[(0, R)]]], &[&[&[(0, R)]]], &[&[&[(0, W)]]]], |_| ());
}

/// The second reader waits behind the writer, or joins the first one.
#[test]
fn a_writer_between_two_readers() {
    run(Some(4), 1, &[&[&[&[(0, R)]], &[&[(0, W)]]], &[&[&[(0, R)]]]], |_| ());
}

/// A row of readers behind a writer, the last of which comes while the row is admitted.
#[test]
fn a_writer_hands_over_to_a_row_of_readers() {
    run(Some(4), 1, &[&[&[&[(0, W)]]], &[&[&[(0, R)]], &[&[(0, R)]]]], |_| ());
    run(Some(2), 1, &[&[&[&[(0, W)]]], &[&[&[(0, R)]]], &[&[&[(0, R)]]]], |_| ());
}

#[test]
fn write_read_read_write() {
    run(Some(3), 1, &[&[&[&[(0, W)]], &[&[(0, R)]]], &[&[&[(0, R)]], &[&[(0, W)]]]], |logs| {
        assert_eq!(logs[0].len(), 2);
    });
}

/// The first of two readers leaves the queue while the second one holds the cown on, and a writer
/// finds the queue empty.
#[test]
fn a_writer_that_finds_the_queue_empty_and_readers_left() {
    run(Some(3), 2, &[&[&[&[(0, R), (1, W)]]], &[&[&[(0, R)]]], &[&[&[(0, W)]]]], |_| ());
}

#[test]
fn mixed_modes_over_two_cowns() {
    run(Some(4), 2, &[&[&[&[(0, R), (1, W)]]], &[&[&[(0, W), (1, R)]]]], |_| ());
}

#[test]
fn readers_of_two_cowns_against_a_writer_of_both() {
    const PROGRAMS: &[Program] =
        &[&[&[&[(0, R), (1, R)]]], &[&[&[(0, R), (1, R)]]], &[&[&[(0, W), (1, W)]]]];
    run(Some(2), 2, PROGRAMS, |_| ());
}

/// A reader that was admitted by the writer before it, while it was still entering another queue.
#[test]
fn a_row_that_is_admitted_before_it_is_published() {
    run(Some(3), 2, &[&[&[&[(0, W)]], &[&[(0, R)]]], &[&[&[(0, R), (1, W)]]]], |_| ());
}

/// Nobody comes between the behaviours of a batch.
#[test]
fn batches_with_crossing_cowns() {
    const PROGRAMS: &[Program] = &[&[&[&[(0, W)], &[(1, W)]]], &[&[&[(1, W)], &[(0, W)]]]];
    run(None, 2, PROGRAMS, |logs| {
        // Behaviours 0 and 1 are the first batch, 2 and 3 the second one.
        assert_eq!(logs[0] == [0, 3], logs[1] == [1, 2], "{logs:?}");
    });
}

#[test]
fn a_batch_over_one_cown_against_a_writer() {
    run(None, 1, &[&[&[&[(0, W)], &[(0, W)]]], &[&[&[(0, W)]]]], |logs| {
        assert!([[0, 1, 2], [2, 0, 1]].contains(&[logs[0][0], logs[0][1], logs[0][2]]), "{logs:?}");
    });
}

/// A batch whose readers join, wait in a row, and wait behind its own writer.
#[test]
fn a_batch_of_readers_and_a_writer_against_others() {
    const BATCH: Program = &[&[&[(0, R)], &[(0, R)], &[(0, W)], &[(0, R)]]];
    run(Some(3), 1, &[BATCH, &[&[&[(0, W)]]]], |logs| assert_eq!(logs[0].len(), 2));
    run(Some(3), 1, &[BATCH, &[&[&[(0, R)]]]], |logs| assert_eq!(logs[0].len(), 1));
}
