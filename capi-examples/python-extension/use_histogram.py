"""Behaviours of Python and of C over each other's cowns, in one order; and what each costs.

Build the extension before: `pip install --no-build-isolation --no-deps .` in this folder, where boc and
setuptools are installed.
"""

from __future__ import annotations

import argparse
import random
import time
from array import array

import histogram
from boc import Cown, quiesce, start, wait, when


def share(count: int, files: int) -> None:
    """Fills one histogram from several cowns of numbers, and looks at it in between."""
    counts = histogram.new(-4.0, 4.0, 33)
    numbers = [Cown(array("d")) for _ in range(files)]
    for cown in numbers:

        @when(cown)
        def fill(cown, seed=len(numbers)):
            noise = random.Random(seed)
            cown.value.extend(noise.gauss(0.0, 1.0) for _ in range(count))

    within = [histogram.add(counts, cown) for cown in numbers[: files // 2]]

    @when(counts)
    def halfway(counts):
        return sum(counts.value)

    within += [histogram.add(counts, cown) for cown in numbers[files // 2 :]]

    @when(counts)
    def complete(counts):
        return counts.value

    bars = complete.result()
    print(f"{sum(bars)} of {count * files} numbers within the bounds, {halfway.result()} at halftime")
    assert sum(bars) == sum(one.result() for one in within)
    for line, bar in enumerate(bars):
        if line % 2 == 0:
            print("#" * (60 * bar // max(bars)))


def compare(times: int) -> None:
    """How many behaviours a second, in Python and in C, over the same cown of Python."""
    counter = Cown(0)

    def in_python() -> None:
        for _ in range(times):

            @when(counter)
            def increment(counter):
                counter.value += 1

    rates = {}
    for name, schedule in {
        "Python": in_python,
        "C": lambda: histogram.increment(counter, times),
    }.items():
        started = time.perf_counter()
        schedule()
        quiesce()
        rates[name] = times / (time.perf_counter() - started)
        print(f"{name:>8}: {rates[name]:12,.0f} behaviours per second")
    print(f"C is {rates['C'] / rates['Python']:.1f} times as fast")

    @when(counter)
    def total(counter):
        return counter.value

    assert total.result() == 2 * times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, default=200_000, help="in each cown")
    parser.add_argument("--times", type=int, default=200_000, help="behaviours to measure")
    options = parser.parse_args()
    start(worker_count=2)
    share(options.numbers, files=8)
    compare(options.times)
    wait()


if __name__ == "__main__":
    main()
