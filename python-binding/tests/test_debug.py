"""The debug mode: who else can reach what a behaviour holds."""

from __future__ import annotations

import contextvars
import io
import os
import queue
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import boc
from boc import AliasWarning, Cown, when

EXAMPLES = Path(__file__).parent.parent / "examples"

copies = pytest.mark.by_reference("copies have no other references")

elsewhere: list[Any] = []
a_global: list[int] = [1]


@pytest.fixture(autouse=True)
def debugging() -> Iterator[None]:
    boc.start(2, debug=True)
    yield
    elsewhere.clear()


class Slots:
    __slots__ = ("inside",)

    def __init__(self) -> None:
        self.inside: list[Any] = []


class Attributes:
    def __init__(self, inside: Any) -> None:
        self.inside = inside


@dataclass(frozen=True)
class Frozen:
    number: int


def told(cown: Cown[Any], body: Callable[[Cown[Any]], Any]) -> list[str]:
    """What is said of a behaviour."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        when(cown)(body).result()
    assert all(warning.category is AliasWarning for warning in caught)
    return [str(warning.message) for warning in caught]


@copies
def test_a_value_that_escapes_is_told_of() -> None:
    cown: Cown[list[int]] = Cown([])

    def leave(cown: Cown[list[int]]) -> None:
        elsewhere.append(cown.value)

    (said,) = told(cown, leave)
    assert said.startswith(
        "at the end of the behaviour test_a_value_that_escapes_is_told_of.<locals>.leave() others can reach "
        f"what {cown!r} holds: its .value, an object of type list, is also referred to by a list of 1"
    )
    assert said.endswith("put a copy into the cown, or keep no other reference")


@copies
def test_it_points_to_the_behaviour() -> None:
    cown = Cown(a_global)
    with pytest.warns(AliasWarning) as caught:

        @when(cown)
        def body(cown: Cown[list[int]]) -> None:
            pass

        line = body.result.__self__ is body and sys._getframe().f_lineno  # type: ignore[attr-defined]
        body.result()
    assert caught[0].filename == __file__ and line - 5 <= caught[0].lineno < line


@copies
@pytest.mark.parametrize(
    "make, way",
    [
        (lambda inner: inner, ".value"),
        (lambda inner: [1, inner], ".value[1]"),
        (lambda inner: (1, (2, inner)), ".value[1][1]"),
        (lambda inner: {"rows": inner}, ".value['rows']"),
        (lambda inner: Attributes({"x": inner}), ".value.inside['x']"),
    ],
)
def test_the_way_to_it_is_told(make: Callable[[Any], Any], way: str) -> None:
    cown = Cown(make(a_global))
    (said,) = told(cown, lambda cown: None)
    assert f"its {way}, an object of type list, is also referred to by the global variable 'a_global'" in said


@copies
def test_slots_are_looked_into() -> None:
    made = Slots()
    made.inside = a_global
    cown = Cown(made)
    del made
    (said,) = told(cown, lambda cown: None)
    assert "its .value.inside, an object of type list" in said


@copies
def test_who_holds_it_is_told() -> None:
    in_a_closure = [1]
    cown = Cown(in_a_closure)

    def body(cown: Cown[list[int]]) -> None:
        in_a_closure.append(2)

    (said,) = told(cown, body)
    assert "the variable 'in_a_closure' that the function" in said and "body() closes over" in said

    holder = Attributes([1])
    (said,) = told(Cown(holder.inside), lambda cown: None)
    assert "the attribute 'inside' of an object of type Attributes" in said or "a dict, under 'inside'" in said

    (said,) = told(Cown(bytearray(3)), lambda cown: cown.value)
    assert "what the behaviour returns, which is the value of its result as well" in said

    (said,) = told(Cown([[]]), lambda cown: [cown.value[0]])
    assert "what the behaviour returns" in said


@copies
def test_two_cowns_with_one_value() -> None:
    shared: list[int] = []
    one, other = Cown(shared), Cown(shared)
    del shared
    with pytest.warns(AliasWarning, match="which the behaviour holds as well"):
        when(one, other)(lambda one, other: None).result()


def test_what_has_one_way_is_not_told_of() -> None:
    cown: Cown[Any] = Cown([1, {"a": [2]}, ({3}, [4])])

    def work(cown: Cown[Any]) -> int:
        # Cycles, sharing inside, and garbage that refers to it.
        cown.value.append(cown.value[1])
        cown.value[1]["self"] = cown.value
        garbage: list[Any] = [cown.value]
        garbage.append(garbage)

        def recursive(depth: int) -> Any:
            return recursive(depth - 1) if depth else cown.value

        recursive(2)
        return len(cown.value)

    assert told(cown, work) == []
    assert told(cown, lambda cown: len(cown.value)) == []


def test_what_never_changes_is_not_told_of() -> None:
    shared = ["text", 10**30, 1.5, b"bytes", (1, 2), frozenset((3,)), Frozen(4), threading, len, int]
    elsewhere.extend(shared)
    cown = Cown(shared[:7])
    del shared
    assert told(cown, lambda cown: None) == []


def test_cowns_and_locks_are_there_to_be_shared() -> None:
    inner = Cown([1])
    elsewhere.append(inner)
    # Not in the `assert`, for which pytest would keep the list.
    cown = Cown([inner, {"inner": inner}])
    assert told(cown, lambda cown: None) == []


def test_results_that_nobody_else_has() -> None:
    result = when()(lambda: [1])
    assert told(result, lambda result: result.value.append(2)) == []
    assert told(result, lambda result: result.value.append(3)) == []
    assert len(result.result()) in (1, 3)


@copies
def test_it_is_told_once() -> None:
    def body(cown: Cown[list[int]]) -> None:
        pass

    assert len(told(Cown(a_global), body)) == 1
    assert told(Cown(a_global), body) == []


@copies
def test_it_can_be_an_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", AliasWarning)

        @when(Cown(a_global))
        def body(cown: Cown[list[int]]) -> None:
            pass

        with pytest.raises(AliasWarning, match="a_global"):
            body.result()


def test_failures_stay_as_they_are() -> None:
    @when(Cown([1]))
    def fails(cown: Cown[list[int]]) -> None:
        elsewhere.append(cown.value)
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fails.result()


@copies
def test_it_is_off_without_being_asked_for() -> None:
    boc.wait()
    boc.start(2)
    assert told(Cown(a_global), lambda cown: None) == []


@pytest.mark.by_value
def test_a_behaviour_is_asked_what_it_leaves() -> None:
    @when(Cown([]))
    def leaves(cown: Cown[list[Any]]) -> None:
        cown.value.append(threading.Lock())

    with pytest.raises(TypeError, match="lock"):
        leaves.result()


@pytest.mark.parametrize("wrong", [1, "yes"])
def test_debug_is_a_bool(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"debug must be a bool or None, not {type(wrong).__name__}"):
        boc.start(debug=wrong)


@pytest.mark.parametrize("value, found", [("1", True), ("0", False), ("", False)])
@copies
def test_by_the_environment(value: str, found: bool) -> None:
    program = """
from boc import Cown, when, wait
shared = [1]
when(Cown(shared))(lambda cown: None)
wait()
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "BOC_DEBUG": value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ("AliasWarning" in ran.stderr) is found


@pytest.mark.parametrize(
    "command", [["bank.py", "--accounts", "20", "--transfers", "300"], ["scan.py", str(EXAMPLES), "--no-progress"]]
)
def test_examples_are_clean(command: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", EXAMPLES / command[0], *command[1:]],
        env={**os.environ, "BOC_DEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert ran.returncode == 0, ran.stderr


class Countdown:
    """Refers to itself by functions and methods."""

    def __init__(self) -> None:
        self.left = [3]
        self.step = lambda: self.left.append(1)
        self.add = self.left.append
        self.method = self.method_

    def method_(self) -> None:
        pass


@pytest.mark.by_reference("cannot be copied")
def test_ways_inside_of_a_value_are_no_ways_around() -> None:
    cown = Cown(Countdown())
    assert told(cown, lambda cown: cown.value.step()) == []
    numbers: list[int] = []
    pair = Cown({"numbers": numbers, "add": numbers.append})
    del numbers
    assert told(pair, lambda pair: pair.value["add"](1)) == []


@pytest.mark.by_reference("cannot be copied")
def test_what_is_made_to_be_shared_is_not_told_of() -> None:
    shared = [threading.Event(), queue.Queue(), contextvars.ContextVar("x"), io.BytesIO(), list.append, dict.get]
    elsewhere.extend(shared)
    cown = Cown(shared)
    del shared
    assert told(cown, lambda cown: None) == []


@copies
def test_results_that_have_failed_are_not_told_of() -> None:
    def fail() -> None:
        raise ValueError("on purpose")

    failed = when()(fail)
    assert told(failed, lambda failed: failed.exception) == []
    assert told(failed, lambda failed: None) == []
    caught = Cown([])

    def catch(caught: Cown[list[Any]]) -> None:
        try:
            fail()
        except ValueError as error:
            caught.value.append(error)

    assert told(caught, catch) == []


@copies
def test_what_is_pinned_is_for_one_thread() -> None:
    pinned = boc.PinnedCown(a_global)
    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")
        when(pinned)(lambda pinned: None).result()
    assert caught_warnings == []


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("has no text")

    @property
    def __class__(self) -> Any:
        raise RuntimeError("has no class")


@copies
def test_objects_that_raise_end_nothing() -> None:
    made = Odd()
    proxy = weakref.proxy(Frozen(1))
    cown = Cown({made: a_global, "proxy": proxy, "odd": [made]})
    result = when(cown)(lambda cown: "done")
    assert result.result() == "done"


@copies
def test_what_is_changed_meanwhile_ends_nothing() -> None:
    """That another thread does so is the fault that is looked for."""
    shared = {n: [n] for n in range(1_000)}
    cown = Cown({"shared": shared})
    over = threading.Event()

    def change() -> None:
        n = 1_000
        while not over.is_set():
            shared[n] = [n]
            del shared[n]
            n += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = [when(cown)(lambda cown, n=n: n) for n in range(30)]
            assert [result.result() for result in results] == list(range(30))
    finally:
        over.set()
        thread.join()
