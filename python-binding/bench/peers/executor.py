"""The measured work with what the standard library offers.

A `ThreadPoolExecutor`, and a lock beside each object. Where two objects are
needed their locks are taken in the order of their numbers, as otherwise two
transfers in opposite directions would wait for each other for ever.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event, Lock
from typing import Any

from arithmetic import arithmetic
from program import Work, arguments, queued, report, timed


class Guarded:
    __slots__ = ("lock", "number", "value")

    def __init__(self, value: Any, number: int = 0) -> None:
        self.lock = Lock()
        self.number = number
        self.value = value


def add(shared: Guarded) -> None:
    with shared.lock:
        shared.value += 1


def transfer(source: Guarded, target: Guarded) -> None:
    first, second = (source, target) if source.number < target.number else (target, source)
    with first.lock, second.lock:
        source.value -= 1
        target.value += 1


def append(shared: Guarded, i: int) -> None:
    with shared.lock:
        shared.value.append(i)


def compute(shared: Guarded) -> None:
    with shared.lock:
        shared.value = arithmetic()


def nothing_alone() -> None:
    pass


def nothing(shared: Guarded) -> None:
    with shared.lock:
        pass


def one_cown(pool: ThreadPoolExecutor, count: int) -> Work:
    shared = Guarded(0)

    def schedule() -> None:
        for _ in range(count):
            pool.submit(add, shared)

    return schedule, lambda: shared.value == count


def pairs(pool: ThreadPoolExecutor, count: int) -> Work:
    accounts = [Guarded(0, number) for number in range(1000)]
    draw = random.Random(1)
    chosen = [draw.sample(accounts, 2) for _ in range(count)]

    def schedule() -> None:
        for source, target in chosen:
            pool.submit(transfer, source, target)

    def right() -> bool:
        balances = [account.value for account in accounts]
        return sum(balances) == 0 and any(balances)

    return schedule, right


def independent(pool: ThreadPoolExecutor, count: int) -> Work:
    objects = [Guarded(0, number) for number in range(count)]

    def schedule() -> None:
        for guarded in objects:
            pool.submit(add, guarded)

    return schedule, lambda: sum(guarded.value for guarded in objects) == count


def big_list(pool: ThreadPoolExecutor, count: int) -> Work:
    shared = Guarded(list(range(100_000)))

    def schedule() -> None:
        for i in range(count):
            pool.submit(append, shared, i)

    return schedule, lambda: len(shared.value) == 100_000 + count


def spin(pool: ThreadPoolExecutor, count: int) -> Work:
    objects = [Guarded(0, number) for number in range(count)]

    def schedule() -> None:
        for guarded in objects:
            pool.submit(compute, guarded)

    return schedule, lambda: all(guarded.value for guarded in objects)


def empty_no_cown(pool: ThreadPoolExecutor, count: int) -> Work:
    def schedule() -> None:
        for _ in range(count):
            pool.submit(nothing_alone)

    return schedule, lambda: True


def empty_one_cown(pool: ThreadPoolExecutor, count: int) -> Work:
    shared = Guarded(0)

    def schedule() -> None:
        for _ in range(count):
            pool.submit(nothing, shared)

    return schedule, lambda: True


def finish(pool: ThreadPoolExecutor, workers: int) -> None:
    """Wait until all that was submitted is done.

    The queue is first in, first out, so once every thread has come to the
    barrier nothing is left before it. Asking each future would cost more.
    """
    barrier = Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(barrier.wait)
    barrier.wait()


def hold_workers(pool: ThreadPoolExecutor, workers: int) -> Callable[[], None]:
    """Occupy every thread of the pool; what is returned lets them go."""
    ready = Barrier(workers + 1)
    go = Event()

    def hold() -> None:
        ready.wait()
        go.wait()

    for _ in range(workers):
        pool.submit(hold)
    ready.wait()
    return go.set


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
    "queue": one_cown,
}


def main() -> None:
    asked = arguments()
    with ThreadPoolExecutor(asked.workers) as pool:
        end = partial(finish, pool, asked.workers)
        if asked.case in RUNNING:
            prepare = partial(RUNNING[asked.case], pool)
            numbers = timed(prepare, asked.count, end, asked.passes)
        else:
            prepare = partial(HELD[asked.case], pool)
            hold = partial(hold_workers, pool, asked.workers)
            numbers = queued(prepare, asked.count, asked.at_once, hold, end)
        report(asked.count, numbers, {})


if __name__ == "__main__":
    main()
