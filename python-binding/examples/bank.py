"""A bank without locks: transfers between accounts, and audits meanwhile.

Each account is a cown.  A transfer is a behaviour over two of them, so it
cannot be seen half done; an audit is one over all of them, so it always finds
the same total, however many transfers are on their way.  The accounts come in
any order, and there is no deadlock.

    python bank.py --accounts 1000 --transfers 200000
"""

import argparse
import os
import random
import sys
from dataclasses import dataclass
from time import perf_counter

import boc
from boc import Cown, when

OPENING_BALANCE = 100
AUDITS = 10


@dataclass
class Account:
    balance: int = OPENING_BALANCE
    received: int = 0
    refused: int = 0


def transfer(source: Cown[Account], target: Cown[Account], amount: int) -> None:
    @when(source, target)
    def _(source: Cown[Account], target: Cown[Account], amount: int = amount) -> None:
        if source.value.balance < amount:
            source.value.refused += 1
            return
        source.value.balance -= amount
        target.value.balance += amount
        target.value.received += 1


def audit(accounts: list[Cown[Account]]) -> Cown[tuple[int, int, int]]:
    @when(accounts)
    def sums(accounts: list[Cown[Account]]) -> tuple[int, int, int]:
        found = [account.value for account in accounts]
        return (
            sum(account.balance for account in found),
            sum(account.received for account in found),
            sum(account.refused for account in found),
        )

    return sums


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers)
    accounts = [Cown(Account()) for _ in range(options.accounts)]
    # Drawn beforehand, so that the clock sees the bank and not the dice.
    pairs = [random.sample(accounts, 2) for _ in range(options.transfers)]
    amounts = random.choices(range(1, OPENING_BALANCE + 1), k=options.transfers)

    began = perf_counter()
    audits = []
    for number, ((source, target), amount) in enumerate(zip(pairs, amounts, strict=True)):
        transfer(source, target, amount)
        if number % max(1, options.transfers // AUDITS) == 0:
            audits.append(audit(accounts))
    boc.quiesce()
    seconds = perf_counter() - began

    audits.append(audit(accounts))
    totals = [balance for balance, _, _ in (sums.result() for sums in audits)]
    _, done, refused = audits[-1].result()
    boc.wait()

    print(f"{done:,} transfers done, {refused:,} refused, in {seconds:.2f} s")
    print(f"{options.transfers / seconds:,.0f} transfers/s, {options.workers} workers")
    kept = set(totals) == {OPENING_BALANCE * options.accounts}
    complete = done + refused == options.transfers
    print(f"{len(totals)} audits, total always {totals[0]:,}" if kept else f"WRONG: {totals}")
    print("every transfer counted" if complete else "WRONG: transfers were lost")
    return 0 if kept and complete else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Random transfers between accounts.")
    parser.add_argument("--accounts", type=int, default=1_000, help="at least 2 (%(default)s)")
    parser.add_argument("--transfers", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    options = parser.parse_args()
    if options.accounts < 2 or options.transfers < 1 or options.workers < 1:
        parser.error("needs at least 2 accounts, 1 transfer and 1 worker")
    return options


if __name__ == "__main__":
    sys.exit(main())
