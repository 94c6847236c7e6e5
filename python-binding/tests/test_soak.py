"""Half a million behaviours of all kinds, while pools start and stop."""

from __future__ import annotations

import gc
import random
import sys
from pathlib import Path
from typing import Any

import pytest

import boc
from boc import Buffer, Cown, quiesce, start, wait, when, whencall
from measuring import resident

BEHAVIOURS = 500_000
ROUNDS = 50


def count(cown: Cown[int]) -> None:
    cown.value += 1


def move(source: Cown[int], target: Cown[int]) -> None:
    source.value -= 1
    target.value += 1


def note(cown: Cown[dict[str, Any]], key: str, value: Any) -> None:
    cown.value[key] = value


def spread(cown: Cown[int], others: list[Cown[int]]) -> None:
    for other in others:
        when(other)(count)
    cown.value += len(others)


def fail(cown: Cown[int]) -> None:
    cown.value += 1
    raise ValueError("sorry")


def write(cown: Cown[Buffer], number: int) -> None:
    cown.value[0] = number % 256


class Account:
    def __init__(self) -> None:
        self.seen: list[str] = []


def see(cown: Cown[Account], name: str) -> int:
    cown.value.seen = [*cown.value.seen[-5:], name]
    return len(cown.value.seen)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_everything_at_once() -> None:
    dice = random.Random(1)
    counters = [Cown(0) for _ in range(50)]
    notes = [Cown[dict[str, Any]]({}) for _ in range(10)]
    buffers = [Cown(Buffer(100)) for _ in range(5)]
    accounts = [Cown(Account()) for _ in range(5)]
    expected, memory = 0, 0
    for turn in range(ROUNDS):
        start(dice.randint(1, 3))
        for number in range(BEHAVIOURS // ROUNDS):
            kind = dice.random()
            if kind < 0.6:
                when(dice.choice(counters))(count)
                expected += 1
            elif kind < 0.9:
                when(*dice.sample(counters, 2))(move)
            elif kind < 0.94:
                whencall(note, [dice.choice(notes)], [str(number % 50), [number, "text", None]])
            elif kind < 0.97:
                one, *others = dice.sample(counters, 4)
                when(one, others)(lambda one, others: spread(one, []))
                when(one)(lambda one, others=others: spread(one, others))
                expected += 2 * len(others)
            elif kind < 0.98:
                whencall(write, [dice.choice(buffers)], [number])
            elif kind < 0.99:
                result = whencall(see, [dice.choice(accounts)], [f"{turn}/{number}"])
                when(result)(lambda result: None)
            else:
                result = when(dice.choice(counters))(fail)
                when(result)(lambda result: result.exception)
                expected += 1
            if number % 2000 == 0:
                quiesce(120)
        wait(120)
        if turn == ROUNDS // 2:
            gc.collect()
            memory = resident()
    assert sum(cown.unwrap() for cown in counters) == expected
    assert all(len(cown.unwrap()) <= 50 for cown in notes)
    assert all(len(cown.unwrap().seen) <= 6 for cown in accounts)
    assert boc.stats() == [] and sys.exc_info() == (None, None, None)
    gc.collect()
    # Some 300 bytes for each behaviour.
    assert resident() - memory < 75_000
