"""Cowns: places for values, which only their holder can look into."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import boc
from boc import Cown, when
from crossing import Gate, arrived

NOT_HELD = r"only by the behaviour that holds it.*@when\(cown\)"


def in_thread(function):
    """What the function returns or raises on a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(30)


@dataclass
class Shape:
    sides: int


def refused(cown: Cown) -> None:
    with pytest.raises(RuntimeError, match=NOT_HELD):
        cown.value  # noqa: B018
    with pytest.raises(RuntimeError, match=NOT_HELD):
        cown.value = 1
    assert not cown.acquired


@pytest.mark.by_reference("identity")
def test_the_value_is_the_object_itself() -> None:
    value = object()
    cown = Cown(value)
    assert when(cown)(lambda cown: cown.value is value).result()


def test_the_value_is_what_was_given() -> None:
    value = [None, True, 2**70, -1.5, "text", b"bytes", (1, (2,)), {"a": [3]}, {4}, ..., range(5), Shape(6)]
    cown = Cown(value)
    assert when(cown)(lambda cown: cown.value == value and list(map(type, cown.value))).result() == [
        type(one) for one in value
    ]
    with cown as held:
        assert held == value
    assert when(cown)(lambda cown: cown.value).result() == value
    boc.quiesce()
    assert cown.unwrap() == value


def test_what_bodies_change_inside_of_the_value_stays() -> None:
    cown = Cown({"list": [1]})
    for n in range(2, 4):
        boc.whencall(lambda cown, n: cown.value["list"].append(n), [cown], [n])
    with cown as value:
        assert value == {"list": [1, 2, 3]}
        value["list"].append(4)
    assert when(cown)(lambda cown: cown.value).result() == {"list": [1, 2, 3, 4]}


def test_a_body_gets_and_sets_the_value() -> None:
    cown = Cown(1)

    @when(cown)
    def change(cown):
        before = cown.value
        cown.value = [2]
        return before, cown.value, cown.acquired

    assert change.result() == (1, [2], True)
    assert when(cown)(lambda cown: cown.value).result() == [2]


def test_nobody_else_reaches_the_value() -> None:
    cown = Cown(1)
    refused(cown)
    in_thread(lambda: refused(cown))
    # Another behaviour, which has the cown by a closure but did not ask for it.
    when(Cown(2))(lambda _: refused(cown)).result()


def test_the_value_is_out_of_reach_after_the_behaviour() -> None:
    cown = Cown(1)
    kept = when(cown)(lambda cown: cown).result()
    assert kept == cown
    refused(kept)
    # The same worker, too.
    boc.start(1)
    when(cown)(lambda cown: None).result()
    when()(lambda: refused(cown)).result()


def test_a_thread_that_a_body_starts_does_not_hold_its_cowns() -> None:
    cown = Cown(1)
    assert when(cown)(lambda cown: in_thread(lambda: refused(cown))).result() is None


def test_a_failed_body_does_not_keep_its_cowns() -> None:
    cown = Cown(1)
    assert isinstance(when(cown)(lambda cown: 1 / 0).exception, bool)
    refused(cown)
    assert when(cown)(lambda cown: cown.value).result() == 1


def test_the_holder_of_one_cown_does_not_reach_another() -> None:
    one, other = Cown(1), Cown(2)
    with one as value:
        assert value == 1
        refused(other)
    refused(one)


def test_acquire_and_release() -> None:
    cown = Cown(1)
    cown.acquire()
    assert cown.acquired
    cown.value += 1
    in_thread(lambda: refused(cown))
    cown.release()
    refused(cown)
    assert when(cown)(lambda cown: cown.value).result() == 2


def test_acquire_takes_its_turn(gate: Gate) -> None:
    log = Cown([])

    @when(log)
    def first(log):
        gate.wait(30)
        log.value.append("first")

    def acquire():
        with log as entries:
            entries.append("acquired")

    thread = threading.Thread(target=acquire)
    thread.start()
    gate.set()
    thread.join(30)
    assert when(log)(lambda log: log.value).result() == ["first", "acquired"]


def test_behaviours_wait_for_who_acquired_the_cown() -> None:
    cown = Cown(1)
    with cown:
        later = when(cown)(lambda cown: cown.value)
        with pytest.raises(TimeoutError):
            later.result(0.05)
        cown.value = 2
    assert later.result() == 2


def test_the_context_manager_releases_after_an_exception() -> None:
    cown = Cown(1)
    with pytest.raises(ZeroDivisionError), cown:
        1 / 0
    assert not cown.acquired
    assert when(cown)(lambda cown: cown.value).result() == 1


def test_acquiring_twice_is_refused() -> None:
    cown = Cown(1)
    with cown, pytest.raises(RuntimeError, match="holds the cown already"):
        cown.acquire()


@pytest.mark.parametrize("where", ["nobody", "another thread", "a body", "twice"])
def test_only_who_acquired_can_release(where: str) -> None:
    cown = Cown(1)
    message = "only the thread that called acquire"
    if where == "nobody":
        with pytest.raises(RuntimeError, match=message):
            cown.release()
    elif where == "another thread":
        with cown, pytest.raises(RuntimeError, match=message):
            in_thread(cown.release)
    elif where == "a body":
        with pytest.raises(RuntimeError, match=message):
            when(cown)(lambda cown: cown.release()).result()
    else:
        cown.acquire()
        cown.release()
        with pytest.raises(RuntimeError, match=message):
            cown.release()


def test_a_thread_that_ends_does_not_pass_on_what_it_holds() -> None:
    cown = Cown(1)
    holder = threading.Thread(target=cown.acquire)
    holder.start()
    holder.join()
    # The operating system likes to give a new thread the place of the last one.
    for _ in range(20):
        in_thread(lambda: refused(cown))


@pytest.mark.once
def test_cowns_compare_by_identity() -> None:
    one, other = Cown([1]), Cown([1])
    assert one == one and one != other
    assert hash(one) == hash(one)
    assert len({one, other, one}) == 2
    assert (one < other) != (one > other)
    assert one <= one and one >= one and not one < one
    assert sorted([one, other]) == sorted([other, one])
    assert one != 1 and one != None  # noqa: E711
    with pytest.raises(TypeError):
        one < 1  # noqa: B015


def test_cowns_in_bodies_compare_with_those_outside() -> None:
    one, other = Cown([1]), Cown([1])
    order = sorted([one, other])

    @when(other, one)
    def compare(second, first):
        assert first == one and first != other and not first != one
        assert hash(first) == hash(one)
        assert {first: 1, second: 2} == {one: 1, other: 2}
        assert sorted([second, first]) == order
        return first, second

    assert compare.result() == (one, other)
    assert Counter(compare.result()) == Counter([one, other])


@pytest.mark.by_reference("a cown that gets a copy has to look at the value")
def test_comparing_and_showing_does_not_look_at_the_value() -> None:
    class Touchy:
        def __repr__(self):
            raise AssertionError

        __str__ = __hash__ = __eq__ = __lt__ = __repr__

    cown = Cown(Touchy())
    assert "Cown" in repr(cown) and "Cown" in str(cown)
    assert cown == cown and hash(cown) and cown != Cown(Touchy())


def test_repr_says_what_it_is(gate: Gate) -> None:
    assert repr(Cown(1)).startswith("<boc.Cown at 0x")
    pending = when()(lambda: gate.wait(30))
    assert repr(pending).startswith("<boc.Cown pending result at 0x")
    gate.set()
    pending.result()
    assert repr(pending).startswith("<boc.Cown result at 0x")


@pytest.mark.once
@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_cown_cannot_be_copied(copying) -> None:
    for thing in Cown(1), [Cown(1)]:
        if copying is copy.copy and isinstance(thing, list):
            continue
        with pytest.raises(TypeError, match="cannot be pickled or copied: pass the Cown itself"):
            copying(thing)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            pickle.dumps(Cown(1), protocol)


def test_a_cown_in_a_cown() -> None:
    inner = Cown(1)
    outer = Cown(inner)

    @when(outer)
    def through(outer):
        refused(outer.value)
        return when(outer.value)(lambda inner: inner.value)

    assert through.result().result() == 1


@pytest.mark.once
def test_weak_references() -> None:
    cown = Cown(1)
    gone = []
    reference = weakref.ref(cown, lambda _: gone.append(True))
    assert reference() is cown
    del cown
    gc.collect()
    assert reference() is None and gone == [True]


def test_weak_references_to_a_cown_that_behaviours_still_need(gate: Gate) -> None:
    cown = Cown(1)
    reference = weakref.ref(cown)
    last = when(cown)(lambda cown: gate.wait(60) and cown.value)
    del cown
    gc.collect()
    gate.set()
    assert last.result() == 1
    boc.quiesce()
    gc.collect()
    assert reference() is None


@pytest.mark.once
def test_the_class_without_behaviours() -> None:
    assert Cown[int] is not None and Cown.__module__ == "boc"
    for wrong in (), (1, 2):
        with pytest.raises(TypeError):
            Cown(*wrong)
    with pytest.raises(TypeError):
        type("Sub", (Cown,), {})
    with pytest.raises(AttributeError):
        Cown(1).other = 1


def test_a_result_is_of_the_class() -> None:
    assert isinstance(when()(lambda: 1), Cown)
    assert when(Cown(1))(lambda cown: isinstance(cown, Cown) and type(cown) is Cown).result()


def test_the_exception_flag_of_a_plain_cown() -> None:
    cown = Cown(ValueError())
    assert cown.exception is False
    with pytest.raises(RuntimeError, match=NOT_HELD):
        cown.exception = True

    @when(cown)
    def mark(cown):
        cown.exception = True
        return cown.exception

    assert mark.result() is True
    assert cown.exception is True
    boc.quiesce()
    with pytest.raises(ValueError):
        cown.unwrap()


def test_what_is_true_sets_the_exception_flag() -> None:
    cown = Cown(ValueError())
    with cown:
        cown.exception = "yes"
        assert cown.exception is True
        cown.exception = []
        assert cown.exception is False
        with pytest.raises(AttributeError):
            del cown.exception


@pytest.mark.parametrize("value", [7, ValueError, None])
def test_unwrap_of_what_is_said_to_be_an_exception_and_is_not(value: object) -> None:
    cown = Cown(value)

    @when(cown)
    def mark(cown):
        cown.exception = True

    boc.quiesce()
    for _ in range(2):  # nothing is lost
        with pytest.raises(TypeError, match="which is no exception"):
            cown.unwrap()
    assert cown.exception
    with cown:
        cown.exception = False
    assert cown.unwrap() == value


def test_unwrap_of_a_plain_cown() -> None:
    value = ["value"]
    cown = Cown(value)
    assert arrived(cown.unwrap(), value)
    assert cown.unwrap() is None
    with pytest.raises(RuntimeError, match=r"not the result of a behaviour.*@when\(cown\)"):
        cown.result()


def test_unwrap_asks_for_this_cown_alone(gate: Gate) -> None:
    boc.start(2)
    cown = Cown(0)
    busy = when()(lambda: gate.wait(60))
    for n in range(100):
        result = when(cown)(lambda cown, n=n: n)
        assert result.result() == n
        assert cown.unwrap() in (0, None)
        assert result.unwrap() == n
    waiting = when(busy, cown)(lambda busy, cown: 1)
    for used in cown, busy, waiting:
        with pytest.raises(RuntimeError, match="that use the cown"):
            used.unwrap()
    gate.set()
    assert waiting.result() == 1
    assert cown.unwrap() is None and waiting.unwrap() == 1
