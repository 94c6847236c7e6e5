"""Dining philosophers, who never starve and need no waiter.

Each fork is a cown, and so is each philosopher.  To eat is a behaviour over
the philosopher and the forks on both sides, which it holds all at the same
time or not at all.  Nobody takes the left fork and waits for the right one, so
there is nothing to deadlock, in whatever order forks are named.  Philosophers
who share no fork eat in parallel.  Who has eaten comes behind the neighbours
who are waiting, so nobody gets ahead.

    python philosophers.py --philosophers 5 --meals 1000
"""

import argparse
import os
import sys
from dataclasses import dataclass
from time import perf_counter

import boc
from boc import Cown, when


@dataclass
class Fork:
    used: int = 0
    held_by: str | None = None


@dataclass
class Philosopher:
    name: str
    meals: int = 0
    # By how many meals a neighbour was ever behind.
    ahead: int = 0


NAMES = "Hypatia", "Plato", "Diotima", "Kant", "Arendt", "Confucius", "Avicenna", "Weil"


def eat(philosopher: Cown[Philosopher], left: Cown[Fork], right: Cown[Fork], meals: int) -> None:
    """Eat so many meals; each schedules the next one."""

    @when(philosopher, left, right)
    def _(philosopher: Cown[Philosopher], left: Cown[Fork], right: Cown[Fork]) -> None:
        me, forks = philosopher.value, (left.value, right.value)
        for fork in forks:
            if fork.held_by is not None:
                raise AssertionError(f"{me.name} has the fork that {fork.held_by} is using")
            fork.held_by = me.name
        me.meals += 1
        for fork in forks:
            fork.used += 1
            others = fork.used - me.meals
            me.ahead = max(me.ahead, me.meals - others)
            fork.held_by = None
        if meals > 1:
            eat(philosopher, left, right, meals - 1)


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers)
    count = options.philosophers
    names = [f"{NAMES[n % len(NAMES)]} {n // len(NAMES) + 1}" for n in range(count)]
    philosophers = [Cown(Philosopher(name)) for name in names]
    forks = [Cown(Fork()) for _ in range(count)]

    began = perf_counter()
    with boc.scope():  # raises what any of them has raised
        with boc.atomic():  # they sit down together
            for number, philosopher in enumerate(philosophers):
                eat(philosopher, forks[number], forks[(number + 1) % count], options.meals)
    seconds = perf_counter() - began

    @when(philosophers, forks)
    def clear_up(
        philosophers: list[Cown[Philosopher]], forks: list[Cown[Fork]]
    ) -> tuple[list[Philosopher], list[int]]:
        return [cown.value for cown in philosophers], [fork.value.used for fork in forks]

    table, used = clear_up.result()
    boc.wait()

    for guest in table[:8]:
        print(f"{guest.name:<12} {guest.meals:,} meals")
    if count > 8:
        print(f"… and {count - 8} others")
    meals = sum(guest.meals for guest in table)
    print(f"{meals:,} meals in {seconds:.2f} s, {meals / seconds:,.0f}/s, {options.workers} workers")
    fed = all(guest.meals == options.meals for guest in table)
    shared = set(used) == {2 * options.meals}
    ahead = max(guest.ahead for guest in table)
    print("everybody is fed" if fed else "WRONG: somebody has starved")
    print("each fork was used by two" if shared else f"WRONG: {used}")
    print(f"{'' if ahead == 1 else 'WRONG: '}nobody was more than {ahead} ahead of a neighbour")
    return 0 if fed and shared and ahead == 1 else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Philosophers who share forks.")
    parser.add_argument("--philosophers", type=int, default=5, help="at least 2 (%(default)s)")
    parser.add_argument("--meals", type=int, default=5_000, help="for each (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    options = parser.parse_args()
    if options.philosophers < 2 or options.meals < 1 or options.workers < 1:
        parser.error("needs at least 2 philosophers, 1 meal and 1 worker")
    return options


if __name__ == "__main__":
    sys.exit(main())
