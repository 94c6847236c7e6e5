"""Prime factors, found by several searchers, of whom the first one stops the others.

A number is split by Pollard's rho method, which walks in a circle that depends
on where it begins and on a constant.  How long that takes is luck, so several
searchers try, each with a constant of its own.  A searcher is a chain of short
behaviours, which need no cown: at the beginning of each it looks at the
noticeboard, where the others have written what they found.  A behaviour sees
the noticeboard as it was when it first looked, so one that shall see news has
to end and to schedule the next one.

What has been found is in a cown, where the first one counts.  Both parts are
then split in the same way.

    python factors.py 1000000016000000063 --searchers 4
"""

import argparse
import math
import os
import random
import sys
from dataclasses import dataclass, field, replace
from time import perf_counter

import boc
from boc import Cown, notice_read, notice_write, when

STEPS = 2_000
"""How far a searcher walks before it looks at the noticeboard again."""


@dataclass
class Task:
    """A number to split, and how often its factors count."""

    number: int
    searchers: int
    key: str
    """Under which its divisor is on the noticeboard."""
    times: int = 1


@dataclass
class Found:
    primes: list[int] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    """The keys of the tasks whose divisor was found."""
    beaten: int = 0
    """Searchers that have stopped since another one was first."""


def split(task: Task, found: Cown[Found]) -> None:
    """Have the prime factors of a number put into `found`."""
    number, root = task.number, math.isqrt(task.number)
    if number == 1:
        return
    if is_prime(number):

        @when(found)
        def _(found: Cown[Found]) -> None:
            found.value.primes += [number] * task.times

    elif number % 2 == 0:
        split(replace(task, number=2), found)
        split(replace(task, number=number // 2), found)
    elif root * root == number:
        split(replace(task, number=root, times=2 * task.times), found)
    else:
        for constant in range(1, task.searchers + 1):
            search(task, constant, 2, 2, found)


def search(task: Task, constant: int, slow: int, fast: int, found: Cown[Found]) -> None:
    """Go on from where the walk has come to, unless somebody has found a divisor."""

    @when()
    def _() -> None:
        if notice_read(task.key) is not None:
            tell(task, None, found)
            return
        divisor, at_slow, at_fast = walk(task.number, constant, slow, fast)
        if divisor == 1:
            search(task, constant, at_slow, at_fast, found)
        elif divisor == task.number:
            # The circle has closed without success; there are others.
            search(task, random.randrange(1, task.number - 2), 2, 2, found)
        else:
            notice_write(task.key, divisor)
            tell(task, divisor, found)


def tell(task: Task, divisor: int | None, found: Cown[Found]) -> None:
    """Say how a search has ended; the first divisor counts."""

    @when(found)
    def _(found: Cown[Found]) -> None:
        if divisor is None or task.key in found.value.done:
            found.value.beaten += 1
            return
        found.value.done.add(task.key)
        # Two tasks can have the same number, so each has a key of its own.
        head, count = task.key.partition(":")[0], len(found.value.done)
        for part, number in enumerate((divisor, task.number // divisor)):
            split(replace(task, number=number, key=f"{head}:{count}.{part}"), found)


def walk(number: int, constant: int, slow: int, fast: int) -> tuple[int, int, int]:
    """Some steps of the method: a divisor, which is 1 if there was none so far, and where it has come to."""
    for _ in range(STEPS):
        slow = (slow * slow + constant) % number
        fast = (fast * fast + constant) % number
        fast = (fast * fast + constant) % number
        divisor = math.gcd(abs(slow - fast), number)
        if divisor != 1:
            return divisor, slow, fast
    return 1, slow, fast


def is_prime(number: int) -> bool:
    """By the test of Miller and Rabin, which is certain below 3.3 · 10²⁴ with these bases."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
    if number < 2 or any(number % base == 0 for base in bases):
        return number in bases
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers)
    right = True
    for number in options.numbers:
        found = Cown(Found())
        began = perf_counter()
        split(Task(number, options.searchers, key=f"{number}:0"), found)
        # A split schedules others, and they further ones: all of it is waited for.
        boc.quiesce()
        seconds = perf_counter() - began
        with found as result:
            primes, beaten, splits = sorted(result.primes), result.beaten, len(result.done)
        print(f"{number} = {' · '.join(map(str, primes)) or 1}")
        print(f"  {seconds:.2f} s, split {splits} times, {beaten} searchers were beaten")
        right = right and math.prod(primes) == number and all(map(is_prime, primes))
    boc.wait()
    print("all of them are right" if right else "WRONG")
    return 0 if right else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Prime factors, searched for in parallel.")
    example = [1_000_000_016_000_000_063, 2**67 - 1, math.factorial(20) + 1]
    parser.add_argument("numbers", type=int, nargs="*", default=example, help="(%(default)s)")
    parser.add_argument("--searchers", type=int, default=4, help="for each number (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    options = parser.parse_args()
    if min(options.numbers) < 1 or options.searchers < 1 or options.workers < 1:
        parser.error("needs positive numbers, at least 1 searcher and 1 worker")
    if max(options.numbers) > 3 * 10**24:
        parser.error("numbers above 3 · 10^24 are too large for the test of primes")
    return options


if __name__ == "__main__":
    sys.exit(main())
