"""The pump: the main thread runs behaviours over pinned cowns, when it is asked to and while it waits."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import boc
from boc import Cown, PinnedCown, PumpResult, pump, pumping, quiesce, scope, wait, when
from crossing import Gate

MAIN = threading.main_thread().ident


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    boc.set_pump_watchdog(None)
    boc.set_wait_pump_poll()


# pump()


def test_pump_runs_what_is_ready_and_what_becomes_so() -> None:
    cown = PinnedCown(0)

    def again(cown: PinnedCown[int]) -> None:
        cown.value += 1
        if cown.value < 5:
            when(cown)(again)

    when(cown)(again)
    assert pump() == PumpResult(executed=5, deadline_reached=False, raised=0)
    assert pump() == PumpResult(0, False, 0)
    assert cown.unwrap() == 5


def test_pump_with_max_behaviors() -> None:
    cown = PinnedCown[list[int]]([])
    for number in range(5):
        when(cown)(lambda cown, number=number: cown.value.append(number))
    assert pump(max_behaviors=2) == PumpResult(2, False, 0)
    with pytest.raises(RuntimeError, match="unwrap\\(\\) while behaviours are running or waiting"):
        cown.unwrap()
    assert pump(max_behaviors=10**30) == PumpResult(3, False, 0)
    assert cown.unwrap() == [0, 1, 2, 3, 4]


def test_pump_with_a_deadline() -> None:
    cown = PinnedCown(0)

    def slow(cown: PinnedCown[int]) -> None:
        time.sleep(0.01)

    results = [when(cown)(slow) for _ in range(3)]
    assert pump(deadline_ms=1) == PumpResult(1, True, 0)
    assert [result.done() for result in results] == [True, False, False]
    # None is left when this one's time has run out.
    assert pump(deadline_ms=5, max_behaviors=1) == PumpResult(1, False, 0)
    assert pump(1) == PumpResult(1, False, 0)
    assert pump(deadline_ms=sys.maxsize) == PumpResult(0, False, 0)


def test_pump_counts_those_that_raise() -> None:
    cown = PinnedCown(0)
    results = [when(cown)(lambda cown, n=n: 1 / n) for n in (1, 0, 2, 0)]
    assert pump() == PumpResult(4, False, 2)
    assert [result.exception for result in results] == [False, True, False, True]


def test_pump_raises_the_first_exception_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    cown = PinnedCown[list[int]]([])

    def fail(cown: PinnedCown[list[int]], number: int) -> None:
        cown.value.append(number)
        raise ValueError(number)

    results = [when(cown)(lambda cown, n=n: fail(cown, n)) for n in range(3)]
    with pytest.raises(ValueError, match="^0$"):
        pump(raise_on_error=True)
    assert cown.unwrap() == [0, 1, 2]
    assert pump(raise_on_error=True) == PumpResult(0, False, 0)
    del results
    wait()
    gc.collect()
    # The first one was seen.
    logged = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert sorted(logged) == ["1", "2"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("raise_on_error", [False, True])
def test_what_is_no_exception_comes_out_at_once(kind: type[BaseException], raise_on_error: bool) -> None:
    cown = PinnedCown[list[int]]([])

    def fail(cown: PinnedCown[list[int]]) -> None:
        raise kind("from the body")

    before = when(cown)(lambda cown: 1 / 0)
    result = when(cown)(fail)
    rest = when(cown)(lambda cown: cown.value.append(1))
    with pytest.raises(kind, match="from the body"):
        pump(raise_on_error=raise_on_error)
    assert before.exception and result.done() and not rest.done()
    with pytest.raises(kind, match="from the body"):
        result.result()
    assert pump() == PumpResult(1, False, 0)
    assert rest.done()


@pytest.mark.parametrize("waits", [wait, quiesce, lambda: when(PinnedCown(1))(lambda cown: 1).result()])
def test_it_comes_out_of_waits_as_well(waits: Callable[[], Any]) -> None:
    cown = PinnedCown(0)

    def leave(cown: PinnedCown[int]) -> None:
        sys.exit("from the body")

    when(cown)(leave)
    rest = when(cown)(lambda cown: 5)
    with pytest.raises(SystemExit, match="from the body"):
        waits()
    assert rest.result() == 5


def test_unseen_exceptions_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    when(PinnedCown(0))(lambda cown: 1 / 0)
    wait()
    gc.collect()
    (record,) = [record for record in caplog.records if record.name == "boc"]
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("bound", ["deadline_ms", "max_behaviors"])
@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (-1, "-1"), (True, "bool"), (False, "bool"), (1.0, "float"), ("1", "str"), ([], "list")],
)
def test_bounds_are_positive_ints(bound: str, value: Any, told: str) -> None:
    with pytest.raises(TypeError, match=f"^{bound} must be None or a positive int, not {told}$"):
        pump(**{bound: value})


@pytest.mark.parametrize(("value", "told"), [(0, "0"), (True, "bool"), (2.5, "float"), ("1", "str")])
def test_other_times_are_positive_ints(value: Any, told: str) -> None:
    with pytest.raises(TypeError, match=f"^warn_ms must be None or a positive int, not {told}$"):
        boc.set_pump_watchdog(value)
    with pytest.raises(TypeError, match=f"^ms must be a positive int, not {told}$"):
        boc.set_wait_pump_poll(value)
    with pytest.raises(TypeError, match=f"^budget_ms must be a positive int, not {told}$"):
        pumping(budget_ms=value)


@pytest.mark.once
def test_times_that_are_too_large() -> None:
    for call in (
        lambda: pump(deadline_ms=2**70),
        lambda: boc.set_pump_watchdog(2**70),
        lambda: boc.set_wait_pump_poll(2**70),
        lambda: pumping(budget_ms=2**70),
    ):
        with pytest.raises(OverflowError, match="must be at most"):
            call()
    with pytest.raises(TypeError, match="^ms must be a positive int, not NoneType$"):
        boc.set_wait_pump_poll(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^on_starve must be a callable or None, not int$"):
        boc.set_pump_watchdog(1, 3)  # type: ignore[arg-type]


def test_pump_without_workers() -> None:
    with pytest.raises(RuntimeError, match="^pump\\(\\) without workers"):
        pump()
    boc.start()
    assert pump() == PumpResult(0, False, 0)
    wait()
    with pytest.raises(RuntimeError, match="^pump\\(\\) without workers"):
        pump()


def test_pump_in_a_behaviour() -> None:
    cown = PinnedCown(0)
    rest = []

    @when(cown)
    def body(cown: PinnedCown[int]) -> None:
        rest.append(when(cown)(lambda cown: None))
        with pytest.raises(RuntimeError, match="^pump\\(\\) inside of a behaviour"):
            pump()

    assert pump() == PumpResult(2, False, 0)
    body.result()

    @when()
    def in_worker() -> str:
        try:
            pump()
        except RuntimeError as error:
            return str(error)
        return "pumped"

    assert in_worker.result() in (
        "pump() works in the main thread of the main interpreter alone, where pinned cowns live",
        "pump() inside of a worker's interpreter: only the main program pumps, where pinned cowns live",
    )


def test_pump_in_a_handler_of_a_signal_during_pump() -> None:
    errors: list[str] = []

    def handler(*_: object) -> None:
        try:
            pump()
        except RuntimeError as error:
            errors.append(str(error))

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        when(PinnedCown(0))(lambda cown: os.kill(os.getpid(), signal.SIGUSR1))
        pump()
    finally:
        signal.signal(signal.SIGUSR1, before)
    (error,) = errors
    assert error.startswith("pump() inside of")


def test_other_threads_neither_pump_nor_hold_it() -> None:
    cown = PinnedCown(0)
    boc.start()
    errors: dict[str, str] = {}

    def use(name: str, call: Callable[[], Any]) -> None:
        try:
            call()
        except RuntimeError as error:
            errors[name] = str(error)

    def work() -> None:
        use("pump", pump)
        use("acquire", cown.acquire)
        use("with", cown.__enter__)
        use("unwrap", cown.unwrap)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors.pop("pump").startswith("pump() works in the main thread of the main interpreter alone")
    assert set(errors) == {"acquire", "with", "unwrap"}
    for error in errors.values():
        assert error.startswith("a pinned cown can be held in the main thread of the main interpreter alone")
    assert cown.unwrap() == 0


def test_blocking_calls_in_a_body() -> None:
    cown, other = PinnedCown(0), Cown(0)

    @when(cown)
    def body(cown: PinnedCown[int]) -> None:
        pending = when(other)(lambda other: None)
        for call in (wait, quiesce, boc.start, other.acquire, scope().__enter__):
            with pytest.raises(RuntimeError, match="inside of a behaviour"):
                call()
        pending.cancel()

    body.result()


# Waiting, which pumps.


def test_all_waits_of_the_main_thread_pump(gate: Gate) -> None:
    cown = PinnedCown[list[str]]([])

    def note(name: str) -> Cown[None]:
        return when(cown)(lambda cown: cown.value.append(name))

    note("quiesce")
    quiesce(60)
    note("result").result(60)
    with scope(timeout=60):
        note("scope")
    note("acquire")
    with cown as value:
        assert value == ["quiesce", "result", "scope", "acquire"]
    plain = Cown(0)
    when(cown, plain)(lambda cown, plain: cown.value.append("acquire another"))
    with plain:
        pass
    note("wait")
    wait(60)
    assert cown.unwrap() == ["quiesce", "result", "scope", "acquire", "acquire another", "wait"]


def test_a_wait_is_woken_by_what_becomes_ready(gate: Gate) -> None:
    boc.start(1)
    cown, pinned = Cown(0), PinnedCown[list[int]]([])

    def work(cown: Cown[int], pinned: PinnedCown[list[int]]) -> None:
        cown.value += 1
        if cown.value < 100:
            when(pinned)(lambda pinned, cown=cown: next_one(pinned, cown))

    def next_one(pinned: PinnedCown[list[int]], cown: Cown[int]) -> None:
        pinned.value.append(threading.get_ident())
        when(cown)(lambda cown, pinned=pinned: work(cown, pinned))

    with scope(timeout=60):
        when(cown)(lambda cown: work(cown, pinned))
    assert pinned.unwrap() == [MAIN] * 99
    cown = Cown(0)
    when(cown)(lambda cown: work(cown, pinned))
    pinned = PinnedCown([])
    quiesce(60)


def test_waits_time_out_among_what_never_ends() -> None:
    cown, stop = PinnedCown(0), []

    def again(cown: PinnedCown[int]) -> None:
        cown.value += 1
        if not stop:
            when(cown)(again)

    when(cown)(again)
    with pytest.raises(TimeoutError):
        quiesce(0.05)
    gate = Gate()
    never = when(Cown(0))(lambda _: gate.wait(60))
    with pytest.raises(TimeoutError):
        never.result(0.05)
    gate.set()
    with pytest.raises(TimeoutError):
        wait(0)
    stop.append(True)
    wait(60)
    assert cown.unwrap() > 0


def test_another_thread_waits_while_the_main_one_pumps() -> None:
    cown = PinnedCown(0)
    results = [when(cown)(lambda cown: threading.get_ident()) for _ in range(10)]
    thread = threading.Thread(target=wait)
    thread.start()
    while thread.is_alive():
        try:
            pump()
        except RuntimeError:
            assert not boc._runtime.is_running()
        time.sleep(0.001)
    thread.join()
    assert [result.result() for result in results] == [MAIN] * 10


def test_wait_pump_poll() -> None:
    boc.set_wait_pump_poll(1)
    cown = PinnedCown(1)
    results = [when(cown)(lambda cown: cown.value) for _ in range(3)]
    with cown as value:
        assert value == 1
    assert all(result.done() for result in results)
    boc.set_wait_pump_poll(10**9)
    assert when(cown)(lambda cown: cown.value).result() == 1


def test_ctrl_c_comes_through_what_never_ends(program: Any) -> None:
    done = program(
        """
        import _thread, boc, os, threading
        cown = boc.PinnedCown(0)
        # Not by a lock, in whose code the interrupt could come.
        reached, tell = os.pipe()
        def interrupt():
            while os.read(reached, 1):
                _thread.interrupt_main()
        threading.Thread(target=interrupt, daemon=True).start()
        def again(cown):
            cown.value += 1
            if cown.value == 100:
                os.write(tell, b"!")
            boc.when(cown)(again)
        for waits in boc.wait, boc.pump:
            boc.when(cown)(again)
            try:
                waits()
            except KeyboardInterrupt:
                print("interrupted")
                with cown:
                    cown.value = 0
        """
    )
    assert done.stdout.splitlines() == ["interrupted"] * 2, done.stderr


# The watchdog.


def test_the_watchdog_tells_that_nobody_pumps(gate: Gate) -> None:
    told = queue.SimpleQueue[tuple[int, str, int | None]]()
    boc.set_pump_watchdog(1, lambda severity, message: told.put((severity, message, threading.get_ident())))
    cown = PinnedCown(0)
    results = [when(cown)(lambda cown: None) for _ in range(2)]
    severity, message, ident = told.get(timeout=60)
    assert severity == 0 and ident != MAIN
    assert "have been ready for " in message and "nobody runs them: 1;" in message
    wait()
    assert all(result.done() for result in results)
    # Once for each time.
    when(cown)(lambda cown: None)
    told.get(timeout=60)
    wait()
    boc.set_pump_watchdog(None)
    assert told.empty()


@pytest.fixture
def logged() -> Iterator[queue.SimpleQueue[logging.LogRecord]]:
    """What boc logs, by any thread."""
    records = queue.SimpleQueue[logging.LogRecord]()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.put(record)

    handler = Handler()
    logging.getLogger("boc").addHandler(handler)
    yield records
    logging.getLogger("boc").removeHandler(handler)


def test_the_watchdog_logs(logged: queue.SimpleQueue[logging.LogRecord]) -> None:
    boc.set_pump_watchdog(warn_ms=1)
    when(PinnedCown(0))(lambda cown: None)
    record = logged.get(timeout=60)
    assert record.levelno == logging.WARNING and "nobody runs them" in record.getMessage()


def test_a_callback_of_the_watchdog_that_raises(logged: queue.SimpleQueue[logging.LogRecord]) -> None:
    def fail(severity: int, message: str) -> None:
        raise ValueError("no")

    boc.set_pump_watchdog(1, fail)
    for _ in range(2):
        when(PinnedCown(0))(lambda cown: None)
        record = logged.get(timeout=60)
        assert record.getMessage() == "the callback of set_pump_watchdog() has failed"
        assert record.exc_info is not None and record.exc_info[0] is ValueError
        wait()


# Event loops.


def test_an_event_loop_pumps() -> None:
    cown = PinnedCown[list[str]]([])

    async def main() -> list[int | None]:
        async with pumping():
            results = [when(cown)(lambda cown: threading.get_ident()) for _ in range(3)]
            idents = [await result for result in results]
            async with scope():
                when(cown)(lambda cown: cown.value.append("in a scope"))
        return idents

    assert asyncio.run(main()) == [MAIN] * 3
    with cown as value:
        assert value == ["in a scope"]


def test_an_event_loop_pumps_what_workers_schedule() -> None:
    pinned, cown = PinnedCown(0), Cown(0)

    def work(cown: Cown[int], left: int) -> Any:
        return when(pinned)(lambda pinned, cown=cown, left=left: show(pinned, cown, left))

    def show(pinned: PinnedCown[int], cown: Cown[int], left: int) -> Any:
        pinned.value += 1
        if left:
            when(cown)(lambda cown, left=left - 1: work(cown, left))

    async def main() -> None:
        async with pumping(), scope():
            when(cown)(lambda cown: work(cown, 50))

    asyncio.run(main())
    assert pinned.unwrap() == 51


def test_an_event_loop_does_other_things_as_well() -> None:
    cown = PinnedCown(0)
    stop: list[bool] = []

    def again(cown: PinnedCown[int]) -> None:
        cown.value += 1
        if not stop:
            when(cown)(again)

    async def main() -> None:
        async with pumping(budget_ms=1):
            when(cown)(again)
            for _ in range(10):
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            stop.append(True)

    asyncio.run(main())
    wait()
    assert cown.unwrap() > 0


def test_an_event_loop_gets_what_is_no_exception() -> None:
    cown = PinnedCown(0)

    def leave(cown: PinnedCown[int]) -> None:
        raise KeyboardInterrupt("from the body")

    async def main() -> None:
        async with pumping():
            when(cown)(leave)
            await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_nothing_is_pumped_behind_the_block() -> None:
    async def main() -> Cown[int]:
        async with pumping():
            pass
        result = when(PinnedCown(0))(lambda cown: 1)
        await asyncio.sleep(0.01)
        assert not result.done()
        return result

    assert asyncio.run(main()).result() == 1


def test_misuse_of_pumping() -> None:
    async def enter(block: pumping) -> None:
        async with block:
            pass

    block = pumping()
    asyncio.run(enter(block))
    with pytest.raises(RuntimeError, match="the block of this pumping\\(\\) was entered before"):
        asyncio.run(enter(block))
    errors: list[str] = []

    def elsewhere() -> None:
        try:
            asyncio.run(enter(pumping()))
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert errors == ["pumping() works in the main thread of the main interpreter alone, where pinned cowns live"]

    @when(PinnedCown(0))
    def body(cown: PinnedCown[int]) -> None:
        with pytest.raises(RuntimeError, match="^pumping\\(\\) inside of a behaviour"):
            asyncio.run(enter(pumping()))

    body.result()


# The end of the program, and forks.


@pytest.mark.parametrize(
    "last", ["", "raise SystemExit(3)", "1 / 0", "boc.when(cown)(lambda cown: sys.exit(3)); boc.pump()"]
)
def test_the_program_ends_with_some_that_are_ready(program: Any, last: str) -> None:
    done = program(
        f"""
        import boc, sys
        class Value:
            def __del__(self):
                print("gone")
        cown, other = boc.PinnedCown(Value()), boc.Cown(0)
        if {last!r}.startswith("boc"):
            {last or 'pass'}
        for _ in range(5):
            boc.when(cown, other)(lambda cown, other: print("ran"))
            boc.when(other)(lambda other: print("ran"))
        {last or 'pass'}
        """,
        timeout=60,
    )
    assert done.returncode == {"": 0, "1 / 0": 1}.get(last, 3), done.stderr
    assert done.stdout.splitlines() in ([], ["gone"])
    if "pump" not in last:
        assert "behaviours dropped, since the program ended before they started: 10" in done.stderr


def test_the_program_ends_while_others_watch_and_wait(program: Any) -> None:
    done = program(
        """
        import asyncio, boc, threading
        boc.set_pump_watchdog(10**6)
        cown = boc.PinnedCown(0)
        threading.Thread(target=boc.wait, daemon=True).start()
        async def main():
            await boc.pumping().__aenter__()
            boc.when(cown)(lambda cown: None)
        asyncio.run(main())
        boc.when(cown)(lambda cown: None)
        print("end")
        """,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_a_child_has_none_of_the_parents_behaviours(program: Any) -> None:
    done = program(
        """
        import boc, os
        cown = boc.PinnedCown([])
        boc.when(cown)(lambda cown: cown.value.append(os.getpid()))
        pid = os.fork()
        if pid == 0:
            boc.start()
            assert boc.pump().executed == 0
            own = boc.PinnedCown(1)
            print(boc.when(own)(lambda own: own.value + 1).result(60), flush=True)
            boc.wait()
            os._exit(7)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        boc.wait()
        assert cown.unwrap() == [os.getpid()]
        print("parent")
        """,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["2", "parent"], done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_a_body_that_forks(program: Any) -> None:
    done = program(
        """
        import boc, os
        cown = boc.PinnedCown(0)
        @boc.when(cown)
        def body(cown):
            pid = os.fork()
            if pid == 0:
                own = boc.PinnedCown(1)
                print(boc.when(own)(lambda own: own.value + 1).result(60), flush=True)
                boc.wait()
                return None
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        rest = boc.when(cown)(lambda cown: print("once", flush=True))
        print(body.result(60))
        boc.wait()
        print("parent")
        """,
        timeout=60,
    )
    assert done.stdout.splitlines()[0] == "2" and done.stdout.splitlines()[-1] == "parent", done.stderr
    assert sorted(done.stdout.splitlines()[1:-1]) == ["0", "once"]
