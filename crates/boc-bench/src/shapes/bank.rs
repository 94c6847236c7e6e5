//! Transfers between random pairs of K accounts, made by one producer.

use std::time::Duration;

use boc_core::{Cown, when_detached};
use fastrand::Rng;

use super::{Shape, Size};
use crate::{
    check,
    peers::{
        self,
        mutexes::{self, in_address_order},
        tokio::Alive,
    },
};

/// Two cowns for each behaviour, and all the overlaps there can be.
pub(crate) struct Bank;

/// What is in an account at the start.
const START: i64 = 1000;

#[derive(Clone, Copy)]
struct Account {
    balance: i64,
    /// Transfers from and to it.
    transfers: u64,
}

const NEW: Account = Account { balance: START, transfers: 0 };

fn transfer(from: &mut Account, to: &mut Account, amount: i64) {
    from.balance -= amount;
    to.balance += amount;
    from.transfers += 1;
    to.transfers += 1;
}

/// Two different accounts, and how much goes from the first to the second.
fn draw<'a, T>(random: &mut Rng, accounts: &'a [T]) -> (&'a T, &'a T, i64) {
    let from = random.usize(..accounts.len());
    let distance = 1 + random.usize(..accounts.len() - 1);
    (&accounts[from], &accounts[(from + distance) % accounts.len()], random.i64(1..100))
}

/// The same for all peers and rounds.
fn random(worker: usize) -> Rng {
    Rng::with_seed(worker as u64)
}

/// No money may be lost or made, and no transfer left out.
fn check(accounts: impl IntoIterator<Item = Account>, size: Size) {
    let (mut transfers, mut wealth) = (0, 0);
    for account in accounts {
        transfers += account.transfers;
        wealth += account.balance;
    }
    check::equal("the accounts saw transfers:", transfers, 2 * size.n);
    assert_eq!(wealth, START * size.k as i64, "money was lost or made: the run was wrong");
}

impl Shape for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn about(&self) -> &'static str {
        "transfers between random pairs of K cowns, from a producer"
    }

    fn boc(&self, size: Size) -> Duration {
        let accounts: Vec<_> = (0..size.k).map(|_| Cown::new(NEW)).collect();
        let all = accounts.clone();
        let (elapsed, ()) = peers::boc::run(size.workers, move || {
            let mut random = random(0);
            for _ in 0..size.n {
                let (from, to, amount) = draw(&mut random, &all);
                when_detached((from, to), move |(from, to)| transfer(from, to, amount));
            }
        });
        check(peers::boc::values(&accounts), size);
        elapsed
    }

    fn rayon(&self, size: Size) -> Duration {
        let accounts = mutexes::shared(size.k, NEW);
        let (elapsed, ()) = peers::rayon::run(size.workers, |scope| {
            let mut random = random(0);
            for _ in 0..size.n {
                let (from, to, amount) = draw(&mut random, &accounts);
                scope.spawn(move |_| transfer_in_order(from, to, amount));
            }
        });
        check(mutexes::values(accounts), size);
        elapsed
    }

    fn tokio(&self, size: Size) -> Duration {
        let accounts = mutexes::async_shared(size.k, NEW);
        let all = accounts.clone();
        let (elapsed, ()) = peers::tokio::run(size.workers, async move |alive: Alive| {
            let mut random = random(0);
            for _ in 0..size.n {
                let (from, to, amount) = draw(&mut random, &all);
                let (alive, from, to) = (alive.clone(), from.clone(), to.clone());
                tokio::spawn(async move {
                    let (first, second, swapped) = in_address_order(from, to);
                    let mut first = first.lock().await;
                    let mut second = second.lock().await;
                    transfer(&mut first, &mut second, if swapped { -amount } else { amount });
                    drop(alive);
                });
            }
        });
        check(mutexes::async_values(&accounts), size);
        elapsed
    }

    fn plain(&self, size: Size) -> Duration {
        let accounts = mutexes::shared(size.k, NEW);
        let elapsed = peers::plain::run(size.workers, |worker| {
            let mut random = random(worker);
            for _ in 0..size.share(worker) {
                let (from, to, amount) = draw(&mut random, &accounts);
                transfer_in_order(from, to, amount);
            }
        });
        check(mutexes::values(accounts), size);
        elapsed
    }
}

/// Takes the mutexes in the order in which everybody takes them.
fn transfer_in_order(from: &mutexes::Shared<Account>, to: &mutexes::Shared<Account>, amount: i64) {
    let (first, second, swapped) = in_address_order(from, to);
    let mut first = first.lock().unwrap();
    let mut second = second.lock().unwrap();
    transfer(&mut first, &mut second, if swapped { -amount } else { amount });
}

#[cfg(test)]
mod tests {
    use super::{draw, random};

    #[test]
    fn nobody_pays_himself() {
        let (mut random, accounts) = (random(0), [0, 1, 2]);
        for _ in 0..1000 {
            let (from, to, _) = draw(&mut random, &accounts);
            assert_ne!(from, to);
        }
    }
}
