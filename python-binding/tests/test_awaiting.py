"""Results that others wait for: `await`, futures, callbacks; and behaviours that are cancelled."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import threading
import time
import weakref
from concurrent.futures import CancelledError

import pytest

import boc
from boc import Cown, quiesce, wait, when
from crossing import Gate, Log, works

# `done` and `cancel`.


def test_done(gate: Gate) -> None:
    result = when()(lambda: gate.wait(60))
    assert result.done() is False
    gate.set()
    result.result()
    assert result.done() is True


def test_what_has_not_started_can_be_cancelled(gate: Gate, log: Log) -> None:
    cown = Cown(1)
    first = when(cown)(lambda cown: gate.wait(60))
    second = when(cown)(lambda cown: log.append("second"))
    third = when(cown)(lambda cown: log.append("third"))
    assert second.cancel() is True
    assert second.done()
    assert second.cancel() is False, "it is cancelled already"
    gate.set()
    for _ in range(2):
        with pytest.raises(CancelledError, match=r"cancelled before it started.*cancel\(\)"):
            second.result()
    third.result()
    assert list(log) == ["third"]
    assert first.result() is True


def test_what_has_started_cannot_be_cancelled(gate: Gate) -> None:
    started = Gate()
    running = when()(lambda: started.set() or gate.wait(60))
    assert started.wait(60)
    assert running.cancel() is False
    gate.set()
    assert running.result() is True
    assert running.cancel() is False


def test_behaviours_over_a_cancelled_result_learn_of_it(gate: Gate) -> None:
    boc.start(2)
    cown = Cown(0)
    when(cown)(lambda cown: gate.wait(60))
    never = when(cown)(lambda cown: 5)

    @when(never)
    def after(never: Cown[int]) -> tuple[bool, str]:
        try:
            never.result()
        except Exception as exception:
            raised = type(exception).__name__
        return never.exception, type(never.value).__name__, raised

    assert never.cancel()
    assert after.result() == (True, "CancelledError", "CancelledError")
    gate.set()
    quiesce()
    with pytest.raises(CancelledError):
        never.unwrap()
    assert never.unwrap() is None, "as with other exceptions"


@pytest.mark.by_reference("a weak reference")
def test_what_is_cancelled_is_let_go_of(gate: Gate) -> None:
    class Thing:
        pass

    cown, thing = Cown(0), Thing()
    gone = weakref.ref(thing)
    when(cown)(lambda cown: gate.wait(60))
    never = when(cown)(lambda cown, thing=thing: thing)
    del thing
    assert never.cancel()
    gc.collect()
    assert gone() is None


def test_cancelling_inside_of_a_behaviour(gate: Gate) -> None:
    boc.start(2)
    cown = Cown(0)
    when(cown)(lambda cown: gate.wait(60))
    never = when(cown)(lambda cown: 5)
    box = Cown(never)
    assert when(box)(lambda box: (box.value.done(), box.value.cancel(), box.value.done())).result() == (
        False,
        True,
        True,
    )
    with pytest.raises(CancelledError):
        never.result()


def test_other_cowns_are_no_results() -> None:
    cown = Cown(1)
    for use in (
        cown.done,
        cown.cancel,
        cown.future,
        lambda: cown.add_done_callback(print),
        lambda: cown.__await__(),
    ):
        with pytest.raises(RuntimeError, match="not the result of a behaviour.*@when"):
            use()


# Callbacks.


def test_callbacks_get_the_result(gate: Gate) -> None:
    called: list[object] = []
    ended = threading.Event()
    result = when()(lambda: gate.wait(60) and 5)
    result.add_done_callback(called.append)
    result.add_done_callback(lambda result: called.append(result.result()))
    result.add_done_callback(lambda result: ended.set())
    assert called == []
    gate.set()
    assert ended.wait(60)
    assert called[0] is result and called[1] == 5

    late = threading.Event()
    result.add_done_callback(lambda result: late.set())
    assert late.wait(60), "also if the behaviour has ended before"


@pytest.mark.parametrize("how", ["raised", "cancelled"])
def test_callbacks_of_what_has_no_value(gate: Gate, how: str) -> None:
    seen: list[BaseException] = []
    ended = threading.Event()
    cown = Cown(0)
    when(cown)(lambda cown: gate.wait(60))
    result = when(cown)(lambda cown: 1 // 0)

    def callback(result: Cown[int]) -> None:
        try:
            result.result()
        except Exception as exception:
            seen.append(exception)
        ended.set()

    result.add_done_callback(callback)
    if how == "cancelled":
        assert result.cancel()
    gate.set()
    assert ended.wait(60)
    assert type(seen[0]) is (CancelledError if how == "cancelled" else ZeroDivisionError)


def test_a_callback_that_fails_stops_nobody(caplog: pytest.LogCaptureFixture, gate: Gate) -> None:
    ended = threading.Event()
    result = when()(lambda: gate.wait(60) and 1)
    for error in ValueError("wrong"), SystemExit(3), KeyboardInterrupt():
        def fail(result: Cown[int], error: BaseException = error) -> None:
            raise error

        result.add_done_callback(fail)
    result.add_done_callback(lambda result: ended.set())
    # Not before all of them are there: who comes too late is called at once, beside those that are being called.
    gate.set()
    assert ended.wait(60)
    records = [record for record in caplog.records if record.name == "boc"]
    assert len(records) == 3
    assert all("callback" in record.getMessage() and record.levelno == logging.ERROR for record in records)


def test_a_callback_that_fails_where_that_cannot_be_logged(capfd: pytest.CaptureFixture[str]) -> None:
    class Refusing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise ValueError("no record passes")

    logger, refusing = logging.getLogger("boc"), Refusing()
    logger.addFilter(refusing)
    try:
        result = when()(lambda: 1)
        result.add_done_callback(lambda result: 1 // 0)
        assert result.future().result(60) == 1, "others are still called"
    finally:
        logger.removeFilter(refusing)
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said and "no record passes" in said


def test_a_callback_may_schedule_and_wait() -> None:
    answers: list[int] = []
    ended = threading.Event()

    def callback(result: Cown[int]) -> None:
        answers.append(when(Cown(result.result()))(lambda cown: cown.value + 1).result(60))
        ended.set()

    when()(lambda: 1).add_done_callback(callback)
    assert ended.wait(60)
    assert answers == [2]


def test_many_callbacks_from_many_threads() -> None:
    boc.start(2)
    cown, count = Cown(0), 200
    called: list[int] = []
    ended = threading.Semaphore(0)

    def callback(result: Cown[int]) -> None:
        called.append(result.result())
        ended.release()

    def add(cown: Cown[int]) -> int:
        cown.value += 1
        return cown.value

    def schedule() -> None:
        for _ in range(count):
            when(cown)(add).add_done_callback(callback)

    threads = [threading.Thread(target=schedule) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ended.acquire(timeout=60) for _ in range(3 * count))
    assert sorted(called) == list(range(1, 3 * count + 1))


def test_a_callback_has_to_be_callable() -> None:
    with pytest.raises(TypeError, match="wants a callable, not an object of type int"):
        when()(lambda: 1).add_done_callback(5)  # type: ignore[arg-type]


def test_no_callbacks_inside_of_behaviours() -> None:
    result = when()(lambda: 1)
    result.result()

    @when(result)
    def inside(result: Cown[int]) -> list[str]:
        texts = []
        for use in lambda: result.add_done_callback(print), result.future:
            try:
                use()
            except RuntimeError as error:
                texts.append(str(error))
        return texts

    assert all("inside of a behaviour" in text and "@when(result)" in text for text in inside.result())
    assert len(inside.result()) == 2


@pytest.mark.by_value
def test_no_callbacks_in_threads_of_a_workers_interpreter(gate: Gate) -> None:
    boc.start(2)
    first = when()(lambda: 1)
    assert first.future().result(60) == 1, "somebody calls callbacks"
    pending = when()(lambda: gate.wait(60))

    @when()
    def body() -> list[str]:
        import asyncio
        import threading

        async def wait_for() -> object:
            return await pending

        texts = []

        def try_all() -> None:
            for use in lambda: pending.add_done_callback(print), pending.future, lambda: asyncio.run(wait_for()):
                try:
                    use()
                except RuntimeError as error:
                    texts.append(str(error))
            gate.set()
            texts.append(str(pending.result()))

        thread = threading.Thread(target=try_all)
        thread.start()
        thread.join()
        return texts

    *refused, waited = body.result(60)
    assert waited == "True"
    assert len(refused) == 3
    assert all("in the interpreter of the program alone" in text and "result()" in text for text in refused)


# Futures.


def test_a_future_ends_as_the_behaviour_does(gate: Gate) -> None:
    good = when()(lambda: gate.wait(60) and [1, 2])
    bad = when()(lambda: gate.wait(60) and 1 // 0)
    futures = [good.future(), bad.future()]
    assert isinstance(futures[0], concurrent.futures.Future)
    assert not futures[0].done()
    gate.set()
    done, pending = concurrent.futures.wait(futures, 60)
    assert not pending
    assert futures[0].result() == [1, 2]
    assert type(futures[1].exception()) is ZeroDivisionError


def test_to_cancel_a_future_cancels_the_behaviour(gate: Gate, log: Log) -> None:
    cown, started = Cown(0), Gate()
    first = when(cown)(lambda cown: started.set() or gate.wait(60)).future()
    never = when(cown)(lambda cown: log.append("never")).future()
    assert started.wait(60)
    assert never.cancel() is True and never.cancelled()
    assert never.cancel() is True, "as for other futures"
    assert first.cancel() is False
    assert list(concurrent.futures.as_completed([never], 60)) == [never]
    gate.set()
    assert first.result(60) is True
    quiesce()
    assert list(log) == []


def test_the_future_of_a_behaviour_that_was_cancelled(gate: Gate) -> None:
    cown = Cown(0)
    when(cown)(lambda cown: gate.wait(60))
    result = when(cown)(lambda cown: 1)
    future = result.future()
    assert result.cancel()
    with pytest.raises(CancelledError):
        future.result(60)
    assert future.cancelled()


# `await`.


def test_await_gives_what_the_body_returned() -> None:
    async def main() -> None:
        cown = Cown(0)

        def add(cown: Cown[int]) -> int:
            cown.value += 1
            return cown.value

        assert await when(cown)(add) == 1
        assert await asyncio.gather(*(when(cown)(add) for _ in range(20))) == list(range(2, 22))
        ended = when(cown)(add)
        quiesce()
        assert (await ended, await ended) == (22, 22)

    asyncio.run(main())


def test_await_raises_what_the_body_raised() -> None:
    async def main() -> None:
        result = when()(lambda: {}["missing"])
        for _ in range(2):
            with pytest.raises(KeyError, match="missing"):
                await result

    asyncio.run(main())


def test_the_loop_goes_on_meanwhile(gate: Gate) -> None:
    async def main() -> None:
        result = when()(lambda: gate.wait(60))
        waiting = asyncio.ensure_future(result)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        gate.set()
        assert await waiting is True

    asyncio.run(main())


def test_who_stops_awaiting_does_not_cancel(gate: Gate) -> None:
    async def main() -> None:
        result = when()(lambda: gate.wait(60) and "done")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(result, 0.02)
        gate.set()
        assert await result == "done"

    asyncio.run(main())


def test_nothing_is_left_of_who_stops_awaiting(gate: Gate) -> None:
    result = when()(lambda: gate.wait(60))

    async def stop_awaiting(times: int) -> None:
        for _ in range(times):
            task = asyncio.ensure_future(asyncio.wait_for(result, 60))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def main() -> bool:
        waits = asyncio.ensure_future(asyncio.wait_for(result, 60))
        await stop_awaiting(10)
        gc.collect()
        before = len(gc.get_objects())
        await stop_awaiting(200)
        gc.collect()
        assert len(gc.get_objects()) < before + 200
        gate.set()
        return await waits

    assert asyncio.run(main()) is True


def test_awaiting_what_is_cancelled(gate: Gate) -> None:
    async def main() -> None:
        cown = Cown(0)
        when(cown)(lambda cown: gate.wait(60))
        result = when(cown)(lambda cown: 1)
        waiting = asyncio.ensure_future(result)
        await asyncio.sleep(0)
        assert result.cancel()
        with pytest.raises(CancelledError):
            await waiting

    asyncio.run(main())
    gate.set()


def test_a_loop_that_is_closed_meanwhile(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    result = when()(lambda: gate.wait(60) and 7)

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(result, 0.01)

    asyncio.run(give_up())
    gate.set()
    assert result.result() == 7
    # Callbacks come in the order in which they were asked for.
    called = threading.Event()
    result.add_done_callback(lambda result: called.set())
    assert called.wait(60)
    assert not caplog.records
    assert asyncio.run(_wait_for(result)) == 7, "and another loop gets it"


async def _wait_for(result: Cown[int]) -> int:
    return await result


def test_several_loops_wait_for_one_result(gate: Gate) -> None:
    result = when()(lambda: gate.wait(60) and "for all")
    answers: list[str] = []
    started = threading.Barrier(5)

    def run() -> None:
        async def main() -> None:
            waiting = asyncio.ensure_future(result)
            await asyncio.sleep(0)
            started.wait(60)
            answers.append(await waiting)

        asyncio.run(main())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(60)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert answers == ["for all"] * 4


def test_trio_waits_as_well(gate: Gate) -> None:
    trio = pytest.importorskip("trio")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            result = when()(lambda: gate.wait(60) and "from a worker")

            async def open_the_gate() -> None:
                await trio.sleep(0.02)
                gate.set()

            nursery.start_soon(open_the_gate)
            assert await result == "from a worker"
        blocked = when()(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await blocked

    trio.run(main)


def test_no_await_inside_of_behaviours(gate: Gate) -> None:
    boc.start(2)
    pending = when()(lambda: gate.wait(60))
    box = Cown(pending)

    @when(box)
    def inside(box: Cown[Cown[bool]]) -> str:
        async def main() -> None:
            await box.value

        try:
            asyncio.run(main())
        except RuntimeError as error:
            return str(error)
        return "it waited"

    text = inside.result()
    assert "await inside of a behaviour could wait for ever" in text and "@when(result)" in text


def test_an_exception_that_was_awaited_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await when()(lambda: 1 // 0)

    asyncio.run(main())
    wait()
    gc.collect()
    assert not caplog.records


# The end.


def test_callbacks_are_called_before_the_end(program) -> None:
    done = program(
        """
        import boc
        for n in range(100):
            result = boc.when()(lambda: n)
            result.add_done_callback(lambda result: print("called"))
        boc.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "called\n" * 100


def test_a_callback_that_does_not_end_does_not_keep_the_process(program) -> None:
    done = program(
        """
        import boc, time
        boc.when()(lambda: 1).add_done_callback(lambda result: time.sleep(1000))
        boc.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_callbacks_are_called_until_the_very_end(program) -> None:
    done = program(
        """
        import atexit, threading, time, boc

        result, cown = boc.when()(lambda: 1), boc.Cown(2)
        assert result.future().result() == 1

        def outlive():
            cown.acquire()
            late = boc.when(cown)(lambda cown: 3).future()
            ready.set()
            time.sleep(0.5)
            cown.release()
            try:
                print(late.result(10))
            except CancelledError:
                print("cancelled")

        from concurrent.futures import CancelledError
        atexit.register(lambda: print(result.future().result(10)))
        ready = threading.Event()
        threading.Thread(target=outlive).start()
        ready.wait()
        """
    )
    assert (done.returncode, done.stdout) == (0, "cancelled\n1\n"), done.stderr


def test_ctrl_c_while_a_callback_keeps_the_end_waiting(program) -> None:
    done = program(
        """
        import os, signal, sys, threading, time, boc

        def keep(result):
            while threading.main_thread().is_alive():
                time.sleep(0.01)
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1000)

        boc.when()(lambda: 1 // 0).add_done_callback(keep)
        raised = boc.when()(lambda: 1 // 0)
        boc.wait()
        """
    )
    assert done.returncode == 0, done.stderr
    assert "KeyboardInterrupt" not in done.stderr
    assert done.stderr.count("that nobody looked at") == 2, "what comes next at the end was done"


def test_results_that_nobody_waits_for_any_more_at_the_end(program) -> None:
    done = program(
        """
        import asyncio, boc, time
        cown = boc.Cown(0)
        async def main():
            boc.when(cown)(lambda cown: time.sleep(0.2))
            task = asyncio.ensure_future(boc.when(cown)(lambda cown: 5))
            await asyncio.sleep(0)
        asyncio.run(main())
        print("ends")
        """
    )
    assert (done.returncode, done.stdout) == (0, "ends\n")
    assert "Traceback" not in done.stderr


def test_a_child_waits_for_its_own(program) -> None:
    done = program(
        """
        import asyncio, os, boc
        async def main(value): return await boc.when(boc.Cown(value))(lambda cown: cown.value)
        assert asyncio.run(main(1)) == 1
        child = os.fork()
        if child == 0:
            assert asyncio.run(main(2)) == 2
            boc.wait()
            raise SystemExit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert asyncio.run(main(3)) == 3
        boc.wait()
        """,
        "-W",
        "ignore",
    )
    # In development mode asyncio says so of what takes long, which depends on what else the machine does.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, said) == (0, [])


def test_everything_still_works_after_that() -> None:
    works()
