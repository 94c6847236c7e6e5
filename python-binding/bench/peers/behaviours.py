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
from threading import get_ident
from typing import Any

from arithmetic import arithmetic
from program import Work, arguments, backend_of, queued, report, timed

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


def megabyte() -> dict[str, Any]:
    """A dictionary that is 1 MB of pickle."""
    return {f"{n:08}": f"{n:>86}" for n in range(10_000)} | {"served": (0, 0, 0)}


def intact(value: dict[str, Any]) -> bool:
    return {**value, "served": (0, 0, 0)} == megabyte()


def dict_passed(count: int) -> Work:
    shared = Cown(megabyte())

    def schedule() -> None:
        for _ in range(count):

            @when(shared)
            def passed(shared):
                pass

    return schedule, lambda: intact(shared.unwrap())


def serve(value):
    """Change one key: how many have served, how often another worker than before, and who did last."""
    served, turns, last = value["served"]
    me = get_ident()
    value["served"] = served + 1, turns + (me != last), me


def dict_changed(count: int) -> Work:
    """To be run with one worker: each behaviour finds the dictionary where the one before has left it."""
    shared = Cown(megabyte())

    def schedule() -> None:
        for _ in range(count):

            @when(shared)
            def change(shared):
                serve(shared.value)

    def right() -> bool:
        value = shared.unwrap()
        return value["served"][:2] == (count, 1) and intact(value)

    return schedule, right


def dict_alternating(count: int) -> Work:
    """To be run with two workers: each behaviour runs on the worker that the one before did not run on.

    That other worker is the only one that is free, since a behaviour which waits for a byte has taken the
    place of the one before.
    """
    shared = Cown(megabyte())
    done_read, done_write = done_pipe()

    def schedule() -> None:
        release = hold_workers(1, 0)
        for turn in range(count):

            @when(shared)
            def change(shared, done=done_write):
                serve(shared.value)
                os.write(done, b"!")

            os.read(done_read, 1)
            take_place = hold_workers(1, (turn + 1) % 2)
            release()
            release = take_place
        release()

    def right() -> bool:
        value = shared.unwrap()
        return value["served"][:2] == (count, count) and intact(value)

    return schedule, right


def there_and_back(make: Callable[[], Any], place: Any, count: int) -> Work:
    """One after the other: a block to a behaviour that changes one place of it, and back."""
    block = [make()]

    def schedule() -> None:
        for _ in range(count):
            cown = Cown(block.pop())

            @when(cown)
            def touch(cown, place=place):
                cown.value[place] = (cown.value[place] + 1) % 256

            quiesce()
            block.append(cown.unwrap())

    return schedule, lambda: block[0][place] == count % 256


def buffer() -> Any:
    return library.Buffer(64 << 20)


def block_of_bytes() -> Any:
    return bytearray(64 << 20)


def matrix() -> Any:
    """What bocpy moves without a copy: 64 MB of floats."""
    return library.Matrix(1, (64 << 20) // 8)


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
def pipes(which: int) -> tuple[int, int, int, int]:
    return *os.pipe(), *os.pipe()


@cache
def done_pipe() -> tuple[int, int]:
    return os.pipe()


def hold_workers(workers: int, which: int = 0) -> Callable[[], None]:
    """Occupy so many workers; what is returned lets them go. `which` tells those held at one time apart."""
    ready_read, ready_write, go_read, go_write = pipes(which)
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
    "dict-passed": dict_passed,
    "dict-changed": dict_changed,
    "dict-alternating": dict_alternating,
    "buffer": partial(there_and_back, buffer, 0),
    "buffer-bytearray": partial(there_and_back, block_of_bytes, 0),
    "buffer-matrix": partial(there_and_back, matrix, (0, 0)),
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
        numbers = timed(RUNNING[asked.case], asked.count, quiesce, asked.passes)
    else:
        hold = partial(hold_workers, asked.workers)
        numbers = queued(HELD[asked.case], asked.count, asked.at_once, hold, quiesce)
    report(asked.count, numbers, backend_of(library))
    library.wait()


if __name__ == "__main__":
    main()
