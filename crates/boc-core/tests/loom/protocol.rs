//! The two-phase protocol: order, exclusion, atomicity of scheduling, life of a behaviour.

use boc_core::{
    ExecutorRef,
    raw::{self, Access},
};
use loom::thread;

use crate::model::{check, entries, push_elsewhere};

/// One thread schedules over (a, b), the other one over (b, a).
#[test]
fn two_cowns_in_both_orders_of_the_arguments() {
    check(4, |ledger| {
        let [a, b] = ledger.logs();
        let token = ledger.token();
        let other = {
            let (a, b, token) = (a.clone(), b.clone(), ledger.token());
            thread::spawn(move || {
                ExecutorRef::inline().when((&b, &a), move |(b, a)| {
                    b.push(2);
                    a.push(2);
                    drop(token);
                });
            })
        };
        ExecutorRef::inline().when((&a, &b), move |(a, b)| {
            a.push(1);
            b.push(1);
            drop(token);
        });
        other.join().unwrap();
        let order = entries(&a);
        assert_eq!(order.len(), 2);
        assert_eq!(order, entries(&b), "the behaviours ran in the same order on both cowns");
    });
}

/// The holder sets the tail back to null, or finds that the other one has entered the queue.
#[test]
fn release_against_enqueue() {
    check(None, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 2, ledger.token());
        ExecutorRef::inline().when(&cown, |log| log.push(1));
        other.join().unwrap();
        let mut both = entries(&cown);
        both.sort_unstable();
        assert_eq!(both, [1, 2]);
    });
}

#[test]
fn three_behaviours_in_a_row_keep_the_order_of_their_thread() {
    check(3, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 3, ledger.token());
        let executor = ExecutorRef::inline();
        executor.when(&cown, |log| log.push(1));
        executor.when(&cown, |log| log.push(2));
        other.join().unwrap();
        let all = entries(&cown);
        assert_eq!(all.len(), 3);
        assert!(all.iter().filter(|n| **n < 3).is_sorted(), "{all:?}");
    });
}

/// Three behaviours, each of which shares one cown with each of the others. Were they ordered in a
/// circle, one could hold what the next one needs.
#[test]
fn overlapping_pairs_are_in_one_order() {
    check(2, |ledger| {
        let cowns = ledger.logs::<3>();
        let schedule = |n: usize| {
            let (left, right) = (cowns[n].clone(), cowns[(n + 1) % 3].clone());
            move || {
                ExecutorRef::inline().when((&left, &right), move |(left, right)| {
                    left.push(n as u32);
                    right.push(n as u32);
                });
            }
        };
        let others = [thread::spawn(schedule(1)), thread::spawn(schedule(2))];
        schedule(0)();
        others.into_iter().for_each(|thread| thread.join().unwrap());
        // Cown n is shared by the behaviours n and n - 1.
        let own_first: Vec<bool> = (0..3)
            .map(|n| {
                let order = entries(&cowns[n]);
                assert_eq!(order.len(), 2);
                order[0] == n as u32
            })
            .collect();
        assert!(own_first.iter().any(|first| *first) && own_first.iter().any(|first| !*first));
    });
}

/// A thread that schedules twice is seen in that order by all, on different cowns too.
#[test]
fn a_request_of_three_cowns_against_single_ones() {
    check(2, |ledger| {
        let cowns = ledger.logs::<3>();
        let other = {
            let [a, _, c] = cowns.clone();
            thread::spawn(move || {
                let executor = ExecutorRef::inline();
                executor.when(&c, |log| log.push(2));
                executor.when(&a, |log| log.push(3));
            })
        };
        ExecutorRef::inline().when(&cowns, |logs| logs.into_iter().for_each(|log| log.push(1)));
        other.join().unwrap();
        let [a, b, c] = cowns.each_ref().map(entries);
        assert_eq!(b, [1]);
        // If the request was before 2 on c, it was before 3 on a as well.
        assert!(c == [2, 1] && a.len() == 2 || c == [1, 2] && a == [1, 3], "{a:?} {c:?}");
    });
}

#[test]
fn a_behaviour_that_schedules_over_its_own_cowns() {
    check(3, |ledger| {
        let [a, b] = ledger.logs();
        let other = push_elsewhere(&b, 3, ledger.token());
        let (inner_a, inner_b) = (a.clone(), b.clone());
        ExecutorRef::inline().when((&a, &b), move |(a, b)| {
            ExecutorRef::inline().when((&inner_b, &inner_a), |(b, a)| {
                b.push(2);
                a.push(2);
            });
            a.push(1);
            b.push(1);
        });
        other.join().unwrap();
        assert_eq!(entries(&a), [1, 2]);
        let all = entries(&b);
        assert_eq!(all.len(), 3);
        assert!(all.iter().filter(|n| **n < 3).is_sorted(), "{all:?}");
    });
}

/// The other thread waits for its turn while the last handle here goes.
#[test]
fn the_last_handle_goes_while_a_behaviour_waits() {
    check(5, |ledger| {
        let cown = ledger.log();
        let other = {
            let (cown, token) = (cown.clone(), ledger.token());
            thread::spawn(move || {
                let last = cown.clone();
                ExecutorRef::inline().when(&cown, move |log| {
                    log.push(2);
                    drop((last, token));
                });
                drop(cown);
            })
        };
        ExecutorRef::inline().when(&cown, |log| log.push(1));
        drop(cown);
        other.join().unwrap();
    });
}

/// A thread gives its place up, or has been granted it, while another one comes and goes.
#[test]
fn a_claim_given_up_against_granted() {
    check(3, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 1, ledger.token());
        // SAFETY: the cown is alive.
        drop(unsafe { raw::claim(&[Access::from(&cown)]) }.unwrap());
        other.join().unwrap();
        assert_eq!(entries(&cown), [1]);
    });
}

#[test]
fn a_claim_holds_the_cowns_until_it_is_dropped() {
    check(3, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 1, ledger.token());
        // SAFETY: the cown is alive.
        let claim = unsafe { raw::claim(&[Access::from(&cown)]) }.unwrap();
        assert!(claim.wait(None));
        // SAFETY: the claim holds the cown.
        unsafe { (*raw::value_ptr(&cown)).push(2) };
        drop(claim);
        other.join().unwrap();
        assert_eq!(entries(&cown).len(), 2);
    });
}

/// A request that is refused leaves no trace.
#[test]
fn a_cown_named_twice_against_another_behaviour() {
    check(3, |ledger| {
        let cown = ledger.log();
        let other = push_elsewhere(&cown, 1, ledger.token());
        let token = ledger.token();
        assert!(ExecutorRef::inline().try_when((&cown, &cown), move |_| drop(token)).is_err());
        other.join().unwrap();
        assert_eq!(entries(&cown), [1]);
    });
}
