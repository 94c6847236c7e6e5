"""Waiting for behaviours: wait, quiesce, result, acquire; timeouts, statistics, Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import boc
from boc import Cown, quiesce, wait, when
from crossing import Gate, Log

BOTH = pytest.mark.parametrize("waiting", [quiesce, wait])


@BOTH
def test_returns_when_all_is_done(waiting, log: Log) -> None:
    for n in range(50):
        boc.whencall(lambda n: time.sleep(0.001) or log.append(n), [], [n])
    assert waiting() is None
    assert sorted(log) == list(range(50))


@BOTH
def test_waits_for_what_behaviours_schedule(waiting, log: Log) -> None:
    def body(left):
        time.sleep(0.001)
        if left:
            boc.whencall(body, [], [left - 1])
        else:
            log.append("last")

    boc.whencall(body, [], [30])
    waiting()
    assert list(log) == ["last"]


@BOTH
def test_with_nothing_to_wait_for(waiting) -> None:
    for _ in range(3):
        assert waiting() is None
        assert waiting(0) is None
        assert waiting(stats=True) == []
    boc.start()
    assert waiting() is None


@BOTH
def test_timeouts(waiting, gate: Gate) -> None:
    result = when()(lambda: gate.wait(60) and "done")
    when(result)(lambda result: None)
    for elapsed in 0.05, 0, -1, float("-inf"):
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="still running or waiting when the time ran out: 2"):
            waiting(elapsed)
        assert time.monotonic() - started >= elapsed
    gate.set()
    for enough in 60, float("inf"), 1e300, None:
        waiting(enough)
    assert result.result() == "done"


def test_after_a_timeout_the_workers_go_on(gate: Gate) -> None:
    when()(lambda: gate.wait(60))
    with pytest.raises(TimeoutError):
        wait(0.01)
    gate.set()
    assert when()(lambda: 1).result() == 1


@pytest.mark.by_reference("a thread is an object of one interpreter")
def test_quiesce_leaves_the_worker_threads() -> None:
    def name():
        return threading.current_thread()

    boc.start(1)
    before = when()(name).result()
    quiesce()
    assert when()(name).result() is before
    wait()
    assert not before.is_alive()
    assert when()(name).result() is not before


def test_quiesce_leaves_the_workers_and_wait_does_not() -> None:
    boc.start(2)
    for n in range(1, 4):
        when()(lambda: None)
        quiesce()
        assert sum(row["run"] for row in boc.stats()) == n
    wait()
    assert boc.stats() == []
    boc.start(1)
    assert sum(row["run"] for row in boc.stats()) == 0


def test_several_threads_wait_at_once(gate: Gate) -> None:
    boc.start(2)
    result = when()(lambda: gate.wait(60))
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit((quiesce, wait)[n % 2], 60) for n in range(8)]
        time.sleep(0.05)
        assert not any(waiter.done() for waiter in waiting)
        gate.set()
        for waiter in waiting:
            waiter.result(60)
    assert result.result()


def test_statistics() -> None:
    boc.start(3)
    for _ in range(20):
        when()(lambda: None)
    rows = quiesce(stats=True)
    assert [row["worker_index"] for row in rows] == [0, 1, 2]
    assert sum(row["run"] for row in rows) == 20
    assert all(set(row) == {"worker_index", "run", "stolen", "parked", "woken"} for row in rows)
    assert sum(row["run"] for row in boc.stats()) == 20
    assert sum(row["run"] for row in wait(stats=True)) == 20
    assert boc.stats() == []


def acquire(cown: Cown) -> None:
    with cown:
        pass


WAITS = {
    "wait": lambda blocked, cown: wait(),
    "wait with a timeout": lambda blocked, cown: wait(60),
    "quiesce": lambda blocked, cown: quiesce(),
    "result": lambda blocked, cown: blocked.result(),
    "result with a timeout": lambda blocked, cown: blocked.result(60),
    "acquire": lambda blocked, cown: cown.acquire(),
    "with": lambda blocked, cown: acquire(cown),
    "exception": lambda blocked, cown: blocked.exception,
}


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to threads")
@pytest.mark.parametrize("what", WAITS)
def test_ctrl_c_is_answered_at_once_and_the_program_goes_on(
    what: str, gate: Gate
) -> None:
    boc.start(2)
    cown = Cown([])

    def body(cown):
        gate.wait(60)
        cown.value.append("body")

    blocked = when(cown)(body)
    quickest = float("inf")
    # A busy machine may delay us, so the quickest of some counts.
    for _ in range(5):
        sent = []

        def interrupt(sent=sent):
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.03, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            WAITS[what](blocked, cown)
        quickest = min(quickest, time.monotonic() - sent[0])
        timer.join()
        if quickest < 0.1:
            break
    assert quickest < 0.1
    gate.set()
    # No place in the queue of the cown is left behind.
    assert when(cown)(lambda cown: cown.value).result(60) == ["body"]
    with cown as log:
        assert log == ["body"]


@pytest.mark.parametrize("what", WAITS)
def test_a_signal_handler_runs_meanwhile(what: str, gate: Gate) -> None:
    boc.start(2)
    cown = Cown([])
    blocked = when(cown)(lambda cown: gate.wait(60))
    before = signal.signal(signal.SIGUSR1, lambda *_: gate.set())
    try:
        timer = threading.Timer(0.02, os.kill, [os.getpid(), signal.SIGUSR1])
        timer.start()
        WAITS[what](blocked, cown)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
        if cown.acquired:
            cown.release()


def test_other_threads_run_meanwhile() -> None:
    """The thread that waits does not keep the interpreter for itself."""
    turns = []
    stop = threading.Event()

    def count():
        while not stop.is_set():
            turns.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    when()(lambda: time.sleep(0.2)).result()
    stop.set()
    thread.join()
    assert len(turns) > 3
