"""Messages under tags: send, receive, set_tags and drain."""

from __future__ import annotations

import gc
import os
import queue
import random
import signal
import sys
import textwrap
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import boc
from boc import TIMEOUT, Buffer, Cown, drain, quiesce, receive, send, set_tags, wait, when
from measuring import resident

NOTHING = (TIMEOUT, None)


@pytest.fixture(autouse=True)
def empty_queues(fresh_runtime: None) -> Iterator[None]:
    """No test finds messages of another one."""
    set_tags([])
    yield
    set_tags([])


def everything(*tags: str) -> list[Any]:
    """What is there, taken out."""
    found = []
    while (message := receive(tags, 0)) != NOTHING:
        found.append(message)
    return found


def start(function: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


# What there is.


def test_a_message_arrives_with_its_tag() -> None:
    send("greeting", "hello")
    assert receive("greeting") == ("greeting", "hello")
    assert receive("greeting", 0) == NOTHING
    assert isinstance(receive("greeting", 0), tuple)


def test_messages_of_a_tag_keep_their_order() -> None:
    for n in range(1_000):
        send("n", n)
    assert [receive("n")[1] for _ in range(1_000)] == list(range(1_000))


def test_only_the_tags_that_are_wanted() -> None:
    send("a", 1)
    send("b", 2)
    assert receive("b", 0) == ("b", 2)
    assert receive(["b", "c"], 0) == NOTHING
    assert receive(["c", "a"], 0) == ("a", 1)


@pytest.mark.parametrize("sequence", [list, tuple, dict.fromkeys, iter])
def test_tags_further_left_come_first(sequence: Any) -> None:
    for n in range(3):
        for tag in "abc":
            send(tag, n)
    received = [receive(sequence(["c", "a"])) for _ in range(6)]
    assert received == [("c", 0), ("c", 1), ("c", 2), ("a", 0), ("a", 1), ("a", 2)]
    assert everything("a", "b", "c") == [("b", 0), ("b", 1), ("b", 2)]


def test_a_tag_that_is_named_twice() -> None:
    send("a", 1)
    send("a", 2)
    assert receive(["a", "a"]) == ("a", 1)
    assert receive(["b", "b", "a", "a"]) == ("a", 2)
    start(lambda: (time.sleep(0.1), send("a", 3)))
    assert receive(["a", "a"], 30) == ("a", 3)


@pytest.mark.parametrize("tag", ["", "a\0b", "\u00e9\u4e2d\U0001f600", "x" * 10_000, TIMEOUT, "boc"])
def test_any_string_is_a_tag(tag: str) -> None:
    send(tag, 1)
    send(tag + "x", 2)
    assert receive(tag) == (tag, 1)
    assert receive(tag, 0) == NOTHING
    assert everything(tag + "x") == [(tag + "x", 2)]


def test_any_number_of_tags() -> None:
    for n in range(3_000):
        send(f"tag {n}", n)
    for n in reversed(range(3_000)):
        assert receive(f"tag {n}", 0) == (f"tag {n}", n)
    assert receive([f"tag {n}" for n in range(3_000)], 0.01) == NOTHING


VALUES = [None, True, -7, 2**100, 1.5, "text", b"bytes", (1, [2, {"three": {4}}]), range(3), ...]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_arrive_equal(value: Any) -> None:
    @when()
    def there_and_back():
        tag, received = receive("there", 30)
        send("back", received)
        return repr(received)

    send("there", value)
    assert receive("back", 30) == ("back", value)
    assert there_and_back.result() == repr(value)


@pytest.mark.by_reference("the object itself arrives")
def test_the_object_itself() -> None:
    value = [object()]
    send("a", value)
    assert receive("a")[1] is value


@pytest.mark.by_value
def test_a_copy_as_it_was_when_it_was_sent() -> None:
    value = [1]
    send("a", value)
    value.append(2)
    received = receive("a")[1]
    assert received == [1]
    assert received is not value


def test_cowns_arrive() -> None:
    cown = Cown([1])
    send("cown", cown)
    received = receive("cown")[1]
    assert received == cown

    @when(received)
    def body(received):
        received.value.append(2)
        return received.value

    assert body.result() == [1, 2]


def test_a_buffer_arrives() -> None:
    send("buffer", Buffer(b"abc"))

    @when()
    def body():
        return bytes(receive("buffer", 30)[1])

    assert body.result() == b"abc"


def test_by_name() -> None:
    send(tag="a", contents=1)
    assert receive(tags="a", timeout=0, after=None) == ("a", 1)


# Waiting.


def test_no_time_means_no_waiting() -> None:
    begin = time.monotonic()
    assert receive("a", 0) == NOTHING
    assert receive(["a", "b"], timeout=0) == NOTHING
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("seconds", [0.02, 0.12])
def test_the_time_runs_out(seconds: float) -> None:
    begin = time.monotonic()
    assert receive(["a", "b"], seconds) == NOTHING
    assert seconds <= time.monotonic() - begin < seconds + 10


@pytest.mark.parametrize("timeout", [-1, -0.5, float("-inf"), -(10**400), 30, 1e300, float("inf"), 10**400])
def test_waits_until_a_message_comes(timeout: float) -> None:
    begin = time.monotonic()
    start(lambda: (time.sleep(0.15), send("b", "late")))
    assert receive(["a", "b"], timeout) == ("b", "late")
    assert time.monotonic() - begin > 0.1


def test_after_gives_the_value() -> None:
    assert receive("a", 0, lambda: 5) == 5
    assert receive("a", timeout=0.01, after=lambda: (1, 2)) == (1, 2)
    send("a", 1)
    assert receive("a", 0, lambda: 1 / 0) == ("a", 1)
    with pytest.raises(ZeroDivisionError):
        receive("a", 0, lambda: 1 / 0)


def test_other_threads_run_meanwhile() -> None:
    ready = queue.SimpleQueue()
    waiting = [start(lambda: ready.put(receive("never", 2))) for _ in range(3)]
    count, end = 0, time.monotonic() + 0.2
    while time.monotonic() < end:
        count += 1
    assert count > 1_000
    gc.collect()
    for _ in waiting:
        send("never", "after all")
    assert [ready.get(timeout=30) for _ in waiting] == [("never", "after all")] * 3


def test_each_message_wakes_one(gate) -> None:
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threads = [start(lambda: received.put(receive(["x", "work"], 30))) for _ in range(8)]
    time.sleep(0.1)
    for n in range(8):
        send("work", n)
        if n % 2:
            time.sleep(0.01)
    assert sorted(received.get(timeout=30)[1] for _ in threads) == list(range(8))
    assert everything("work") == []


def test_ctrl_c_is_answered_at_once() -> None:
    pressed: list[float] = []

    def press() -> None:
        time.sleep(0.2)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    best = 10.0
    for _ in range(5):
        thread = start(press)
        with pytest.raises(KeyboardInterrupt):
            receive(["a", "b"], 30)
        best = min(best, time.monotonic() - pressed.pop())
        thread.join()
        if best < 0.1:
            break
    assert best < 0.1
    # Who was interrupted takes no message that comes later.
    send("a", 1)
    assert receive("a", 0) == ("a", 1)


def test_an_exception_from_another_thread() -> None:
    # What the end of a program does to behaviours that go on.
    caught: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def body() -> None:
        try:
            receive("never", 30)
        except SystemExit as raised:
            caught.put(raised)

    thread = start(body)
    time.sleep(0.1)
    boc._boc.raise_in_thread(thread.ident, SystemExit)
    assert isinstance(caught.get(timeout=10), SystemExit)


# From everywhere.


def test_between_behaviours_and_threads() -> None:
    @when()
    def echo():
        total = 0
        while (number := receive("numbers", 30)[1]) is not None:
            total += number
            send("sums", total)
        return total

    for n in range(100):
        send("numbers", n)
    send("numbers", None)
    assert [receive("sums", 30)[1] for _ in range(100)] == [n * (n + 1) // 2 for n in range(100)]
    assert echo.result() == 4950


def test_between_two_behaviours() -> None:
    boc.start(2)

    @when()
    def ping():
        for n in range(300):
            send("ping", n)
            assert receive("pong", 30) == ("pong", n)
        return "ping"

    @when()
    def pong():
        for _ in range(300):
            send("pong", receive("ping", 30)[1])
        return "pong"

    assert (ping.result(60), pong.result(60)) == ("ping", "pong")


def test_a_thread_of_a_body() -> None:
    @when()
    def body():
        def run():
            send("from", receive("to", 30)[1] + 1)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    send("to", 1)
    assert receive("from", 30) == ("from", 2)
    assert body.result() is None


def test_messages_survive_the_workers() -> None:
    send("kept", 1)
    when()(lambda: send("kept", 2)).result()
    wait()
    assert when()(lambda: [receive("kept", 0), receive("kept", 0)]).result() == [("kept", 1), ("kept", 2)]


@pytest.mark.by_value
def test_what_was_sent_on_the_other_backend() -> None:
    boc.start(backend="direct")
    value = [1]
    send("a", value)
    send("a", threading.Lock())
    send("a", value)
    wait()

    def body():
        received = [receive("a", 0)]
        try:
            receive("a", 0)
        except TypeError as error:
            received.append(str(error))
        return received

    message, why = when()(body).result()
    assert message == ("a", [1])
    assert "lock" in why
    assert receive("a", 0)[1] is value


def test_many_threads_and_behaviours() -> None:
    """Each message arrives once, and those of a sender and a tag in their order."""
    boc.start(2)
    senders, receivers, each = 3, 3, 400
    set_tags([], limit=10**6)

    def sends(sender):
        for n in range(each):
            send("ab"[n % 2], (sender, n))

    def receives(order):
        received = []
        while (message := receive([*order, "end"], 60))[0] != "end":
            received.append(message)
        return received

    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    bodies = [when()(lambda: receives("ab"))]
    threads = [start(lambda: results.put(receives("ba"))) for _ in range(receivers - 1)]
    bodies.append(when()(lambda: sends(0)))
    for sender in range(1, senders):
        threads.append(start(sends, sender))
    bodies[1].result(60)
    for thread in threads[receivers - 1 :]:
        thread.join(60)
    for _ in range(receivers):
        send("end", None)
    received = [bodies[0].result(60), *(results.get(timeout=60) for _ in range(receivers - 1))]
    for one in received:
        for sender in range(senders):
            for tag in "ab":
                order = [n for got, (by, n) in one if got == tag and by == sender]
                assert order == sorted(order)
    assert sorted(message for one in received for _, message in one) == [
        (sender, n) for sender in range(senders) for n in range(each)
    ]


# Limits, and dropping.


def test_drain() -> None:
    for tag in "abc":
        send(tag, tag)
    drain("a")
    drain(["b", "never used"])
    drain([])
    assert everything("a", "b", "c") == [("c", "c")]


def test_drain_in_a_behaviour() -> None:
    send("a", 1)
    when()(lambda: drain(("a",))).result()
    assert everything("a") == []


def test_set_tags_drops_everything_and_waiting_goes_on() -> None:
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()
    thread = start(lambda: received.put(receive("w", 30)))
    send("a", 1)
    send("b", 1)
    time.sleep(0.1)
    set_tags(["a", "w"])
    assert everything("a", "b") == []
    send("w", 1)
    send("other tags work as well", 2)
    assert received.get(timeout=30) == ("w", 1)
    assert everything("other tags work as well") != []
    thread.join()


def test_a_queue_holds_16384_messages() -> None:
    for n in range(16_384):
        send("full", n)
    with pytest.raises(RuntimeError, match=r"queue of the tag \"full\" is full.*16384.*set_tags"):
        send("full", "one too many")
    send("another tag", 1)
    assert receive("full") == ("full", 0)
    send("full", "room")
    assert everything("full")[-1] == ("full", "room")


def test_the_limit_can_be_chosen() -> None:
    set_tags(["few"], limit=2)
    send("few", 1)
    send("few", 2)
    with pytest.raises(RuntimeError, match="holds 2 messages"):
        send("few", 3)
    for n in range(10):
        send("others", n)
    set_tags([], limit=3)
    for tag in "few", "others", "new":
        for n in range(3):
            send(tag, n)
        with pytest.raises(RuntimeError, match="holds 3 messages"):
            send(tag, 3)
    set_tags(["few"], limit=2**100)
    for n in range(20_000):
        send("few", n)
    set_tags("few")
    assert when()(lambda: [send("few", n) for n in range(16_384)]).result()[-1] is None
    with pytest.raises(RuntimeError, match="16384"):
        send("few", 0)


def test_what_is_not_sent_stays_where_it_was() -> None:
    set_tags(["one"], limit=1)
    send("one", 1)
    buffer = Buffer(b"abc")
    with pytest.raises(RuntimeError, match="full"):
        send("one", buffer)
    assert bytes(buffer) == b"abc"
    # And what cannot be sent takes no room.
    set_tags(["one"], limit=1)
    if boc.backend() == "subinterpreters":
        with pytest.raises(TypeError):
            send("one", threading.Lock())
    send("one", 2)
    assert everything("one") == [("one", 2)]


# Misuse.


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


MISUSE = {
    "a tag of another type": (lambda: send(1, 2), TypeError, "a tag must be a str, not int"),  # type: ignore[arg-type]
    "no contents": (lambda: send("a"), TypeError, "missing its argument 'contents'"),  # type: ignore[call-arg]
    "too much": (lambda: send("a", 1, 2), TypeError, "at most 2 arguments"),  # type: ignore[call-arg]
    "a name that does not exist": (
        lambda: send("a", message=1),  # type: ignore[call-arg]
        TypeError,
        "no parameter 'message'",
    ),
    "a tag that is no text": (lambda: send("\ud800", 1), UnicodeEncodeError, "surrogates"),
    "receive such a tag": (lambda: receive("\ud800"), UnicodeEncodeError, "surrogates"),
    "tags of another type": (lambda: receive(1), TypeError, r"tags of receive\(\) must be a str, or a list"),  # type: ignore[arg-type]
    "bytes": (lambda: receive(b"a"), TypeError, "a tag must be a str, not int"),  # type: ignore[arg-type]
    "one of another type": (lambda: receive(["a", None]), TypeError, "a tag must be a str, not NoneType"),  # type: ignore[list-item]
    "no tags": (lambda: receive([]), RuntimeError, "at least one tag"),
    "nothing": (lambda: receive(), TypeError, "missing its argument 'tags'"),  # type: ignore[call-arg]
    "a timeout of another type": (
        lambda: receive("a", "1"),  # type: ignore[arg-type]
        TypeError,
        "timeout must be a number of seconds, or -1 for no limit, not str",
    ),
    "a timeout of None": (lambda: receive("a", None), TypeError, "or -1 for no limit, not NoneType"),  # type: ignore[arg-type]
    "a timeout of nan": (lambda: receive("a", float("nan")), ValueError, "not nan"),
    "an after that is no function": (
        lambda: receive("a", 0, 5),  # type: ignore[arg-type]
        TypeError,
        "after must be a function without parameters, or None, not int",
    ),
    "set_tags without": (lambda: set_tags(), TypeError, "missing"),  # type: ignore[call-arg]
    "set_tags with a number": (lambda: set_tags(3), TypeError, r"tags of set_tags\(\)"),  # type: ignore[arg-type]
    "set_tags with numbers": (lambda: set_tags([3]), TypeError, "a tag must be a str, not int"),  # type: ignore[list-item]
    "a limit by its place": (lambda: set_tags([], 3), TypeError, "by its name"),  # type: ignore[call-arg]
    "a limit of another type": (lambda: set_tags([], limit="3"), TypeError, "limit must be an int or None"),  # type: ignore[arg-type]
    "a limit that is a bool": (lambda: set_tags([], limit=True), TypeError, "not bool"),
    "no room": (lambda: set_tags([], limit=0), ValueError, "at least 1, not 0"),
    "a negative limit": (lambda: set_tags([], limit=-(2**80)), ValueError, "at least 1, not -12"),
    "drain a number": (lambda: drain(1), TypeError, r"tags of drain\(\)"),  # type: ignore[arg-type]
    "drain numbers": (lambda: drain([1]), TypeError, "a tag must be a str, not int"),  # type: ignore[list-item]
    "drain a surrogate": (lambda: drain("\ud800"), UnicodeEncodeError, "surrogates"),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_misuse(misuse: str) -> None:
    call, error, message = MISUSE[misuse]
    send("a", "still there")
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert receive("a", 0) == ("a", "still there")


def test_set_tags_in_a_behaviour() -> None:
    with pytest.raises(RuntimeError, match=r"set_tags\(\) inside of a behaviour.*main program"):
        when()(lambda: set_tags([])).result()


def test_iterables_that_raise() -> None:
    def tags() -> Iterator[str]:
        yield "a"
        raise KeyError("mine")

    for function in receive, set_tags, drain:
        with pytest.raises(KeyError, match="mine"):
            function(tags())


@pytest.mark.by_value
def test_what_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match="contents.*lock"):
        send("a", threading.Lock())
    assert everything("a") == []


class RaisesWhenOpened:
    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.by_value
def test_what_cannot_be_opened_is_gone() -> None:
    send("a", RaisesWhenOpened())
    send("a", 2)
    with pytest.raises(ValueError, match="no number"):
        receive("a", 0)
    assert receive("a", 0) == ("a", 2)


# The model.

TAGS = "abc"
LIMIT = 4

step = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(TAGS)),
    st.tuples(st.just("receive"), st.lists(st.sampled_from(TAGS), min_size=1, max_size=4)),
    st.tuples(st.just("drain"), st.lists(st.sampled_from(TAGS), max_size=2)),
    st.tuples(st.just("set_tags"), st.lists(st.sampled_from(TAGS), max_size=2)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(step, st.booleans()), max_size=40))
def test_as_a_model_of_queues_says(steps: list[Any]) -> None:
    set_tags([], limit=LIMIT)
    model = {tag: deque[int]() for tag in TAGS}
    limits = dict.fromkeys(TAGS, LIMIT)
    for number, ((action, given), in_body) in enumerate(steps):

        def do(action=action, given=given, number=number):
            if action == "send":
                try:
                    return send(given, number)
                except RuntimeError as error:
                    return "full" if "is full" in str(error) else error
            return receive(given, 0) if action == "receive" else drain(given)

        expected: Any = None
        if action == "send":
            if len(model[given]) < limits[given]:
                model[given].append(number)
            else:
                expected = "full"
        elif action == "receive":
            first = next((tag for tag in given if model[tag]), None)
            expected = NOTHING if first is None else (first, model[first].popleft())
        else:
            for tag in given if action == "drain" else TAGS:
                model[tag].clear()
        if action == "set_tags":
            set_tags(given, limit=LIMIT - 1)
            limits = {tag: LIMIT - 1 if tag in given or not given else 16_384 for tag in TAGS}
        elif in_body:
            assert when()(do).result() == expected
        else:
            assert do() == expected
    assert everything(*TAGS) == [(tag, number) for tag in TAGS for number in model[tag]]


# Memory.


class Watched:
    """An object that says when it goes."""


@pytest.mark.by_reference("objects go, where others have copies")
@pytest.mark.parametrize("way", ["receive", "drain", "set_tags"])
def test_messages_leave_nothing_behind(way: str) -> None:
    value = Watched()
    gone = weakref.ref(value)
    send("a", value)
    send("a", 1)
    del value
    gc.collect()
    assert gone() is not None
    if way == "receive":
        assert isinstance(receive("a")[1], Watched)
    else:
        drain("a") if way == "drain" else set_tags([])
    gc.collect()
    assert gone() is None


@pytest.mark.by_reference("counts the references to an object")
def test_references_are_counted_right() -> None:
    value, tag = object(), "".join(["t", "ag"])
    before = sys.getrefcount(value), sys.getrefcount(tag)
    for _ in range(1_000):
        send(tag, value)
    for _ in range(500):
        assert receive(tag)[1] is value
    for _ in range(500):
        assert receive([tag], 0)[1] is value
    for _ in range(500):
        assert receive([tag], 0) == NOTHING
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(tag)) == before


def test_memory_does_not_grow() -> None:
    def rounds(count: int) -> None:
        for n in range(count):
            for k in range(50):
                send(f"tag {n} {k}", [b"x" * 3_000, k])
            when()(lambda n=n: [receive(f"tag {n} {k}", 0) for k in range(40)]).result()
            drain([f"tag {n} {k}" for k in range(40, 50)])
        quiesce()
        gc.collect()

    rounds(30)
    memory = resident()
    rounds(100)
    # One of the messages in ten would make a thousand and a half; all of them fifteen thousand.
    assert resident() - memory < 6_000


def test_finalisers_that_use_the_queues() -> None:
    class Sends:
        def __del__(self) -> None:
            send("finalised", receive("b", 0))

    if boc.backend() == "direct":
        send("a", Sends())
        send("b", 1)
        drain("a")
        gc.collect()
        assert receive("finalised", 10)[1] == ("b", 1)
    else:
        # The copy in the queue is no object; the one that was sent goes here.
        sends = Sends()
        send("b", 1)
        send("a", 2)
        del sends
        gc.collect()
        assert receive("finalised", 10)[1] == ("b", 1)


# The end of the program.

HEAD = """
import os, sys, threading, time
import boc
from boc import drain, receive, send, set_tags, when
import crossing
"""

ENDS = {
    "daemon threads wait": """
        for _ in range(5):
            threading.Thread(target=lambda: receive(["a", "b"]), daemon=True).start()
        time.sleep(0.1)
        """,
    "messages are left": """
        for n in range(100):
            send("a", [n, boc.Cown([n])])
        """,
    "messages and workers": """
        boc.start(2)
        when()(lambda: [send("a", [n, boc.Cown([n])]) for n in range(100)]).result()
        """,
    "daemon threads send and receive": """
        def run():
            while True:
                send("a", [1])
                receive(["b", "a"])
        for _ in range(3):
            threading.Thread(target=run, daemon=True).start()
        boc.start(2)
        time.sleep(0.2)
        """,
    "finalisers send": """
        class Last:
            def __del__(self, send=send, receive=receive):
                send("last", [1])
                receive("last", 0)
        last = Last()
        send("a", 1)
        """,
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_program(program, end: str) -> None:
    done = program(HEAD + textwrap.dedent(ENDS[end]) + "\nprint('end')", timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.parametrize("wait_for", ["receive('never')", "receive(['a', 'b'], 100)"])
def test_the_end_while_behaviours_wait_for_messages(program, wait_for: str) -> None:
    begin = time.monotonic()
    done = program(
        HEAD
        + f"""
boc.start(2)
started = crossing.Gate()
def body():
    started.set()
    {wait_for}
results = [when()(body), when()(body)]
started.wait()
print("end")
""",
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert "is still running a behaviour at exit; ending it" in done.stderr
    assert "cannot be ended" not in done.stderr
    assert time.monotonic() - begin < 30


def test_a_behaviour_gets_its_message_at_the_end(program) -> None:
    done = program(
        HEAD
        + """
boc.start(1)
started = crossing.Gate()
@when()
def body():
    started.set()
    print("got", receive("late", 30)[1], flush=True)
started.wait()
threading.Thread(target=lambda: (time.sleep(0.5), send("late", 5)), daemon=True).start()
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "got 5\n", "")


def test_objects_in_messages_are_finalised_at_the_end(program) -> None:
    done = program(
        HEAD
        + """
class Last:
    def __init__(self, n): self.n = n
    def __del__(self): print("gone", self.n, flush=True)
boc.start(1)
send("a", Last(1))
receive("a")
send("a", Last(2))
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    # A copy in a queue is bytes. What was sent has gone by itself, and so has what was received.
    assert set(done.stdout.splitlines()) == {"gone 1", "gone 2"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_a_child_begins_without_messages(program) -> None:
    done = program(
        HEAD
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
set_tags(["a"], limit=1)
send("a", "the parent's")
assert receive("later", 0)[1] is None  # what is imported by that is there now: a fork in the middle is no child's
waiting = threading.Thread(target=lambda: print(receive("later", 30), flush=True))
waiting.start()
time.sleep(0.1)
pid = os.fork()
if pid == 0:
    assert receive("a", 0)[1] is None
    for n in range(10): send("a", n)
    assert when()(lambda: receive("a", 10)).result(10) == ("a", 0)
    boc.wait(10)
    sys.stdout.flush()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
send("later", 1)
waiting.join()
print(receive("a"))
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "('later', 1)\n('a', \"the parent's\")\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_forks_while_messages_fly(program) -> None:
    done = program(
        HEAD
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
over = False
def run():
    while not over:
        send("a", 1)
        receive(["a", "b"], 1)
threads = [threading.Thread(target=run) for _ in range(3)]
for thread in threads: thread.start()
for n in range(20):
    pid = os.fork()
    if pid == 0:
        send("a", n)
        os._exit(7 if receive(["a"], 10) == ("a", n) else 8)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
over = True
for thread in threads: thread.join()
print("end")
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_random_programs_against_lost_wakes() -> None:
    """Who waits is woken, whatever the others want: long timeouts would make this take for ever."""
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(20):
        tags = [f"{n}" for n in range(3)]
        wants = [chance.sample(tags, chance.randint(1, 3)) for _ in range(4)]
        received: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def run(wanted, received=received):
            received.put((wanted, receive(wanted, 60)))

        threads = [start(run, [*wanted, "end"]) for wanted in wants]
        sent = [chance.choice(tags) for _ in range(6)]
        senders = [start(send, tag, n) for n, tag in enumerate(sent)]
        for thread in senders:
            thread.join()
        time.sleep(0.005)
        # Nobody waits for what is there.
        left = everything(*tags)
        for _ in range(4):
            send("end", None)
        begin = time.monotonic()
        got = [received.get(timeout=60) for _ in threads]
        assert time.monotonic() - begin < 30
        for thread in threads:
            thread.join()
        messages = [message for _, message in got if message[0] != "end"]
        assert sorted([*left, *messages], key=lambda m: m[1]) == [(tag, n) for n, tag in enumerate(sent)]
        drain("end")


def test_what_was_sent_is_there() -> None:
    """Also if another thread that sends under the same tag was stopped in the middle of that."""

    def run() -> int:
        until = time.monotonic() + 1
        missed = 0
        while time.monotonic() < until and missed < 1_000:
            send("own", 1)
            missed += receive("own", 0) == (TIMEOUT, None)
        return missed

    with ThreadPoolExecutor(6) as threads:
        running = [threads.submit(run) for _ in range(6)]
    assert sum(future.result() for future in running) == 0
    assert everything("own") == []
