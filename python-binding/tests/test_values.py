"""Values that go to another interpreter, there and back."""

from __future__ import annotations

import collections
import copy
import dataclasses
import enum
import functools
import gc
import io
import math
import pickle
import random
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boc._boc import Parcel
from measuring import growth


def crossed(value: Any) -> Any:
    return Parcel(value).open()


def shape(value: Any) -> object:
    """The structure of a value: the same for two values if nobody can tell them apart.

    Each container, text and so on has the number of the place where it was met first. Numbers, and
    what the interpreter keeps once, have none.
    """
    numbers: dict[int, int] = {}
    kept = []

    def walk(part: Any) -> object:
        kind = type(part)
        if kind is float:
            return (kind, struct.pack("d", part))
        if kind in (type(None), bool, int):
            return (kind, part)
        if kind in (str, bytes) and len(part) < 2 or part == ():
            return (kind, part)
        if id(part) in numbers:
            return ("again", numbers[id(part)])
        numbers[id(part)] = len(numbers)
        kept.append(part)
        if kind is complex:
            return (kind, struct.pack("dd", part.real, part.imag))
        if kind in (tuple, list):
            return (kind, tuple(walk(item) for item in part))
        if kind is dict:
            return (kind, tuple((walk(key), walk(item)) for key, item in part.items()))
        return (kind, part)

    return walk(value)


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**700), 2**700)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda keys: st.lists(keys, max_size=3).map(tuple),
    max_leaves=4,
)
VALUES = st.recursive(
    ATOMS,
    lambda values: (
        st.lists(values, max_size=6)
        | st.lists(values, max_size=6).map(tuple)
        | st.dictionaries(KEYS, values, max_size=6)
    ),
    max_leaves=30,
)


@given(VALUES)
@example([0, -1, 127, 128, -128, -129, 2**31, -(2**31), 2**31 - 1])
@example([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
@example([0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, complex(-0.0, math.nan)])
@example(["", "a", "é", "ä" * 300, "\ud800", "x\udcff", "\0\0"])
@example(["日本", "日本" * 200, "😀", "😀\ud800" * 100])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert shape(crossed(value)) == shape(value)


@pytest.mark.parametrize("size", [0, 1, 253, 254, 255, 256, 65_535, 65_536, 100_000])
@pytest.mark.parametrize("make", [
    lambda size: "a" * size,
    lambda size: "€" * size,
    lambda size: "😀" * size,
    lambda size: b"\xff" * size,
    lambda size: tuple(range(size)),
    lambda size: list(range(size)),
    lambda size: dict.fromkeys(range(size)),
    lambda size: {str(key): [key] for key in range(size)},
])  # fmt: skip
def test_every_length(make: Callable[[int], Any], size: int) -> None:
    value = make(size)
    came = crossed(value)
    assert type(came) is type(value)
    assert came == value
    if isinstance(value, dict):
        assert list(came) == list(value)


@pytest.mark.parametrize("exponent", [62, 63, 64, 65, 127, 128, 1000, 40_000])
def test_large_integers(exponent: int) -> None:
    for number in (2**exponent - 1, 2**exponent, 2**exponent + 1):
        assert crossed([number, -number]) == [number, -number]


class Graph:
    """A random value with sharing and cycles."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.made: list[Any] = ["shared text", b"shared bytes", ("a", "tuple"), 1j]

    def make(self, depth: int) -> Any:
        kind = self.random.randrange(8 if depth else 3)
        if kind == 0:
            return self.random.choice([None, True, 5, 2**80, 1.5, f"text {self.random.random()}"])
        if kind in (1, 2):
            return self.random.choice(self.made)
        count = range(self.random.randrange(5))
        if kind in (3, 4):
            items: list[Any] = []
            self.made.append(items)
            items.extend(self.make(depth - 1) for _ in count)
            return items
        if kind == 5:
            done = tuple(self.make(depth - 1) for _ in count)
            self.made.append(done)
            return done
        pairs: dict[Any, Any] = {}
        self.made.append(pairs)
        for _ in count:
            key = self.random.choice(["shared key", "k" * self.random.randrange(9), 7, ("key", 1)])
            pairs[key] = self.make(depth - 1)
        return pairs


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_what_was_one_object_is_one_object(seed: int) -> None:
    value = Graph(seed).make(6)
    before = shape(value)
    assert shape(crossed(value)) == before
    # Twice across is no different.
    assert shape(crossed(crossed(value))) == before
    # Nor is it different from what pickle and deepcopy do, which treat some constants otherwise.
    assert shape(pickle.loads(pickle.dumps(value, 5))) == before


def test_cycles() -> None:
    items: list[Any] = [1]
    items.append(items)
    came = crossed(items)
    assert came[1] is came and came[0] == 1

    pairs: dict[str, Any] = {}
    pairs["self"] = pairs
    came = crossed(pairs)
    assert came["self"] is came

    inner: list[Any] = []
    outer = (inner, "x")
    inner.append(outer)
    came = crossed(outer)
    assert type(came) is tuple and came[0][0] is came and came[1] == "x"

    came = crossed(inner)
    assert came[0][0] is came


def test_the_same_keys_are_the_same_objects() -> None:
    name = "".join(["so", "me"])
    came = crossed([{name: 1}, {name: 2}])
    first, second = (next(iter(pairs)) for pairs in came)
    assert first is second


def test_a_copy_each_time() -> None:
    parcel = Parcel({"list": [1]})
    one, other = parcel.open(), parcel.open()
    assert one == other and one is not other and one["list"] is not other["list"]


def test_the_value_is_not_kept() -> None:
    value = [object]
    value.append([value])
    count = sys.getrefcount(value)
    parcel = Parcel(value)
    assert sys.getrefcount(value) == count
    del parcel


def test_the_order_of_a_dict() -> None:
    keys = [str(number) for number in range(1000)]
    random.Random(3).shuffle(keys)
    pairs = dict.fromkeys(keys)
    for key in keys[::3]:
        del pairs[key]
    for key in keys[::6]:
        pairs[key] = 1
    assert list(crossed(pairs).items()) == list(pairs.items())


@pytest.mark.parametrize("depth", [150, 199, 200, 201, 202, 250])
def test_deep_values(depth: int) -> None:
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {0: x}):
        value = functools.reduce(lambda inner, _: wrap(inner), range(depth), 7)
        came: Any = crossed(value)
        for _ in range(depth):
            assert type(came) is type(value)
            came = came[0]
        assert came == 7


def test_too_deep_values() -> None:
    value: list[Any] = []
    for _ in range(200_000):
        value = [value]
    with pytest.raises(RecursionError):
        Parcel(value)
    # Such a value cannot be dropped recursively either, but Python knows how to.
    del value


# Other classes go by pickle.


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


class Text(str):
    pass


class Number(int):
    pass


class Pairs(dict):  # type: ignore[type-arg]
    pass


class Items(list):  # type: ignore[type-arg]
    pass


Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize("value", [
    Colour.RED,
    Point(1, [2]),
    {1, 2},
    frozenset("ab"),
    bytearray(b"xyz"),
    range(5),
    slice(1, 2),
    Text("text"),
    Number(5),
    Pairs(a=1),
    Items([1]),
    Pair(1, 2),
    collections.OrderedDict(a=1),
    collections.deque([1]),
    ValueError("bad", 1),
    Path("/tmp"),
    Ellipsis,
    NotImplemented,
    int,
    len,
    math.sin,
    Point,
])  # fmt: skip
def test_other_classes(value: Any) -> None:
    for whole in (value, [value], {"key": (value,)}):
        came = crossed(whole)
        assert type(came) is type(whole)
        part = came if whole is value else came[0] if isinstance(whole, list) else came["key"][0]
        assert type(part) is type(value)
        if isinstance(value, BaseException):
            assert part.args == value.args
        else:
            assert part == value


def test_modules_go_by_name() -> None:
    assert crossed([math, 1])[0] is math


def test_sharing_where_other_classes_are() -> None:
    items = [1]
    came = crossed([items, {2}, items])
    assert came[0] is came[2]


# What cannot cross.


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held


def generator() -> Any:
    yield 1


def test_the_message_says_which_part() -> None:
    with open(__file__) as file:
        value = {"name": "x", "files": [1, {2}, file]}
        with pytest.raises(TypeError) as caught:
            Parcel(value)
    message = str(caught.value)
    start = "cannot send value['files'][2] to a worker: an object of class _io.TextIOWrapper"
    assert message.startswith(start)
    assert "open it inside of the behaviour" in message and 'boc.start(backend="direct")' in message
    assert "(cannot pickle " in message
    assert caught.value.__cause__ is None  # it would say the same


def refused(value: Any) -> str:
    with pytest.raises(TypeError) as caught:
        Parcel(value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    return str(caught.value)


@pytest.mark.parametrize(("value", "kind"), [
    (io.TextIOWrapper(io.BytesIO()), "_io.TextIOWrapper"),
    (threading.Lock(), "_thread."),
    (threading.RLock(), "_thread.RLock"),
    (generator(), "a generator"),
    (memoryview(b"abc"), "a memoryview"),
    (threading.local(), "_thread._local"),
    (sys._getframe(), "a frame"),
])  # fmt: skip
def test_what_stays(value: Any, kind: str) -> None:
    for path, whole in (
        ("value", value),
        ("value[1]", (0, value)),
        ("value['a'][0]", {"a": [value]}),
        ("value.held", Holder(value)),
    ):
        message = refused(whole)
        assert message.startswith(f"cannot send {path} to a worker: ")
        assert kind in message


def test_threads_and_sockets_stay() -> None:
    assert "value[0]" in refused([threading.Thread()])
    with socket.socket() as connection:
        message = refused({"connection": connection})
    assert "value['connection']" in message and "socket.socket" in message
    assert "open it inside of the behaviour" in message


def test_the_path_in_a_cycle() -> None:
    value: list[Any] = [1, 2]
    value.append(value)
    value.append({"lock": threading.Lock()})
    assert "value[3]['lock']" in refused(value)


def test_the_path_past_a_cycle() -> None:
    value: list[Any] = []
    value.append({"back": [value]})
    value.append((threading.Lock(),))
    assert "value[1][0]" in refused(value)


def test_the_path_in_a_large_value() -> None:
    value: list[Any] = [(number, [number]) for number in range(50_000)]
    value.insert(41_000, ({"x": [threading.Lock()]},))
    assert "value[41000][0]['x'][0]" in refused(value)


def test_the_path_to_a_key_and_an_element() -> None:
    lock = threading.Lock()
    assert "value (its key (1, <unlocked" in refused({(1, lock): 2})
    assert "value (its element <unlocked" in refused({lock})


class Raises:
    def __init__(self, exception: BaseException) -> None:
        self.exception = exception

    def __reduce__(self) -> Any:
        raise self.exception


@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, MemoryError, RecursionError, SystemExit, GeneratorExit]
)
def test_what_is_no_fault_of_the_value_passes(kind: type[BaseException]) -> None:
    exception = kind("through")
    with pytest.raises(kind) as caught:
        Parcel([Raises(exception)])
    assert caught.value is exception


def test_what_a_class_raises_while_packing() -> None:
    exception = ZeroDivisionError("mine")
    with pytest.raises(TypeError, match=r"value\[0\].*Raises.*mine") as caught:
        Parcel([Raises(exception)])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class RaisesLater:
    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_what_a_class_raises_while_opening() -> None:
    parcel = Parcel([RaisesLater()])
    with pytest.raises(ValueError, match="no number"):
        parcel.open()


class Changes:
    """Changes what it is in while that is being packed."""

    def __init__(self, change: Callable[[], object]) -> None:
        self.change = change

    def __reduce__(self) -> Any:
        self.change()
        return int, ()


def test_changes_while_packing() -> None:
    items: list[Any] = [[n] for n in range(1000)]
    items.insert(500, Changes(items.clear))
    try:
        crossed(items)
    except (TypeError, RuntimeError):
        pass
    pairs: dict[Any, Any] = {n: [n] for n in range(1000)}
    pairs["x"] = Changes(pairs.clear)
    pairs.update({-n: [n] for n in range(1, 1000)})
    try:
        crossed(pairs)
    except (TypeError, RuntimeError):
        pass


def test_parcel_takes_one_value() -> None:
    for arguments in ((), (1, 2)):
        with pytest.raises(TypeError):
            Parcel(*arguments)
    with pytest.raises(TypeError):
        Parcel(value=1)


def test_parcel_is_final() -> None:
    with pytest.raises(TypeError):
        type("Sub", (Parcel,), {})
    with pytest.raises(TypeError):
        Parcel.open = None  # type: ignore[method-assign,assignment]
    with pytest.raises(AttributeError):
        Parcel(1).attribute = 1  # type: ignore[attr-defined]


def test_threads_share_a_parcel() -> None:
    value = {"list": [list(range(100))] * 3, "text": "x" * 1000}
    parcel = Parcel(value)
    wrong = []

    def work() -> None:
        for _ in range(200):
            if parcel.open() != value or crossed(value) != value:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_change_what_is_packed() -> None:
    items: list[Any] = [[n] for n in range(100)]
    pairs: dict[Any, Any] = {str(n): [n] for n in range(100)}
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            items.append([len(items)])
            del items[:50]
            items.extend([n] for n in range(50))
            del items[150:]
            pairs.clear()
            pairs.update((str(n), [str(n)]) for n in range(100))

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            came = crossed([items, pairs, items])
            assert came[0] is came[2]
            assert all(type(item) is list and len(item) == 1 for item in came[0])
            assert all(type(key) is str and len(item) == 1 for key, item in came[1].items())
    finally:
        stop.set()
        for thread in threads:
            thread.join()


LEAKS = [
    [1, 2**90, 1.5, 1j, "text", b"bytes", ("a", ["b", {"c": None}])],
    {"shared": (shared := ["x" * 50]), "again": shared, "tuple": (shared, shared)},
    {Number(3), 4},
]


@pytest.mark.parametrize("value", LEAKS, ids=["plain", "shared", "pickled"])
def test_nothing_leaks(value: Any) -> None:
    def rounds(count: int) -> None:
        for _ in range(count):
            Parcel(value).open()

    rounds(100)
    counts = [sys.getrefcount(part) for part in value]
    gc.collect()
    # Less than one small object in each round.
    assert growth(rounds, 100, 10_000) < 100_000
    # Others refer to constants, too.
    for part, count in zip(value, counts, strict=True):
        assert abs(sys.getrefcount(part) - count) < 1_000


def test_errors_leak_nothing() -> None:
    lock = threading.Lock()
    value = ["part", [lock]]
    late = Parcel(["some text"[:], RaisesLater(), ["more"]])

    def rounds(count: int) -> None:
        for _ in range(count):
            with pytest.raises(TypeError):
                Parcel(value)
            with pytest.raises(ValueError):
                late.open()

    rounds(50)
    gc.collect()
    count = sys.getrefcount(lock)
    assert growth(rounds, 500, 500) < 20_000
    gc.collect()
    assert sys.getrefcount(lock) == count


def test_against_deepcopy() -> None:
    value = Graph(7).make(8)
    assert shape(crossed(value)) == shape(pickle.loads(pickle.dumps(value)))
    mutable = [[1], {"a": [2]}]
    mutable.append(mutable[0])
    assert shape(crossed(mutable)) == shape(copy.deepcopy(mutable))
