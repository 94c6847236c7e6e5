//! Nobody sleeps beside a message: every interleaving of small programs. The checker complains of a
//! deadlock if one does.

use super::{
    slot::Slot,
    waiting::{receive, sleep},
};
use crate::{
    parker::Parker,
    sync::{Arc, Watched},
};
use loom::thread::{self, JoinHandle};
use std::time::Instant;

/// A message, and something that the checker looks at.
type Message = (u32, Watched);

fn message(n: u32) -> Message {
    (n, Watched::new())
}

fn check(preemptions: usize, program: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    // Waiting for another one who takes a message is a branch each time.
    model.max_branches = 10_000;
    model.check(program);
}

type Shared = Arc<[Slot<Message>; 2]>;

fn slots() -> Shared {
    Arc::new([Slot::new(2), Slot::new(2)])
}

/// Receives so many messages of these slots; gives their sum.
fn receiver(slots: &Shared, wanted: &'static [usize], count: u32) -> JoinHandle<u32> {
    let slots = Arc::clone(slots);
    thread::spawn(move || {
        let wanted: Vec<_> = wanted.iter().map(|index| &slots[*index]).collect();
        let messages = (0..count).map(|_| {
            let (_, (n, watched)) = receive(&wanted, None).unwrap();
            watched.see();
            n
        });
        messages.sum()
    })
}

fn sender(slots: &Shared, to: usize, n: u32) -> JoinHandle<()> {
    let slots = Arc::clone(slots);
    thread::spawn(move || slots[to].send(message(n)).unwrap())
}

#[test]
fn one_sender_and_one_receiver() {
    check(4, || {
        let slots = slots();
        let receiver = receiver(&slots, &[0], 2);
        slots[0].send(message(1)).unwrap();
        slots[0].send(message(2)).unwrap();
        assert_eq!(receiver.join().unwrap(), 3);
    });
}

#[test]
fn one_receiver_of_two_tags() {
    check(3, || {
        let slots = slots();
        let receiver = receiver(&slots, &[0, 1], 2);
        let other = sender(&slots, 1, 2);
        slots[0].send(message(1)).unwrap();
        assert_eq!(receiver.join().unwrap(), 3);
        other.join().unwrap();
    });
}

/// Both senders may push at once, so that the one who is called finds a queue that is split.
#[test]
fn two_senders_and_two_receivers_of_one_tag() {
    check(1, || {
        let slots = slots();
        let receivers = [receiver(&slots, &[0], 1), receiver(&slots, &[0], 1)];
        let other = sender(&slots, 0, 2);
        slots[0].send(message(1)).unwrap();
        other.join().unwrap();
        let sum: u32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

/// The first one may be called by the second slot, and take a message of the first one instead.
#[test]
fn a_call_that_is_not_used_is_passed_on() {
    check(3, || {
        let slots = slots();
        let choosy = receiver(&slots, &[0, 1], 1);
        let other = receiver(&slots, &[1], 1);
        slots[1].send(message(1)).unwrap();
        slots[0].send(message(2)).unwrap();
        let first = choosy.join().unwrap();
        if first == 1 {
            slots[1].send(message(3)).unwrap();
        }
        assert_ne!(other.join().unwrap(), 2);
    });
}

/// One whose time has run out may have been called meanwhile.
#[test]
fn who_gives_up_passes_the_call_on() {
    check(3, || {
        let slots = slots();
        let patient = receiver(&slots, &[0], 1);
        let hasty = {
            let slots = Arc::clone(&slots);
            // As `sleep` does when its time has run out, without a last look.
            thread::spawn(move || {
                let waiter = Arc::new(Parker::new());
                slots[0].enter(&waiter);
                super::slot::entered();
                slots[0].leave(&waiter);
            })
        };
        slots[0].send(message(1)).unwrap();
        assert_eq!(patient.join().unwrap(), 1);
        hasty.join().unwrap();
    });
}

/// One that has no time to wait takes what is there, or leaves it to the other one.
#[test]
fn no_message_is_lost_by_who_does_not_wait() {
    check(3, || {
        let slots = slots();
        let hasty = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || {
                let waiter = Arc::new(Parker::new());
                waiter.unpark();
                sleep(&[&slots[0]], &waiter, Some(Instant::now())).0.is_some()
            })
        };
        slots[0].send(message(1)).unwrap();
        let by_hasty = hasty.join().unwrap();
        assert_eq!(slots[0].take().is_none(), by_hasty);
    });
}

#[test]
fn the_limit_holds_whoever_sends() {
    check(3, || {
        let slots = slots();
        let others = [1, 2].map(|n| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots[0].send(message(n)).is_ok())
        });
        let mine = slots[0].send(message(3)).is_ok();
        let sent = others.into_iter().map(|other| usize::from(other.join().unwrap()));
        assert_eq!(sent.sum::<usize>() + usize::from(mine), 2);
        assert_eq!(slots[0].drain(), 2);
        slots[0].send(message(4)).unwrap();
    });
}
