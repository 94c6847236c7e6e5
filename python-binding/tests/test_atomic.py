"""Blocks whose behaviours are scheduled as one step."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

import boc
from boc import Buffer, Cown, atomic, quiesce, receive, scope, send, wait, when, whencall
from crossing import Gate, Log, works


def test_nobody_comes_between(gate: Gate, log: Log) -> None:
    boc.start(2)
    a, b = Cown(0), Cown(0)
    with atomic():
        first = when(a)(lambda a: log.append("first"))
        thread = threading.Thread(target=lambda: when(a, b)(lambda a, b: log.append("other")))
        thread.start()
        thread.join()
        second = when(b)(lambda b: log.append("second"))
        third = when(a, b)(lambda a, b: log.append("third"))
        quiet = when()(lambda: 5)
    assert (third.result(), first.done(), second.done(), quiet.result()) == (None, True, True, 5)
    quiesce()
    # The other one was scheduled before the block ended, and so before all of it.
    assert list(log)[0] == "other" and list(log)[-1] == "third"


def test_transfers_are_seen_whole() -> None:
    boc.start(2)
    accounts = [Cown(100) for _ in range(3)]
    seen: list[Cown[int]] = []

    def add(account: Cown[int], amount: int) -> None:
        account.value += amount

    def look() -> None:
        for _ in range(300):
            seen.append(when(accounts)(lambda accounts: sum(account.value for account in accounts)))

    looker = threading.Thread(target=look)
    looker.start()
    for n in range(300):
        with atomic():
            whencall(add, [accounts[n % 3]], [-10])
            whencall(add, [accounts[(n + 1) % 3]], [10])
    looker.join()
    assert {result.result() for result in seen} == {300}


def test_nothing_runs_before_the_end(log: Log) -> None:
    with atomic():
        result = when()(lambda: log.append("ran"))
        assert not result.done()
        assert list(log) == []
    result.result()
    assert list(log) == ["ran"]


def test_a_block_that_raises_schedules_nothing(log: Log) -> None:
    cown = Cown(0)
    with pytest.raises(KeyError):
        with atomic():
            never = when(cown)(lambda cown: log.append("never"))
            raise KeyError
    with pytest.raises(CancelledError):
        never.result()
    assert when(cown)(lambda cown: 1).result() == 1
    assert list(log) == []


def test_an_empty_block() -> None:
    with atomic():
        pass
    works()


def test_blocks_in_blocks_are_one(log: Log) -> None:
    cown = Cown(0)
    with atomic():
        when(cown)(lambda cown: log.append(1))
        with atomic():
            inner = when(cown)(lambda cown: log.append(2))
        assert not inner.done()
        when(cown)(lambda cown: log.append(3))
    quiesce()
    assert list(log) == [1, 2, 3]


def test_inside_of_a_behaviour(log: Log) -> None:
    cown = Cown(0)

    @when()
    def body() -> None:
        with atomic():
            when(cown)(lambda cown: log.append(1))
            when(cown)(lambda cown: log.append(2))

    body.result()
    quiesce()
    assert list(log) == [1, 2]


USES: dict[str, Callable[[Cown[int]], object]] = {
    "result": lambda result: result.result(),
    "acquire": lambda result: result.acquire(),
    "with": lambda result: result.__enter__(),
    "exception": lambda result: result.exception,
    "cancel": lambda result: result.cancel(),
    "future": lambda result: result.future(),
    "callback": lambda result: result.add_done_callback(print),
    "when": lambda result: when(result)(lambda result: None),
    "when in a list": lambda result: when([result], Cown(1))(lambda results, cown: None),
    "await": lambda result: asyncio.run(awaited(result)),
}


async def awaited(result: Cown[int]) -> int:
    return await result


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_results_are_for_later(use: Callable[[Cown[int]], object]) -> None:
    with atomic():
        result = when()(lambda: 5)
        with pytest.raises(RuntimeError, match=r"block of atomic\(\).*before the end"):
            use(result)
        raised: list[str] = []
        thread = threading.Thread(target=lambda: raised.append(str(pytest.raises(RuntimeError, use, result).value)))
        thread.start()
        thread.join()
        assert raised and "atomic()" in raised[0]
    assert result.result() == 5
    assert when(result)(lambda result: result.value).result() == 5


def test_waiting_is_for_later() -> None:
    with atomic():
        result = when()(lambda: 5)
        for use in (quiesce, wait, lambda: scope().__enter__()):
            with pytest.raises(RuntimeError, match=r"inside of atomic\(\).*behind the block"):
                use()
    quiesce()
    assert result.result() == 5


def test_others_can_be_waited_for() -> None:
    before = when()(lambda: 1)
    with atomic():
        assert before.result() == 1
        when()(lambda: 2)


def test_a_scope_around_it(log: Log) -> None:
    cown = Cown(0)
    with scope():
        with atomic():
            when(cown)(lambda cown: log.append(1))
            when(cown)(lambda cown: log.append(2))
    assert list(log) == [1, 2]
    with pytest.raises(KeyError):
        with scope() as s:
            with atomic():
                never = when(cown)(lambda cown: log.append("never"))
                s.cancel()
            raise KeyError
    assert never.done()
    assert list(log) == [1, 2]


@pytest.mark.by_value
def test_buffers_move_at_the_end(log: Log) -> None:
    one, other = Buffer(b"one"), Buffer(b"other")
    with pytest.raises(KeyError):
        with atomic():
            when()(lambda: bytes(one))
            raise KeyError
    assert bytes(one) == b"one", "nothing was sent"
    with pytest.raises(ValueError):
        with atomic():
            when()(lambda: bytes(one))
            when()(lambda: bytes(one) + bytes(other))
    assert (bytes(one), bytes(other)) == (b"one", b"other"), "it can go to one of them only"
    with atomic():
        results = when()(lambda: bytes(one)), when()(lambda: bytes(other))
        assert bytes(one) == b"one"
    assert [result.result() for result in results] == [b"one", b"other"]
    with pytest.raises(Exception):
        bytes(one)


def test_threads_have_their_own(log: Log) -> None:
    boc.start(2)
    opened, scheduled = threading.Event(), threading.Event()

    def other() -> None:
        opened.wait(60)
        assert when()(lambda: 1).result() == 1
        scheduled.set()

    thread = threading.Thread(target=other)
    thread.start()
    with atomic():
        opened.set()
        assert scheduled.wait(60), "who is in no block schedules at once"
    thread.join()


def test_what_is_refused_does_not_end_the_block(log: Log) -> None:
    cown = Cown(0)
    with atomic():
        when(cown)(lambda cown: log.append(1))
        with pytest.raises(TypeError):
            when(cown)(lambda: None)
        with pytest.raises(TypeError):
            when(5)  # type: ignore[call-overload]
        when(cown)(lambda cown: log.append(2))
    quiesce()
    assert list(log) == [1, 2]


def test_misuse() -> None:
    with pytest.raises(TypeError, match="atomic"):
        atomic(1)  # type: ignore[call-arg]
    with pytest.raises(RuntimeError, match=r"in no block of atomic\(\)"):
        atomic().__exit__(None, None, None)
    works()


def test_a_child_leaves_the_block_to_its_parent(program) -> None:
    done = program(
        """
        import os, boc
        cown = boc.Cown(0)
        with boc.atomic():
            result = boc.when(cown)(lambda cown: 5)
            child = os.fork()
        if child == 0:
            assert boc.when()(lambda: 6).result() == 6
            with boc.atomic():
                other = boc.when()(lambda: 7)
            assert other.result() == 7
            boc.wait()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert result.result() == 5
        boc.wait()
        """,
        "-W",
        "ignore",
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_thread_that_ends_inside(program) -> None:
    done = program(
        """
        import threading, boc
        results = []
        def body():
            boc.atomic().__enter__()
            results.append(boc.when()(lambda: 5))
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        import time
        while not results[0].done(): time.sleep(0.01)
        try: results[0].result()
        except BaseException as error: print(type(error).__name__)
        boc.wait()
        """,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, "CancelledError\n"), done.stderr


def test_results_of_a_cancelled_block_are_like_others() -> None:
    with pytest.raises(KeyError):
        with atomic():
            result = when()(lambda: 5)
            raise KeyError
    assert result.cancel() is False
    with pytest.raises(CancelledError):
        result.future().result(60)
    told = threading.Event()
    result.add_done_callback(lambda _: told.set())
    assert told.wait(60)
    behind = when(result)(lambda result: type(result.value).__name__)
    assert behind.result() == "CancelledError"


def test_what_is_cancelled_with_its_block_says_what_ended_that() -> None:
    def raises() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        with atomic():
            result = when()(lambda: 5)
            with atomic():
                inner = when()(lambda: 6)
            line = inspect.currentframe().f_lineno + 1
            raises()
    message = f"^the behaviour was cancelled before it started: its block of atomic\\(\\) raised KeyError at {re.escape(__file__)}:{line}$"
    for cancelled in result, inner:
        with pytest.raises(CancelledError, match=message):
            cancelled.result()
        with pytest.raises(CancelledError, match=message):
            when(cancelled)(lambda cancelled: cancelled.result()).result()
        assert re.search(message, when(cancelled)(lambda cancelled: str(cancelled.value)).result())
        with pytest.raises(CancelledError, match=message):
            cancelled.unwrap()


def test_a_block_whose_end_is_called_by_hand() -> None:
    block = atomic()
    block.__enter__()
    result = when()(lambda: 5)
    block.__exit__(ValueError, ValueError(), None)
    with pytest.raises(CancelledError, match=r"its block of atomic\(\) raised ValueError$"):
        result.result()


def test_what_is_cancelled_otherwise_does_not_blame_its_block(gate: Gate) -> None:
    start = when(cown := Cown(0))(lambda _: gate.wait(60))
    with atomic():
        result = when(cown)(lambda cown: 5)
    assert result.cancel()
    gate.set()
    with pytest.raises(CancelledError, match=r"by cancel\(\), or since the workers were stopped$"):
        result.result()
    assert start.result()


def test_behaviours_of_a_block_can_use_its_results() -> None:
    boc.start(2)

    def follow() -> Cown[int]:
        _, result = receive("result")
        return when(result)(lambda result: result.value + 1)

    for _ in range(5):
        with atomic():
            following = whencall(follow, [])
            others = [when()(time.time) for _ in range(2_000)]
            send("result", when()(lambda: 5))
        # The first one runs while the block has not returned yet.
        following.result()
        del others
    quiesce()


def test_a_child_schedules_in_the_block_of_its_parent(program) -> None:
    done = program(
        """
        import os, boc
        with boc.atomic():
            result = boc.when()(lambda: 5)
            child = os.fork()
            if child == 0:
                with boc.atomic():
                    inner = boc.when()(lambda: 6)
                assert inner.result(10) == 6
                assert boc.when()(lambda: 7).result(10) == 7
                boc.wait(10)
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert result.result() == 5
        boc.wait()
        """,
        "-W",
        "ignore",
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_that_end_inside_with_buffers(program) -> None:
    done = program(
        """
        import gc, threading, boc
        def body():
            boc.atomic().__enter__()
            cown, buffer = boc.Cown([boc.Buffer(10)]), boc.Buffer(20)
            boc.when(cown)(lambda cown, buffer=buffer: None)
        for _ in range(200):
            thread = threading.Thread(target=body)
            thread.start()
            thread.join()
            gc.collect()
        boc.wait(10)
        print("ended")
        """,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr
