"""The noticeboard: values under keys that everybody can read, outside of cowns."""

from __future__ import annotations

import functools
import gc
import operator
import os
import pickle
import queue
import signal
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import boc
from boc import (
    REMOVED,
    Buffer,
    Cown,
    WaitResult,
    notice_delete,
    notice_read,
    notice_seed,
    notice_update,
    notice_write,
    noticeboard,
    quiesce,
    receive,
    send,
    wait,
    when,
)
from measuring import resident


def start(function: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


# What there is.


@pytest.mark.parametrize("put", [notice_seed, notice_write])
def test_a_value_is_there_when_it_was_put_there(put: Any) -> None:
    put("key", 1)
    assert notice_read("key") == 1
    assert noticeboard() == {"key": 1}
    put("key", [2])
    put("other", "text")
    assert noticeboard() == {"key": [2], "other": "text"}
    assert when()(lambda: dict(noticeboard())).result() == {"key": [2], "other": "text"}


def test_nothing_is_there() -> None:
    assert notice_read("key") is None
    assert notice_read("key", 5) == notice_read(key="key", default=5) == 5
    assert noticeboard() == {}
    notice_seed("key", None)
    assert notice_read("key", 5) is None


def test_delete() -> None:
    notice_write("a", 1)
    notice_write("b", 2)
    notice_delete("a")
    notice_delete("never there")
    assert noticeboard() == {"b": 2}
    assert notice_read("a", "gone") == "gone"


def test_by_name() -> None:
    notice_write(key="a", value=1)
    notice_seed(key="b", value=2)
    notice_update(key="a", fn=str, default=None)
    assert noticeboard() == {"a": "1", "b": 2}


@pytest.mark.parametrize("key", ["", "x" * 63, "\u00e9" * 31, "\U0001f600" * 15, "a b\n"])
def test_keys(key: str) -> None:
    notice_write(key, 1)
    assert notice_read(key) == 1
    assert list(noticeboard()) == [key]


VALUES = [None, True, -7, 2**100, 1.5, "text", b"bytes", (1, [2, {"three": {4}}]), range(3), ..., REMOVED]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_equal_everywhere(value: Any) -> None:
    notice_seed("main", value)

    @when()
    def body():
        notice_write("back", notice_read("main"))
        return repr(notice_read("main"))

    assert body.result() == repr(value)
    assert notice_read("main") == notice_read("back") == value


@pytest.mark.by_reference("the object itself is there")
def test_the_object_itself() -> None:
    value = [object()]
    notice_write("key", value)
    assert notice_read("key") is noticeboard()["key"] is value
    assert when()(lambda: notice_read("key") is value).result()


@pytest.mark.by_value
def test_a_copy_as_it_was_when_it_was_written() -> None:
    value = [1]
    notice_write("key", value)
    value.append(2)
    assert notice_read("key") == [1]


def test_a_value_is_made_once_for_each_version() -> None:
    notice_write("key", [1])
    first = notice_read("key")
    notice_write("other", [2])
    assert notice_read("key") is first is noticeboard()["key"]
    notice_write("key", [1])
    assert notice_read("key") is not first

    def body():
        value = notice_read("key")
        return value is notice_read("key") is noticeboard()["key"]

    assert when()(body).result()


def test_cowns_are_the_same_everywhere() -> None:
    cown = Cown([])
    notice_seed("cown", cown)

    @when()
    def schedules():
        @when(notice_read("cown"))
        def body(cown):
            cown.value.append(1)

    quiesce()
    del cown
    gc.collect()
    found = notice_read("cown")
    assert when(found)(lambda cown: cown.value).result() == [1]


def test_a_buffer_can_be_read_by_all() -> None:
    notice_seed("buffer", Buffer(b"abc"))
    assert bytes(notice_read("buffer")) == b"abc"
    results = [when()(lambda: bytes(notice_read("buffer"))) for _ in range(5)]
    assert [result.result() for result in results] == [b"abc"] * 5
    assert bytes(notice_read("buffer")) == b"abc"


def test_the_mapping_cannot_be_changed() -> None:
    notice_seed("b", 1)
    notice_seed("a", 2)
    seen = noticeboard()
    assert isinstance(seen, Mapping)
    assert list(seen) == ["a", "b"]
    with pytest.raises(TypeError):
        seen["a"] = 3  # type: ignore[index]
    with pytest.raises(TypeError):
        del seen["a"]  # type: ignore[attr-defined]
    notice_write("a", 3)
    assert seen["a"] == 2
    assert noticeboard()["a"] == 3


# What a behaviour sees.


def test_a_behaviour_sees_one_moment() -> None:
    notice_seed("key", "old")

    @when()
    def body():
        first = notice_read("key"), noticeboard()
        send("looked", None)
        receive("written", 30)
        notice_write("own", 1)
        notice_write("key", "newer")
        notice_update("key", lambda value: value + "!")
        notice_delete("other")
        return first[0], notice_read("key"), dict(noticeboard()), first[1] is noticeboard()

    receive("looked", 30)
    notice_seed("key", "new")
    notice_seed("other", 2)
    assert noticeboard() == {"key": "new", "other": 2}
    send("written", None)
    assert body.result() == ("old", "old", {"key": "old"}, True)
    assert noticeboard() == {"key": "newer!", "own": 1}
    assert when()(lambda: dict(noticeboard())).result() == {"key": "newer!", "own": 1}


def test_a_behaviour_sees_what_was_written_before_it_looks() -> None:
    @when()
    def body():
        notice_write("key", 1)
        return notice_read("key")

    assert body.result() == 1


def test_each_behaviour_looks_anew() -> None:
    boc.start(1)
    cown = Cown(0)
    results = []
    for n in range(200):

        def body(cown, n=n):
            seen = notice_read("n", -1)
            notice_write("n", n)
            return seen, notice_read("n", -1)

        results.append(when(cown)(body))
    assert [result.result() for result in results] == [(n - 1, n - 1) for n in range(200)]


def test_a_thread_of_a_body_sees_what_is_there() -> None:
    notice_seed("key", 1)

    @when()
    def body():
        before = notice_read("key")
        notice_write("key", 2)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(notice_read("key")))
        thread.start()
        thread.join()
        return before, seen, notice_read("key")

    assert body.result() == (1, [2], 1)


def test_arguments_by_name() -> None:
    notice_seed(key="key", value=1)
    notice_write(key="other", value=2)
    notice_update(key="key", fn=lambda value: value + 1, default=5)
    notice_delete(key="other")
    assert notice_read(key="key", default=0) == 2
    assert noticeboard() == {"key": 2}


# Updates.


def test_update() -> None:
    notice_update("n", lambda value: value + 1, 10)
    notice_update("n", functools.partial(operator.mul, 2))
    notice_update("none", lambda value: [value])
    assert noticeboard() == {"n": 22, "none": [None]}
    calls = []
    notice_update("n", lambda value: calls.append(value) or value + 1)
    assert calls == [22]


def test_update_in_a_behaviour() -> None:
    notice_seed("list", [1])

    @when()
    def body():
        step = 2
        notice_update("list", lambda value: [*value, step])

    quiesce()
    assert notice_read("list") == [1, 2]


def test_an_update_that_deletes() -> None:
    notice_seed("key", 1)
    notice_update("key", lambda value: REMOVED)
    notice_update("never there", lambda value: REMOVED)
    assert noticeboard() == {}
    when()(lambda: notice_update("body", lambda value: REMOVED, 1)).result()
    notice_seed("key", 2)
    when()(lambda: notice_update("key", lambda value: REMOVED)).result()
    assert noticeboard() == {}


def test_removed_is_one() -> None:
    assert repr(REMOVED) == "REMOVED"
    assert pickle.loads(pickle.dumps(REMOVED)) is REMOVED
    assert when()(lambda: REMOVED).result() is REMOVED


@pytest.mark.parametrize("place", ["main", "body"])
def test_what_the_function_raises(place: str) -> None:
    notice_seed("key", [1])

    def update():
        with pytest.raises(ZeroDivisionError):
            notice_update("key", lambda value: 1 / 0)
        # It is nobody's turn any more.
        notice_update("key", lambda value: [*value, 2])

    update() if place == "main" else when()(update).result()
    assert notice_read("key") == [1, 2]
    if place == "body":
        with pytest.raises(ZeroDivisionError):
            when()(lambda: notice_update("key", lambda value: 1 / 0)).result()


@pytest.mark.by_value
def test_a_function_that_changes_its_copy_and_raises() -> None:
    notice_seed("key", [1])
    kept = notice_read("key")

    def change(value):
        value.append(2)
        raise ValueError

    with pytest.raises(ValueError):
        notice_update("key", change)
    assert notice_read("key") == [1]
    notice_update("key", lambda value: value.append(2) or value)
    assert (kept, notice_read("key")) == ([1], [1, 2])


def test_updates_from_everywhere_are_all_there() -> None:
    boc.start(2)
    each, threads, bodies = 100, 3, 30

    def add(times: int) -> None:
        for n in range(times):
            notice_update(f"key {n % 3}", lambda value: value + 1, 0)

    running = [start(add, each) for _ in range(threads)]
    results = [when()(lambda: add(each)) for _ in range(bodies)]
    for thread in running:
        thread.join(60)
    for result in results:
        result.result(60)
    assert sum(noticeboard().values()) == each * (threads + bodies)


def test_a_function_is_called_once_whatever_others_do() -> None:
    """Writes that come meanwhile count as later; updates wait for their turn."""
    inside, go_on = threading.Event(), threading.Event()
    calls: list[Any] = []

    def slow(value: Any) -> Any:
        calls.append(value)
        inside.set()
        assert go_on.wait(30)
        return "updated"

    notice_seed("key", "old")
    updating = start(notice_update, "key", slow)
    assert inside.wait(30)
    order: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting = start(lambda: (notice_update("key", lambda value: (order.put(value), "second")[1])))
    seeding = start(lambda: (notice_seed("other", 1), order.put("other")))
    assert order.get(timeout=30) == "other"
    notice_write("key", "lost")
    notice_delete("key")
    notice_write("key", "written")
    assert notice_read("key") == "old"
    time.sleep(0.1)
    go_on.set()
    for thread in updating, waiting, seeding:
        thread.join(30)
    assert calls == ["old"]
    assert order.get(timeout=30) == "written"
    assert notice_read("key") == "second"


def test_a_write_inside_of_an_update() -> None:
    def function(value: Any) -> int:
        notice_write("key", "afterwards")
        notice_write("other", notice_read("key"))
        return 1

    notice_seed("key", "old")
    notice_update("key", function)
    assert noticeboard() == {"key": "afterwards", "other": "old"}


def test_seed_waits_for_an_update() -> None:
    inside, go_on = threading.Event(), threading.Event()
    notice_seed("key", 0)
    updating = start(notice_update, "key", lambda value: (inside.set(), go_on.wait(30), 1)[2])
    assert inside.wait(30)
    seeding = start(notice_seed, "key", 2)
    time.sleep(0.1)
    assert seeding.is_alive()
    assert notice_read("key") == 0
    go_on.set()
    for thread in updating, seeding:
        thread.join(30)
    assert notice_read("key") == 2


def test_ctrl_c_while_another_one_updates() -> None:
    inside, go_on = threading.Event(), threading.Event()
    updating = start(notice_update, "key", lambda value: (inside.set(), go_on.wait(60), 1)[2])
    assert inside.wait(30)
    pressed: list[float] = []

    def press() -> None:
        time.sleep(0.2)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    best = 10.0
    for _ in range(5):
        thread = start(press)
        with pytest.raises(KeyboardInterrupt):
            notice_update("key", lambda value: 2)
        best = min(best, time.monotonic() - pressed.pop())
        thread.join()
        if best < 0.1:
            break
    assert best < 0.1
    go_on.set()
    updating.join(30)
    assert notice_read("key") == 1


# The workers' life.


def test_wait_and_quiesce_give_what_is_there() -> None:
    assert quiesce(noticeboard=True) == wait(noticeboard=True) == {}
    assert wait(stats=True, noticeboard=True) == WaitResult([], {}) == ([], {})
    for n in range(20):
        when()(lambda n=n: notice_update("sum", lambda value: value + n, 0))
    assert quiesce(noticeboard=True) == {"sum": 190}
    both = quiesce(stats=True, noticeboard=True)
    assert type(both) is WaitResult
    assert (both.noticeboard, sum(row["run"] for row in both.stats)) == ({"sum": 190}, 20)
    assert isinstance(quiesce(stats=True), list)
    assert quiesce() is None
    when()(lambda: notice_write("last", 1))
    both = wait(stats=True, noticeboard=True)
    assert type(both) is WaitResult
    assert (both.noticeboard, sum(row["run"] for row in both.stats)) == ({"sum": 190, "last": 1}, 21)
    assert type(both.noticeboard) is dict
    assert noticeboard() == wait(noticeboard=True) == {}


def test_wait_takes_everything_off() -> None:
    notice_seed("key", 1)
    assert len(boc.stats()) > 0  # which starts the workers
    wait()
    assert notice_read("key") is None
    assert boc.stats() == []
    assert when()(lambda: dict(noticeboard())).result() == {}


def test_the_limit() -> None:
    for n in range(1_024):
        notice_write(str(n), n)
    with pytest.raises(RuntimeError, match=r"noticeboard is full: it has 1024 keys.*notice_limit"):
        notice_write("one too many", 1)
    with pytest.raises(RuntimeError, match="full"):
        notice_update("one too many", lambda value: pytest.fail("was called"))
    with pytest.raises(RuntimeError, match="full"):
        notice_seed("one too many", 1)
    notice_write("7", "another value")
    notice_delete("8")
    notice_update("8", lambda value: 1)
    with pytest.raises(RuntimeError, match="full"):
        when()(lambda: notice_write("one too many", 1)).result()
    wait()
    boc.start(notice_limit=2)
    notice_write("a", 1)
    # Who updates has made sure of room.
    notice_update("b", lambda value: notice_write("b", 5))
    assert noticeboard() == {"a": 1, "b": 5}
    with pytest.raises(RuntimeError, match="it has 2 keys"):
        notice_write("c", 1)
    wait()
    boc.start(notice_limit=2**100)
    for n in range(1_100):
        notice_write(str(n), n)
    assert len(noticeboard()) == 1_100
    wait()
    notice_write("a", 1)
    for n in range(1_023):
        notice_write(str(n), n)
    with pytest.raises(RuntimeError, match="full"):
        notice_write("b", 1)


def test_an_update_keeps_its_place() -> None:
    boc.start(notice_limit=2)

    def function(value: Any) -> int:
        notice_write("b", 1)
        with pytest.raises(RuntimeError, match="full"):
            notice_write("c", 1)
        return 1

    notice_update("a", function)
    assert noticeboard() == {"a": 1, "b": 1}


# Misuse.

BAD_KEYS = {
    "no string": (1, TypeError, "a noticeboard key must be a str, not int"),
    "bytes": (b"key", TypeError, "a noticeboard key must be a str, not bytes"),
    "NUL": ("a\0", ValueError, "must not contain NUL"),
    "too long": ("x" * 64, ValueError, "at most 63 bytes in UTF-8, not 64"),
    "too long in UTF-8": ("\u00e9" * 32, ValueError, "at most 63 bytes in UTF-8, not 64"),
    "surrogates": ("\ud800", UnicodeEncodeError, "surrogates"),
}

CALLS: dict[str, Any] = {
    "notice_write": lambda key: notice_write(key, 1),
    "notice_seed": lambda key: notice_seed(key, 1),
    "notice_update": lambda key: notice_update(key, str),
    "notice_delete": notice_delete,
    "notice_read": notice_read,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bad", BAD_KEYS)
def test_keys_that_are_none(bad: str, call: str) -> None:
    key, error, message = BAD_KEYS[bad]
    with pytest.raises(error, match=message) as caught:
        CALLS[call](key)
    assert type(caught.value) is error
    assert noticeboard() == {}


MISUSE = {
    "no value": (lambda: notice_write("a"), TypeError, "missing its argument 'value'"),  # type: ignore[call-arg]
    "too much": (lambda: notice_write("a", 1, 2), TypeError, "at most 2 arguments"),  # type: ignore[call-arg]
    "no function": (lambda: notice_update("a"), TypeError, "missing its argument 'fn'"),  # type: ignore[call-arg]
    "something else": (
        lambda: notice_update("a", 3),  # type: ignore[arg-type]
        TypeError,
        r"fn of notice_update\(\) must be a function of the value, not int",
    ),
    "an update in an update": (
        lambda: notice_update("a", lambda value: notice_update("b", str)),
        RuntimeError,
        r"notice_update\(\) inside of the function.*return the value instead",
    ),
    "a seed in an update": (
        lambda: notice_update("a", lambda value: notice_seed("a", 1)),
        RuntimeError,
        r"notice_seed\(\) inside of the function",
    ),
    "a limit of another type": (lambda: boc.start(notice_limit="3"), TypeError, "notice_limit must be an int"),  # type: ignore[arg-type]
    "a limit that is a bool": (lambda: boc.start(notice_limit=True), TypeError, "not bool"),
    "no room": (lambda: boc.start(notice_limit=0), ValueError, "notice_limit must be at least 1, not 0"),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_misuse(misuse: str) -> None:
    call, error, message = MISUSE[misuse]
    notice_seed("key", "still there")
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert noticeboard() == {"key": "still there"}
    notice_update("a", lambda value: 1)
    assert notice_read("a") == 1


def test_seed_in_a_behaviour() -> None:
    with pytest.raises(RuntimeError, match=r"notice_seed\(\) is for the main program.*notice_write"):
        when()(lambda: notice_seed("key", 1)).result()
    assert noticeboard() == {}


@pytest.mark.by_value
def test_what_cannot_be_written() -> None:
    for put in notice_write, notice_seed, lambda key, value: notice_update(key, lambda _: value):
        with pytest.raises(TypeError, match="lock"):
            put("key", threading.Lock())
    assert noticeboard() == {}


class RaisesWhenOpened:
    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.by_value
def test_what_cannot_be_opened() -> None:
    notice_write("key", RaisesWhenOpened())
    for read in lambda: notice_read("key"), noticeboard, lambda: notice_update("key", str):
        with pytest.raises(ValueError, match="no number"):
            read()
    notice_write("key", 1)
    assert notice_read("key") == 1


# Readers and writers at the same time.


def test_a_snapshot_is_of_one_moment() -> None:
    """Two entries that one thread changes one after the other differ by one at the most."""
    boc.start(2)
    notice_seed("a", 0)
    notice_seed("b", 0)
    over = False

    def writes() -> None:
        n = 0
        while not over:
            n += 1
            notice_write("a", n)
            notice_write("b", n)

    def reads() -> int:
        seen = noticeboard()
        assert 0 <= seen["a"] - seen["b"] <= 1
        assert notice_read("a") >= seen["a"]
        return seen["a"]

    writer = start(writes)
    try:
        reads_of_main = [reads() for _ in range(2_000)]
        assert reads_of_main == sorted(reads_of_main)

        def body():
            a, b = notice_read("a"), notice_read("b")
            seen = noticeboard()
            return (seen["a"], seen["b"]) == (a, b) and 0 <= a - b <= 1

        assert all(result.result(60) for result in [when()(body) for _ in range(300)])
    finally:
        over = True
        writer.join()


def test_many_readers_and_writers() -> None:
    boc.start(2)
    keys = [f"key {n}" for n in range(5)]

    def run(seed):
        import random

        chance = random.Random(seed)
        for n in range(200):
            key = chance.choice(keys)
            chance.choice(
                [
                    lambda key=key, n=n: notice_write(key, [key, n, "x" * 50]),
                    lambda key=key: notice_update(key, lambda value: value, [key, 0, "x" * 50]),
                    lambda key=key: notice_delete(key),
                ]
            )()
            for found, value in noticeboard().items():
                assert value[0] == found
            value = notice_read(key)
            assert value is None or value[0] == key
        return "done"

    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threads = [start(lambda seed=seed: results.put(run(seed))) for seed in range(3)]
    bodies = [when()(lambda seed=seed: run(seed)) for seed in range(10, 16)]
    assert [results.get(timeout=60) for _ in threads] == ["done"] * 3
    assert [body.result(60) for body in bodies] == ["done"] * 6


# The model.

KEYS = "abc"

step = st.tuples(
    st.sampled_from(["write", "delete", "add", "remove", "fail", "read", "all", "quiesce", "wait"]),
    st.sampled_from(KEYS),
    st.booleans(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, max_size=40))
def test_as_a_dict_does(steps: list[Any]) -> None:
    wait()
    model: dict[str, Any] = {}
    for number, (action, key, in_body) in enumerate(steps):

        def do(action=action, key=key, number=number):
            if action == "write":
                return notice_write(key, [number])
            if action == "delete":
                return notice_delete(key)
            if action == "add":
                return notice_update(key, lambda value: [*value, number], ["first"])
            if action == "remove":
                return notice_update(key, lambda value: REMOVED)
            if action == "fail":
                try:
                    return notice_update(key, lambda value: 1 / 0)
                except ZeroDivisionError:
                    return "raised"
            return notice_read(key, "none") if action == "read" else dict(noticeboard())

        expected: Any = None
        if action == "write":
            model[key] = [number]
        elif action in ("delete", "remove"):
            model.pop(key, None)
        elif action == "add":
            model[key] = [*model.get(key, ["first"]), number]
        elif action == "fail":
            expected = "raised"
        elif action == "read":
            expected = model.get(key, "none")
        elif action in ("all", "quiesce", "wait"):
            expected = dict(model)
        if action == "quiesce":
            assert quiesce(noticeboard=True) == expected
        elif action == "wait":
            assert wait(noticeboard=True) == expected
            model.clear()
        else:
            assert (when()(do).result() if in_body else do()) == expected
    assert noticeboard() == model


# Memory.


class Watched:
    """An object that says when it goes."""


@pytest.mark.by_reference("objects go, where others have copies")
@pytest.mark.parametrize("way", ["write", "seed", "update", "delete", "removed", "wait"])
def test_entries_leave_nothing_behind(way: str) -> None:
    value = Watched()
    gone = weakref.ref(value)
    notice_write("key", value)
    del value
    assert when()(lambda: isinstance(notice_read("key"), Watched) and len(noticeboard())).result() == 1
    gc.collect()
    assert gone() is not None
    {
        "write": lambda: notice_write("key", 1),
        "seed": lambda: notice_seed("key", 1),
        "update": lambda: notice_update("key", lambda value: 1),
        "delete": lambda: notice_delete("key"),
        "removed": lambda: notice_update("key", lambda value: REMOVED),
        "wait": wait,
    }[way]()
    quiesce()
    gc.collect()
    assert gone() is None


@pytest.mark.by_reference("counts the references to an object")
def test_references_are_counted_right() -> None:
    value = object()
    before = sys.getrefcount(value)
    for n in range(500):
        notice_write("key", value)
        assert notice_read("key") is noticeboard()["key"] is value
        notice_update("key", lambda value: value)
        notice_read(f"none {n}", value)
    assert when()(lambda: [notice_read("key") for _ in range(100)]).result()[99] is value
    notice_delete("key")
    wait()
    gc.collect()
    assert sys.getrefcount(value) == before


def test_memory_does_not_grow() -> None:
    boc.start(2)

    def rounds(count: int) -> None:
        for n in range(count):
            notice_write("key", [b"x" * 30_000, n])
            notice_write(f"key {n}", [b"x" * 3_000, n])
            notice_read("key")
            when()(lambda: len(noticeboard()) + len(notice_read("key"))).result()
            notice_delete(f"key {n}")
        gc.collect()

    rounds(200)
    memory = resident()
    rounds(600)
    # One in ten of the values would make two thousand; all of them eighteen thousand and more.
    assert resident() - memory < 6_000


def test_a_finaliser_that_uses_the_board() -> None:
    class Writes:
        def __del__(self) -> None:
            notice_write("finalised", notice_read("other"))

    notice_seed("other", 5)
    if boc.backend() == "direct":
        notice_write("key", Writes())
        notice_delete("key")
    else:
        writes = Writes()
        del writes
    gc.collect()
    assert notice_read("finalised") == 5


# The end of the program.

HEAD = """
import os, sys, threading, time
import boc
from boc import notice_read, notice_seed, notice_update, notice_write, noticeboard, when
import crossing
"""

ENDS = {
    "something is there": "notice_seed('a', [1, boc.Cown([2])])",
    "after wait": "notice_seed('a', [1]); boc.wait(); notice_write('b', [boc.Cown([2])])",
    "bodies have written": """
        boc.start(2)
        for n in range(20):
            when()(lambda n=n: notice_write(str(n), [n, boc.Cown([n])])).result()
        when()(lambda: dict(noticeboard())).result()
        """,
    "daemon threads read and write": """
        def run():
            while True:
                try:
                    notice_write("a", [1])
                    notice_read("a")
                    notice_update("b", lambda value: [value])
                    notice_write("b", 0)
                except RuntimeError as error:
                    # From now on no workers can be started.
                    assert "exits" in str(error)
        boc.start(2)
        for _ in range(3):
            threading.Thread(target=run, daemon=True).start()
        time.sleep(0.2)
        """,
    "daemon threads wait for their turn": """
        def slow(value):
            time.sleep(1000)
        for _ in range(3):
            threading.Thread(target=notice_update, args=("a", slow), daemon=True).start()
        time.sleep(0.2)
        """,
    "finalisers": """
        class Last:
            def __del__(self, all=noticeboard, read=notice_read):
                all(), read("a")
        last = Last()
        notice_seed("a", [1])
        """,
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_program(program, end: str) -> None:
    done = program(HEAD + textwrap.dedent(ENDS[end]) + "\nprint('end')", timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_the_end_while_behaviours_wait_for_their_turn(program) -> None:
    done = program(
        HEAD
        + """
boc.start(1)
inside, started = threading.Event(), crossing.Gate()
def slow(value):
    inside.set()
    time.sleep(1000)
threading.Thread(target=notice_update, args=("a", slow), daemon=True).start()
inside.wait()
def body():
    started.set()
    notice_update("a", lambda value: 1)
result = when()(body)
started.wait()
print("end")
"""
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert "is still running a behaviour at exit; ending it" in done.stderr
    assert "cannot be ended" not in done.stderr


def test_objects_are_finalised_at_the_end(program) -> None:
    done = program(
        HEAD
        + """
class Last:
    def __del__(self): print("gone", flush=True)
notice_seed("a", Last())
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "gone\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_a_child_begins_with_an_empty_board(program) -> None:
    done = program(
        HEAD
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
notice_seed("a", 1)
inside, go_on = threading.Event(), threading.Event()
def slow(value):
    inside.set()
    go_on.wait(30)
    return 2
updating = threading.Thread(target=notice_update, args=("a", slow))
updating.start()
inside.wait()
pid = os.fork()
if pid == 0:
    assert noticeboard() == {}
    notice_update("a", lambda value: value + 1, 10)
    assert when()(lambda: notice_read("a")).result(10) == 11
    assert boc.wait(10, noticeboard=True) == {"a": 11}
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
go_on.set()
updating.join()
print(noticeboard())
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'a': 2}\n", "")
