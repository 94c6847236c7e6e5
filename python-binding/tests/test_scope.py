"""Scopes: waiting for what was scheduled in a block, and what that leads to."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time

import pytest

import boc
from boc import Cown, quiesce, scope, when
from crossing import Gate, Log, works

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


def test_all_is_done_at_the_end() -> None:
    cowns = [Cown(0) for _ in range(10)]
    with scope():
        results = [when(cown)(lambda cown: time.sleep(0.005)) for cown in cowns]
    assert all(result.done() for result in results)


def test_an_empty_scope_ends_at_once() -> None:
    with scope():
        pass


def test_what_behaviours_schedule_is_part_of_it(log: Log) -> None:
    boc.start(2)
    cown = Cown(0)

    def step(cown: Cown[int], left: int) -> None:
        time.sleep(0.002)
        cown.value += 1
        if left:
            when(cown)(lambda cown, left=left: step(cown, left - 1))
            when()(lambda left=left: log.append(left))

    with scope():
        when(cown)(lambda cown: step(cown, 10))
    assert sorted(log) == list(range(1, 11))  # type: ignore[type-var]
    assert when(cown)(lambda cown: cown.value).result() == 11


def test_others_are_not_waited_for(gate: Gate) -> None:
    boc.start(2)
    before = when()(lambda: gate.wait(60))
    with scope():
        inside = when()(lambda: 1)
    assert inside.done() and not before.done()
    after = when()(lambda: 2)
    assert after.result() == 2
    gate.set()


def test_what_another_thread_schedules_is_not_part_of_it(gate: Gate) -> None:
    boc.start(2)
    results: list[Cown[bool]] = []
    with scope():
        thread = threading.Thread(target=lambda: results.append(when()(lambda: gate.wait(60))))
        thread.start()
        thread.join()
    assert not results[0].done()
    gate.set()


def test_scopes_in_scopes(gate: Gate) -> None:
    boc.start(2)
    cown = Cown(0)
    with scope():
        outer = when()(lambda: gate.wait(60))
        with scope():
            inner = when(cown)(lambda cown: 1)
        assert inner.done() and not outer.done()
        again = when()(lambda: 2)
        gate.set()
    assert outer.done() and again.done()


def test_the_outer_scope_waits_for_what_the_inner_one_has_left(gate: Gate) -> None:
    boc.start(2)
    with scope():
        with pytest.raises(TimeoutError):
            with scope(timeout=0.01):
                left = when()(lambda: gate.wait(60))
        gate.set()
    assert left.done()


def test_failures_come_as_a_group() -> None:
    cown = Cown(0)

    def fail(cown: Cown[int], text: str) -> None:
        raise ValueError(text)

    with pytest.raises(ExceptionGroup, match="behaviours of a scope have failed") as caught:
        with scope():
            for text in "abc":
                when(cown)(lambda cown, text=text: fail(cown, text))
            when(cown)(lambda cown: when(cown)(lambda cown: {}["deeper"]))
            when(cown)(lambda cown: 1)
    exceptions = caught.value.exceptions
    assert [str(exception) for exception in exceptions[:3]] == ["a", "b", "c"]
    assert [type(exception) for exception in exceptions[3:]] == [KeyError]
    assert caught.value.__cause__ is None


def test_failures_that_somebody_has_looked_at_are_dealt_with(caplog: pytest.LogCaptureFixture) -> None:
    with scope():
        bad = when()(lambda: 1 // 0)

        @when(bad)
        def look(bad: Cown[int]) -> bool:
            return bad.exception

        with pytest.raises(ZeroDivisionError):
            when()(lambda: 1 // 0).result()
    assert look.result() is True
    gc.collect()
    assert not caplog.records


def test_failures_that_were_raised_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ExceptionGroup):
        with scope():
            when()(lambda: 1 // 0)
    boc.wait()
    gc.collect()
    assert not caplog.records


def test_a_block_that_raises_cancels_what_has_not_started(gate: Gate, log: Log) -> None:
    cown, started = Cown(0), Gate()
    with pytest.raises(KeyError, match="in the block"):
        with scope():
            first = when(cown)(lambda cown: started.set() or gate.wait(60))
            second = when(cown)(lambda cown: log.append("never"))
            assert started.wait(60)
            threading.Timer(0.05, gate.set).start()
            raise KeyError("in the block")
    assert first.done() and second.done()
    assert first.result() is True, "what has started ends"
    quiesce()
    assert list(log) == []


def test_what_is_scheduled_after_that_is_cancelled(gate: Gate, log: Log) -> None:
    boc.start(2)
    started = Gate()

    def body() -> None:
        started.set()
        gate.wait(60)
        when()(lambda: log.append("never"))

    with pytest.raises(KeyError):
        with scope():
            when()(body)
            assert started.wait(60)
            threading.Timer(0.05, gate.set).start()
            raise KeyError
    quiesce()
    assert list(log) == []


def test_a_block_and_behaviours_that_fail() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        with scope():
            bad = when()(lambda: 1 // 0)
            while not bad.done():
                time.sleep(0.001)
            raise KeyError("in the block")
    assert [type(exception) for exception in caught.value.exceptions] == [KeyError, ZeroDivisionError]


def test_an_exit_goes_on_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    for error in KeyboardInterrupt, SystemExit:
        with pytest.raises(error):
            with scope():
                raise error


def test_behaviours_that_exit() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        with scope():
            when()(lambda: sys.exit(3))
    assert [type(exception) for exception in caught.value.exceptions] == [SystemExit]


def test_a_timeout(gate: Gate, log: Log) -> None:
    cown = Cown(0)
    with pytest.raises(TimeoutError, match="still running or waiting after 0.02 s"):
        with scope(timeout=0.02):
            first = when(cown)(lambda cown: gate.wait(60))
            second = when(cown)(lambda cown: log.append("never"))
    assert second.done() and not first.done()
    gate.set()
    quiesce()
    assert list(log) == []
    with scope(timeout=60):
        when(cown)(lambda cown: None)


@pytest.mark.parametrize("timeout", ["1", float("nan")])
def test_timeouts_that_are_none(timeout: object) -> None:
    with pytest.raises((TypeError, ValueError), match="number of seconds"):
        scope(timeout=timeout)  # type: ignore[arg-type]


def test_cancel(gate: Gate, log: Log) -> None:
    cown = Cown(0)
    with scope() as s:
        when(cown)(lambda cown: gate.wait(60))
        when(cown)(lambda cown: log.append("never"))
        s.cancel()
        when(cown)(lambda cown: log.append("never"))
        gate.set()
    assert list(log) == []
    with pytest.raises(RuntimeError, match="outside of its block"):
        s.cancel()


def test_a_scope_is_for_one_block_at_a_time() -> None:
    one = scope()
    with one:
        with pytest.raises(RuntimeError, match="open already"):
            with one:
                pass
    with one:
        result = when()(lambda: 1)
    assert result.done()


def test_no_scopes_inside_of_behaviours() -> None:
    def body() -> None:
        with scope():
            pass

    with pytest.raises(RuntimeError, match=r"scope\(\) inside of a behaviour.*@when"):
        when()(body).result()


def test_many_behaviours_leave_nothing_behind() -> None:
    boc.start(2)
    cown = Cown(0)

    def add(cown: Cown[int]) -> None:
        cown.value += 1

    with scope():
        for _ in range(5000):
            when(cown)(add)
        quiesce()
        gc.collect()
    assert when(cown)(lambda cown: cown.value).result() == 5000


def test_stopping_the_workers_inside() -> None:
    with scope():
        first = when()(lambda: 1)
        boc.wait()
        second = when()(lambda: 2)
    assert (first.result(), second.result()) == (1, 2)


def test_tasks_of_a_loop_have_their_own(gate: Gate) -> None:
    boc.start(2)

    async def waits_long() -> bool:
        async with scope():
            result = when()(lambda: gate.wait(60))
        return result.done()

    async def main() -> None:
        other = asyncio.ensure_future(waits_long())
        await asyncio.sleep(0)
        async with scope():
            mine = when()(lambda: 1)
            await asyncio.sleep(0)
        assert mine.done() and not other.done()
        gate.set()
        assert await other

    asyncio.run(main())


def test_failures_and_timeouts_in_a_loop(gate: Gate) -> None:
    boc.start(2)

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            async with scope():
                when()(lambda: 1 // 0)
        with pytest.raises(TimeoutError):
            async with scope(timeout=0.02):
                when()(lambda: gate.wait(60))
        gate.set()

    asyncio.run(main())


def test_a_task_that_goes_on_after_the_block() -> None:
    async def main() -> None:
        later = asyncio.Event()

        async def task() -> int:
            await later.wait()
            return await when()(lambda: 5)

        async with scope():
            outlives = asyncio.ensure_future(task())
            await asyncio.sleep(0)
        later.set()
        assert await outlives == 5

    asyncio.run(main())


def test_trio(gate: Gate) -> None:
    trio = pytest.importorskip("trio")
    boc.start(2)

    async def main() -> None:
        async with scope():
            result = when()(lambda: 1)
        assert result.done()
        with pytest.raises(TimeoutError):
            async with scope(timeout=0.02):
                when()(lambda: gate.wait(60))
        gate.set()

    trio.run(main)


def test_a_child_leaves_the_block_of_its_parent(program) -> None:
    done = program(
        """
        import os, boc, time
        gate = os.pipe()
        with boc.scope():
            boc.when()(lambda: time.sleep(0.3))
            child = os.fork()
            if child == 0:
                assert boc.when()(lambda: 5).result() == 5
        if child == 0:
            boc.wait()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        """,
        "-W",
        "ignore",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_at_the_end_of_the_block(program) -> None:
    done = program(
        """
        import _thread, threading, time, boc
        boc.start(1)
        cown = boc.Cown(0)
        try:
            with boc.scope():
                boc.when(cown)(lambda cown: time.sleep(0.5))
                never = boc.when(cown)(lambda cown: print("never"))
                threading.Timer(0.1, _thread.interrupt_main).start()
        except KeyboardInterrupt:
            assert never.done()
            print("interrupted")
        boc.wait()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_everything_still_works_after_that() -> None:
    works()


def test_a_child_leaves_the_block_of_its_parent_also_where_that_does_not_block(program) -> None:
    done = program(
        """
        import asyncio, os, boc
        async def main():
            async with boc.scope():
                result = boc.when()(lambda: 5)
                child = os.fork()
            if child == 0:
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert result.done()
        asyncio.run(main())
        boc.wait()
        """,
        "-W",
        "ignore",
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


class Mistake(Exception):
    pass


def test_failures_that_were_looked_at_are_not_kept() -> None:
    def fail() -> None:
        raise Mistake

    def count() -> int:
        gc.collect()
        return sum(type(thing) is Mistake for thing in gc.get_objects())

    with scope():
        for _ in range(500):
            with pytest.raises(Mistake):
                when()(fail).result()
        assert count() < 200
