"""Readers in C beside readers in Python: a value that has a buffer is there for all of them."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any

import pytest

import boc
from boc import Buffer, Cown, read, when
from crossing import Gate, Meeting

# Bodies of C run in the main interpreter whatever the backend, so what they call may be a function of this module.

LIMIT = 60.0


def value() -> dict[str, Any]:
    return {"buffer": Buffer(b"abc"), "number": 5}


def looked_at(value: Any) -> tuple[bytes, int]:
    """What is in there; `None` stands for NULL."""
    assert type(value) is dict, value
    return bytes(value["buffer"]), value["number"]


SEEN = (b"abc", 5)


def in_python(cown: Cown[Any], met: Callable[[], object]) -> Cown[tuple[bytes, int]]:
    """A reader in Python, which meets somebody while it has the value."""

    def look(cown: Cown[Any]) -> tuple[bytes, int]:
        value = cown.value
        met()
        assert bytes(cown.value["buffer"]) == bytes(value["buffer"])
        return bytes(value["buffer"]), value["number"]

    return when(read(cown))(look)


def in_c(probe: Any, cown: Cown[Any], met: Callable[[], object]) -> Cown[tuple[bytes, int]]:
    """A reader in C, which looks at what it was given before it meets somebody, and again afterwards.

    In between it has no reference of its own.
    """
    calls = itertools.count()

    def look(value: Any) -> tuple[bytes, int]:
        assert looked_at(value) == SEEN
        del value
        if next(calls) == 0:
            met()
            gc.collect()
        return SEEN

    return probe.python_when(look, [cown], "r", "again")


def change_and_look(probe: Any, cown: Cown[Any]) -> None:
    """Writers of both kinds find it, and so do the readers behind them."""

    @when(cown)
    def change(cown: Cown[Any]) -> bytes:
        cown.value["buffer"][0] = ord("x")
        cown.value["number"] += 1
        return bytes(cown.value["buffer"])

    def change_in_c(value: Any) -> bytes:
        value["buffer"][1] = ord("y")
        return bytes(value["buffer"])

    changed_in_c = probe.python_when(change_in_c, [cown])
    looks = [
        when(read(cown))(lambda cown: (bytes(cown.value["buffer"]), cown.value["number"])),
        probe.python_when(looked_at, [cown], "r"),
    ]
    assert (change.result(LIMIT), changed_in_c.result(LIMIT)) == (b"xbc", b"xyc")
    assert [look.result(LIMIT) for look in looks] == [(b"xyc", 6)] * 2


@pytest.mark.parametrize("where", ["new", "back from a worker"])
class TestBoth:
    @pytest.fixture
    def cown(self, where: str) -> Cown[Any]:
        boc.start(4)
        cown = Cown(value())
        if where != "new":
            when(cown)(lambda cown: cown.value["number"]).result(LIMIT)
        return cown

    def test_one_in_python_while_one_in_c_looks(self, probe, cown: Cown[Any], gate: Gate) -> None:
        entered = Gate()

        def met() -> None:
            entered.set()
            assert gate.wait(LIMIT)

        of_c = in_c(probe, cown, met)
        assert entered.wait(LIMIT)
        assert in_python(cown, lambda: None).result(LIMIT) == SEEN
        boc.when(read(cown))(lambda cown: cown.value["number"]).result(LIMIT)
        gate.set()
        assert of_c.result(LIMIT) == SEEN
        change_and_look(probe, cown)

    def test_one_in_c_while_one_in_python_looks(self, probe, cown: Cown[Any], gate: Gate) -> None:
        entered = Gate()

        def look(cown: Cown[Any]) -> bytes:
            value = cown.value
            entered.set()
            assert gate.wait(60)
            return bytes(value["buffer"])

        of_python = when(read(cown))(look)
        assert entered.wait(LIMIT)
        for _ in range(2):
            assert in_c(probe, cown, lambda: None).result(LIMIT) == SEEN
        gate.set()
        assert of_python.result(LIMIT) == b"abc"
        change_and_look(probe, cown)

    @pytest.mark.parametrize("order", ["cpcp", "pcpc", "ccpp", "ppcc"])
    def test_all_at_once(self, probe, cown: Cown[Any], order: str) -> None:
        meeting = Meeting(4)
        of = {"c": lambda: in_c(probe, cown, meeting.wait), "p": lambda: in_python(cown, meeting.wait)}
        results = [of[kind]() for kind in order]
        assert [result.result(LIMIT) for result in results] == [SEEN] * 4
        change_and_look(probe, cown)

    def test_a_writer_waits_for_both(self, probe, cown: Cown[Any], gate: Gate) -> None:
        meeting = Meeting(3)

        def met() -> None:
            meeting.wait()
            assert gate.wait(60)

        results = [in_c(probe, cown, met), in_python(cown, met)]
        meeting.wait()

        @when(cown)
        def clear(cown: Cown[Any]) -> bytes:
            buffer, cown.value = cown.value["buffer"], None
            return bytes(buffer)

        behind = probe.python_when(lambda value: value, [cown], "r")
        assert not clear.done()
        gate.set()
        assert [result.result(LIMIT) for result in results] == [SEEN] * 2
        assert clear.result(LIMIT) == b"abc"
        assert behind.result(LIMIT) is None
