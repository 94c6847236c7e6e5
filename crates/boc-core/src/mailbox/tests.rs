use super::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(20))
}

#[test]
fn the_first_slot_that_has_a_message_comes_first() {
    let mailbox = Mailbox::new();
    let [a, b] = ["a", "b"].map(|tag| mailbox.slot(tag));
    for n in 0..2 {
        a.send(n).unwrap();
        b.send(n + 10).unwrap();
    }
    let received: Vec<_> = (0..5).map(|_| receive(&[&b, &a], soon())).collect();
    assert_eq!(received, [Some((0, 10)), Some((0, 11)), Some((1, 0)), Some((1, 1)), None]);
}

#[test]
fn there_is_one_slot_for_each_tag() {
    let mailbox = Mailbox::new();
    mailbox.slot("a").send(1).unwrap();
    assert_eq!(mailbox.slot("b").take(), None);
    assert_eq!(mailbox.slot("a").take(), Some(1));
}

#[test]
fn the_limit_is_exact_and_a_place_counts() {
    let mailbox = Mailbox::new();
    mailbox.set_limit(&["a"], 2);
    let slot = mailbox.slot("a");
    slot.send(1).unwrap();
    let place = slot.reserve().unwrap();
    assert_eq!(slot.send(2), Err(Full { limit: 2 }));
    drop(place);
    slot.send(2).unwrap();
    assert_eq!(slot.send(3).unwrap_err().limit, 2);
    assert_eq!(slot.take(), Some(1));
    slot.send(3).unwrap();
    assert_eq!(slot.send(4), Err(Full { limit: 2 }));
    // Others have the usual one, until somebody says so of all.
    assert_eq!(mailbox.slot("b").limit(), DEFAULT_LIMIT);
    mailbox.set_limit(&[], 3);
    assert_eq!((mailbox.slot("b").limit(), mailbox.slot("c").limit(), slot.limit()), (3, 3, 3));
    slot.send(4).unwrap();
    mailbox.set_limit(&[], usize::MAX);
    slot.send(5).unwrap();
}

/// Also if a push that began before has not ended, and its thread does not run.
#[test]
fn what_was_sent_is_found() {
    const EACH: usize = 300_000;
    let mailbox = Mailbox::new();
    let missed: usize = thread::scope(|scope| {
        let threads = [0; 6].map(|n| {
            let slot = mailbox.slot("a");
            scope.spawn(move || {
                let send_and_take = || {
                    slot.send(n).unwrap();
                    slot.take()
                };
                (0..EACH).filter(|_| send_and_take().is_none()).count()
            })
        });
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(missed, 0);
}

#[test]
fn draining_drops_what_is_there() {
    let mailbox = Mailbox::new();
    let message = Arc::new(());
    for tag in ["a", "b"] {
        (0..3).for_each(|_| mailbox.slot(tag).send(Arc::clone(&message)).unwrap());
    }
    assert_eq!(mailbox.slot("a").drain(), 3);
    assert_eq!(Arc::strong_count(&message), 4);
    mailbox.drain();
    assert_eq!(Arc::strong_count(&message), 1);
    mailbox.slot("a").send(Arc::clone(&message)).unwrap();
    drop(mailbox);
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn tags_that_nobody_uses_any_more_take_no_memory() {
    let mailbox = Mailbox::new();
    let (kept, limited) = (mailbox.slot("kept"), mailbox.slot("limited"));
    mailbox.set_limit(&["limited"], 1);
    drop(limited);
    mailbox.slot("full").send(1).unwrap();
    for n in 0..10_000 {
        let slot = mailbox.slot(&n.to_string());
        slot.send(n).unwrap();
        assert_eq!(slot.take(), Some(n));
    }
    assert!(mailbox.slots().by_tag.len() <= 2 * FEW);
    assert!(core::ptr::eq(&*mailbox.slot("kept"), &*kept));
    assert_eq!(mailbox.slot("limited").limit(), 1);
    assert_eq!(mailbox.slot("full").take(), Some(1));
}

#[test]
fn a_message_wakes_one_that_waits_for_several_tags() {
    let mailbox = Mailbox::new();
    let [a, b] = ["a", "b"].map(|tag| mailbox.slot(tag));
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&[&a, &b], None));
        thread::sleep(Duration::from_millis(20));
        b.send(7).unwrap();
        assert_eq!(receiver.join().unwrap(), Some((1, 7)));
    });
}

#[test]
fn each_message_is_received_once_and_in_order_of_its_sender() {
    const EACH: usize = 20_000;
    let mailbox = Mailbox::new();
    mailbox.set_limit(&[], usize::MAX);
    let tags = ["a", "b", "c"].map(|tag| mailbox.slot(tag));
    let left = AtomicUsize::new(3 * 2 * EACH);
    thread::scope(|scope| {
        for sender in 0..2 {
            let tags = &tags;
            scope.spawn(move || {
                for n in 0..EACH {
                    for slot in tags {
                        slot.send((sender, n)).unwrap();
                    }
                }
            });
        }
        for receiver in 0..3 {
            let (tags, left) = (&tags, &left);
            scope.spawn(move || {
                let wanted: Vec<&Slot<_>> = (0..3).map(|n| &*tags[(n + receiver) % 3]).collect();
                let mut last = [[None; 2]; 3];
                // Long sleeps only end if somebody calls.
                while left.load(Relaxed) > 0 {
                    let until = Some(Instant::now() + Duration::from_millis(200));
                    let Some((index, (sender, n))) = receive(&wanted, until) else { continue };
                    left.fetch_sub(1, Relaxed);
                    let last = &mut last[index][sender];
                    assert!(last.is_none_or(|last| last < n));
                    *last = Some(n);
                }
            });
        }
    });
    assert_eq!(left.load(Relaxed), 0);
    assert!(tags.iter().all(|slot| slot.is_empty()));
}
