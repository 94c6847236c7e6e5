"""The measured work as behaviours: one source for boc and for bocpy.

`BENCH_LIBRARY` names the package to import. It is an environment variable and
not an argument because bocpy runs this module again in each of its workers,
where there are no arguments.

Bodies keep to what both libraries accept: no closures, captures as defaults,
values that pickle. They carry no annotations, as these would be evaluated each
time a body is defined, within what is measured.

Workers are held back by a byte that has not arrived in a pipe: a file
descriptor is the one thing to wait on that means the same in a thread and in a
sub-interpreter.
"""

import importlib
import os
import random
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from arithmetic import arithmetic
from program import Work, arguments, queued, report, timed

library: Any = importlib.import_module(os.environ.get("BENCH_LIBRARY", "boc"))
Cown = library.Cown
when = library.when
quiesce = library.quiesce


def one_cown(count: int) -> Work:
    shared = Cown(0)

    def schedule() -> None:
        for _ in range(count):

            @when(shared)
            def add(shared):
                shared.value += 1

    return schedule, lambda: shared.unwrap() == count


def pairs(count: int) -> Work:
    accounts = [Cown(0) for _ in range(1000)]
    draw = random.Random(1)
    chosen = [draw.sample(accounts, 2) for _ in range(count)]

    def schedule() -> None:
        for source, target in chosen:

            @when(source, target)
            def transfer(source, target):
                source.value -= 1
                target.value += 1

    def right() -> bool:
        balances = [account.unwrap() for account in accounts]
        return sum(balances) == 0 and any(balances)

    return schedule, right


def independent(count: int) -> Work:
    cowns = [Cown(0) for _ in range(count)]

    def schedule() -> None:
        for cown in cowns:

            @when(cown)
            def add(cown):
                cown.value += 1

    return schedule, lambda: sum(cown.unwrap() for cown in cowns) == count


def big_list(count: int) -> Work:
    shared = Cown(list(range(100_000)))

    def schedule() -> None:
        for i in range(count):

            @when(shared)
            def append(shared, i=i):
                shared.value.append(i)

    return schedule, lambda: len(shared.unwrap()) == 100_000 + count


def spin(count: int) -> Work:
    cowns = [Cown(0) for _ in range(count)]

    def schedule() -> None:
        for cown in cowns:

            @when(cown)
            def compute(cown):
                cown.value = arithmetic()

    return schedule, lambda: all(cown.unwrap() for cown in cowns)


def empty_no_cown(count: int) -> Work:
    def schedule() -> None:
        for _ in range(count):

            @when()
            def nothing():
                pass

    return schedule, lambda: True


def empty_one_cown(count: int) -> Work:
    shared = Cown(0)

    def schedule() -> None:
        for _ in range(count):

            @when(shared)
            def nothing(shared):
                pass

    return schedule, lambda: True


def empty_defined_once(count: int) -> Work:
    shared = Cown(0)

    def nothing(shared):
        pass

    def schedule() -> None:
        for _ in range(count):
            when(shared)(nothing)

    return schedule, lambda: True


def queue_defined_once(count: int) -> Work:
    shared = Cown(0)

    def add(shared):
        shared.value += 1

    def schedule() -> None:
        for _ in range(count):
            when(shared)(add)

    return schedule, lambda: shared.unwrap() == count


@cache
def pipes() -> tuple[int, int, int, int]:
    return *os.pipe(), *os.pipe()


def hold_workers(workers: int) -> Callable[[], None]:
    """Occupy every worker; what is returned lets them go."""
    ready_read, ready_write, go_read, go_write = pipes()
    for _ in range(workers):

        @when()
        def hold(ready=ready_write, go=go_read):
            os.write(ready, b"!")
            os.read(go, 1)

    arrived = 0
    while arrived < workers:
        arrived += len(os.read(ready_read, workers))

    def release() -> None:
        os.write(go_write, b"!" * workers)

    return release


RUNNING = {
    "one-cown": one_cown,
    "pairs": pairs,
    "independent": independent,
    "big-list": big_list,
    "arithmetic": spin,
}
HELD = {
    "empty-no-cown": empty_no_cown,
    "empty-one-cown": empty_one_cown,
    "empty-defined-once": empty_defined_once,
    "queue": one_cown,
    "queue-defined-once": queue_defined_once,
}


def main() -> None:
    asked = arguments()
    library.start(worker_count=asked.workers)
    if asked.case in RUNNING:
        numbers = timed(RUNNING[asked.case], asked.count, quiesce)
    else:
        hold = partial(hold_workers, asked.workers)
        numbers = queued(HELD[asked.case], asked.count, asked.at_once, hold, quiesce)
    about = {}
    if hasattr(library, "backend"):
        about["backend"] = str(library.backend())
    report(asked.count, numbers, about)
    library.wait()


if __name__ == "__main__":
    main()
