"""Workers with interpreters of their own: everything crosses as a copy, except cowns.

What both backends promise is tested elsewhere; here is what copies mean for a program.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import gc
import os
import pathlib
import re
import sys
import weakref
import zoneinfo

import pytest

import boc
from boc import Cown, quiesce, wait, when, whencall
from crossing import Gate, Log, works

pytestmark = pytest.mark.by_value


# What there is to copy.


@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0


class Slotted:
    __slots__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return type(other) is Slotted and other.n == self.n


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Text(str):
    pass


class Number(int):
    pass


class Dict(dict):
    pass


Pair = collections.namedtuple("Pair", ["one", "two"])

DATES = [
    *(datetime.datetime(2020, 2, 29), datetime.date(2020, 2, 29), datetime.timedelta(1, 2, 3)),
    *(datetime.time(1, 2, 3, 4, fold=1), datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)),
    *(datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=2))),
    datetime.timezone(datetime.timedelta(hours=2), "name"),
]

VALUES = [
    *(None, True, False, 0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**1000),
    *(0.0, 1e308, float("inf"), 1j, ..., NotImplemented),
    *("", "text", "\0", "äöü €", "\U0001f600", "\ud800", b"", b"\0\xff", bytearray(b"bytes")),
    *((), (1,), ((), ((),)), [], [[]], {}, {"a": {1: None}}, set(), {1, 2}, frozenset({3})),
    *(range(3), slice(1, 2, 3), Number(5), Text("text"), Dict(a=1), Pair(1, [2])),
    *(Point(1, 2), [Point(3)], Slotted(4), Colour.RED, {Colour.GREEN: Point(5)}),
    *(int, Point, Colour, len, os.path.join, works, Cown, ValueError),
    *(collections.OrderedDict(b=1, a=2), collections.Counter("abca"), collections.deque([1], 2)),
    *(decimal.Decimal("1.10"), *DATES),
    *(pathlib.PurePosixPath("a/b"), re.compile("a+", re.I), type(None), type(...)),
    [sys, os.path],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_arrive_as_what_they_are(value: object) -> None:
    @when(Cown(value))
    def compare(cown, default=value):
        # The closure, the default value and the cown's value are three ways to cross.
        for one in value, default:
            assert type(cown.value) is type(one) and cown.value == one
        return cown.value

    got = compare.result()
    assert type(got) is type(value) and got == value


def test_dates_of_a_worker_are_those_of_the_program() -> None:
    """Also where the worker has the classes that are written in Python alone."""

    @when()
    def make():
        class Zone(datetime.tzinfo):
            def utcoffset(self, when):
                return datetime.timedelta(hours=1)

        zone = datetime.timezone(datetime.timedelta(hours=2), "name")
        return datetime.datetime(2020, 2, 29, fold=1, tzinfo=zone), datetime.datetime(1, 1, 1, tzinfo=Zone())

    named, own = make.result()
    zone = datetime.timezone(datetime.timedelta(hours=2), "name")
    assert named == datetime.datetime(2020, 2, 29, tzinfo=zone)
    assert type(named.tzinfo) is datetime.timezone and named.tzname() == "name" and named.fold == 1
    assert own - datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc) == datetime.timedelta(hours=-1)
    assert isinstance(own.tzinfo, datetime.tzinfo)


def test_time_zones() -> None:
    key = min(zoneinfo.available_timezones(), default=None)
    if key is None:
        pytest.skip("this machine has no database of time zones")
    zone = zoneinfo.ZoneInfo(key)

    @when()
    def body():
        return zoneinfo.ZoneInfo(key) is zone, datetime.datetime(2020, 2, 29, tzinfo=zone)

    is_cached, got = body.result()
    assert is_cached
    assert got == datetime.datetime(2020, 2, 29, tzinfo=zone) and got.tzinfo is zone


def test_what_arrives_is_a_copy() -> None:
    value = [[1]]
    cown = Cown(value)
    first, second = when(cown)(lambda cown: cown.value).result(), when()(lambda: value).result()
    assert first == second == value
    assert len({id(one) for one in (value, first, second)}) == 3
    assert len({id(one[0]) for one in (value, first, second)}) == 3
    with cown as held:
        assert held == value and held is not value


def test_floats_arrive_bit_by_bit() -> None:
    got = when()(lambda: [float("nan"), -0.0, 0.1 + 0.2, 5e-324]).result()
    assert repr(got) == "[nan, -0.0, 0.30000000000000004, 5e-324]"
    numbers = [float("nan"), -0.0]
    assert when()(lambda: repr(numbers)).result() == "[nan, -0.0]"


def test_one_object_in_two_places_of_a_value_stays_one() -> None:
    shared, loop = [1], []
    loop.append(loop)
    both = [shared, {"again": shared}, loop]

    @when(Cown(both))
    def body(cown):
        for one in cown.value, both:
            assert one[0] is one[1]["again"] and one[2][0] is one[2]
        return cown.value

    got = body.result()
    assert got[0] is got[1]["again"] and got[0] is not shared and got[2][0] is got[2]


def test_large_values() -> None:
    data = bytes(range(256)) * 100_000
    numbers = list(range(200_000))

    @when(Cown(data), Cown(numbers))
    def body(one, other):
        return one.value[::-1], len(other.value)

    assert body.result() == (data[::-1], len(numbers))


def test_values_that_are_nested_too_deeply_are_refused() -> None:
    deep: list = []
    for _ in range(200_000):
        deep = [deep]
    try:
        with pytest.raises((RecursionError, TypeError)):
            when()(lambda: deep and 1).result()
    finally:
        while deep:  # one level after the other, for the sake of the stack
            deep = deep[0]
    works()


def test_functions_as_values() -> None:
    offset = 10

    def inner(n):
        return n + offset

    @when(Cown(inner))
    def body(cown):
        return cown.value(1), inner, lambda n: inner(n) * 2, functools.partial(pow, 2)

    number, same, doubled, power = body.result()
    assert (number, same(2), doubled(3), power(5)) == (11, 12, 26, 32)


def test_local_classes_are_the_same_class_when_they_come_back() -> None:
    @dataclasses.dataclass
    class Local:
        n: int

        def twice(self):
            return Local(self.n * 2)

    class Derived(Local):
        def twice(self):
            return super().twice()

    class Shade(enum.Enum):
        DARK = 1

    assert when(Cown(Local(1)))(lambda cown: cown.value.twice()).result() == Local(2)
    got = when()(lambda: [Local(3), Derived(4), Shade.DARK]).result()
    assert got[0] == Local(3) and type(got[1]) is Derived and isinstance(got[1], Local)
    assert got[1].twice() == Local(8)
    assert got[2] is Shade.DARK
    assert when()(lambda: isinstance(Derived(1), Local) and Derived).result() is Derived


# When copies are taken.


def test_closures_are_taken_when_scheduled(gate: Gate) -> None:
    numbers, n = [1], 1

    @when()
    def body():
        gate.wait(60)
        numbers.append(n)
        return numbers

    numbers.append(2)
    n = 5
    gate.set()
    assert body.result() == [1, 1]
    assert (numbers, n) == ([1, 2], 5)


def test_captures_are_taken_when_scheduled(gate: Gate) -> None:
    numbers = [1]

    @when()
    def body(numbers=numbers, *, more=numbers):
        gate.wait(60)
        return numbers, more

    other = whencall(lambda numbers: gate.wait(60) and numbers, [], [numbers])
    numbers.append(2)
    gate.set()
    assert body.result() == ([1], [1])
    assert other.result() == [1]


def test_later_changes_of_what_a_cown_was_made_of_are_not_seen(gate: Gate) -> None:
    numbers = [1]
    cown = Cown(numbers)
    result = when(cown)(lambda cown: gate.wait(60) and cown.value)
    numbers.append(2)
    gate.set()
    assert result.result() == [1]


def test_each_behaviour_gets_a_copy_of_its_own() -> None:
    boc.start(1)
    kept: list = []

    def body(cown, box=[], *, other=[]):  # noqa: B006
        for one in box, other, kept:
            one.append(1)
        return len(box), len(other), len(kept)

    schedule = when(Cown(0))
    assert [schedule(body).result() for _ in range(3)] == [(1, 1, 1)] * 3
    assert body.__defaults__ == ([],) and kept == []


def test_a_function_whose_closure_changes_is_not_the_one_that_was_sent_before() -> None:
    boc.start(1)
    n = 0

    def body():
        return n

    def deeper():
        return body()

    results = []
    for n in range(5):  # noqa: B007
        results += when()(body), when()(deeper)
    assert [result.result() for result in results] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_what_was_copied_is_not_kept(gate: Gate) -> None:
    boc.start(1)
    point = Point(1)
    ended = weakref.finalize(point, lambda: None)
    result = when()(lambda: gate.wait(60) and point)
    del point
    gc.collect()
    # The variable is the test's and the lambda's; neither has a value any more.
    assert not ended.alive
    gate.set()
    assert result.result() == Point(1)


# Cowns are themselves wherever they are.


def test_a_cown_is_the_same_wherever_it_is() -> None:
    cown, other = Cown(1), Cown(2)
    places = {"list": [cown], "dict": {cown: cown}, "tuple": (cown, (cown,)), "point": Point(cown)}

    @when(Cown(places), other)
    def body(holder, second, *, default=cown):
        found = holder.value
        assert found == places and default == cown
        assert found["list"][0] == found["dict"][cown] == found["point"].x == cown != second
        assert second == other
        when(found["tuple"][1][0])(lambda cown: setattr(cown, "value", cown.value + 10))
        return {"result": [cown, {second}], "partial": functools.partial(max, cown)}

    got = body.result()
    assert got["result"] == [cown, {other}] and got["partial"].args == (cown,)
    quiesce()
    assert cown.unwrap() == 11


def test_a_cown_in_its_own_value() -> None:
    cown = Cown(None)
    when(cown)(lambda cown: setattr(cown, "value", {"me": cown})).result()
    assert when(cown)(lambda cown: cown.value["me"] == cown).result()
    with cown as value:
        assert value == {"me": cown}


def test_a_cown_in_an_exception() -> None:
    cown = Cown(7)

    @when()
    def body():
        raise LookupError("here", cown)

    with pytest.raises(LookupError) as caught:
        body.result()
    assert caught.value.args == ("here", cown)


def test_cowns_outlive_the_worker_that_made_them() -> None:
    made = when()(lambda: [Cown([n]) for n in range(3)])
    inner = when()(lambda: when()(lambda: Cown({"a": 1})))
    quiesce()
    wait()
    assert boc.stats() == []
    cowns = made.result()
    with cowns[1] as value:
        assert value == [1]
    assert when(cowns)(lambda cowns: [cown.value for cown in cowns]).result() == [[0], [1], [2]]
    assert when(inner.result().result())(lambda cown: cown.value).result() == {"a": 1}


def test_nobody_reaches_the_value_of_a_cown_that_crossed() -> None:
    cown = Cown(1)

    def reach():
        try:
            return cown.value
        except RuntimeError as error:
            return str(error)

    assert "only by the behaviour that holds it" in when()(reach).result()
    kept = when(cown)(lambda cown: cown).result()
    with pytest.raises(RuntimeError, match="only by the behaviour that holds it"):
        kept.value  # noqa: B018


# Scheduling in behaviours.


def test_behaviours_schedule_with_what_they_have_made() -> None:
    cown = Cown([])

    @when(cown)
    def outer(held):
        class Local:
            def __init__(self, n):
                self.n = n

        made, local = Cown(Local(1)), Local(2)

        @when(made, cown)
        def inner(made, held):
            held.value.append(made.value.n + local.n)
            made.value = Local(made.value.n + 3)

            @when(made)
            def innermost(made):
                return made.value.n, local.n

            return innermost

        return inner, made

    inner, made = outer.result()
    assert inner.result().result() == (4, 2)
    assert when(cown)(lambda cown: cown.value).result() == [3]
    assert when(made)(lambda made: made.value.n).result() == 4


def test_results_are_cowns_in_workers_too() -> None:
    first = when()(lambda: [1])

    @when(first)
    def second(first):
        third = when(first)(lambda same: same.value + [3])
        return first.result() + [2], third

    numbers, third = second.result()
    assert numbers == [1, 2] and third.result() == [1, 3]

    @when()
    def chain():
        failed = when()(lambda: {}["key"])
        return when(failed)(lambda failed: (failed.exception, type(failed.value).__name__))

    assert chain.result().result() == (True, "KeyError")


def test_what_a_worker_schedules_is_in_order_with_what_others_do(log: Log) -> None:
    cown = Cown(0)

    @when(cown)
    def body(held):
        for n in range(5):
            when(cown)(lambda cown, n=n: log.append(n))
        log.append("body")

    quiesce()
    when(cown)(lambda cown: log.append("last")).result()
    assert list(log) == ["body", 0, 1, 2, 3, 4, "last"]
