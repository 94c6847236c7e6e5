"""Memory: what has been done leaves nothing behind."""

from __future__ import annotations

import gc
import sys

import pytest

from boc import Cown, quiesce, start, wait, when, whencall
from measuring import resident


def one_round() -> None:
    cowns = [Cown([n]) for n in range(20)]

    def work(a, b, rest, n=None):
        a.value.append(n)
        del a.value[:-5]
        if n % 50 == 0:
            raise ValueError(n)
        return [n, b, rest]

    results = []
    for n in range(300):
        some = cowns[n % 20], cowns[(n + 7) % 20], cowns[n % 3 : 9]
        results.append(whencall(work, some, [n]))
    when(results)(lambda results: None).result()
    assert sum(result.exception for result in results) == 6


@pytest.mark.parametrize("stop", [False, True], ids=["one runtime", "start and stop"])
def test_memory_does_not_grow(stop: bool) -> None:
    def rounds(count):
        for _ in range(count):
            one_round()
            if stop:
                wait()
        gc.collect()

    rounds(30)
    blocks, memory = sys.getallocatedblocks(), resident()
    rounds(60)
    assert resident() - memory < 6_000
    # Not counted on free-threaded builds.
    assert sys.getallocatedblocks() - blocks < 2_000


def count(cown: Cown[int]) -> None:
    cown.value += 1


def test_a_thousand_pools() -> None:
    """Neither their threads nor their interpreters leave anything, nor what behaviours have referred to."""
    cown = Cown(0)

    def pools(number: int) -> None:
        for _ in range(number):
            start(worker_count=2)
            when(cown)(count)
            wait()
        gc.collect()

    pools(50)
    blocks, memory, references = sys.getallocatedblocks(), resident(), sys.getrefcount(count)
    pools(1_000)
    assert resident() - memory < 6_000
    # Not counted on free-threaded builds.
    assert sys.getallocatedblocks() - blocks < 2_000
    assert sys.getrefcount(count) - references < 10
    assert cown.unwrap() == 1_050


def test_large_values_are_freed() -> None:
    size = 2_000_000

    def body(cown, capture):
        assert len(cown.value) == len(capture) == size
        cown.value += b"more"
        return capture

    def rounds(count):
        for n in range(count):
            # Not zeros, which would take no memory.
            result = whencall(body, [Cown(b"%d" % (n % 10) * size)], [b"x" * size])
            assert len(result.result()) == size
        del result
        quiesce()
        gc.collect()

    # What was freed on another thread is not given back at once.
    rounds(60)
    memory = resident()
    rounds(150)
    # One of the values, each time, would make three hundred thousand.
    assert resident() - memory < 150_000
