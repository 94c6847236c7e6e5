"""The life of the workers: started by need or by hand, stopped by wait, and again."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections import Counter
from concurrent.futures import CancelledError

import pytest

import boc
from boc import Behaviors, Cown, quiesce, start, wait, when
from crossing import Gate, Log


def workers() -> list[str]:
    """Their threads, of which the `threading` module tells, where they are this interpreter's."""
    return [t.name for t in threading.enumerate() if t.name.startswith("boc-worker")]


def count() -> int:
    """How many workers there are."""
    known = len(boc.stats())
    if boc.backend() == "direct":
        assert len(workers()) == known
    return known


@pytest.mark.once
def test_worker_count() -> None:
    assert isinstance(boc.WORKER_COUNT, int)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert boc.WORKER_COUNT == max(1, cores - 1)


def test_the_first_behaviour_starts_the_workers() -> None:
    assert count() == 0
    when()(lambda: None)
    assert count() == boc.WORKER_COUNT


def test_making_a_cown_or_a_request_starts_nothing() -> None:
    when(Cown(1))
    with Cown(1):
        pass
    assert count() == 0


@pytest.mark.parametrize("number", [1, 2, 7, 64])
def test_start_with_a_number(number: int) -> None:
    assert start(number) is None
    assert count() == number
    assert when()(lambda: 1).result() == 1


def test_start_again_does_nothing() -> None:
    start(2)
    start(5)
    start()
    assert count() == 2


def test_wait_stops_the_workers_and_the_next_behaviour_starts_new_ones() -> None:
    cown = Cown(0)
    for n in range(20):
        start(1 + n % 3)
        when(cown)(lambda cown: setattr(cown, "value", cown.value + 1))
        wait()
        assert count() == 0
    assert cown.unwrap() == 20


def test_arguments_of_bocpy() -> None:
    start(worker_count=2, module=("name", "path"))
    assert count() == 2
    wait()
    start(3, ("name", "path"))
    assert count() == 3


def test_backend(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert boc.backend() == backend
    monkeypatch.setenv("BOC_BACKEND", "nonsense")
    start(1, backend=backend)
    assert when()(lambda: 1).result() == 1


@pytest.mark.once
def test_backend_if_nobody_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gil = sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED")
    by_value = with_gil and "subinterpreters" in boc._runtime._BACKENDS
    monkeypatch.delenv("BOC_BACKEND", raising=False)
    assert boc.backend() == ("subinterpreters" if by_value else "direct")
    monkeypatch.setenv("BOC_BACKEND", "")
    assert boc.backend() == ("subinterpreters" if by_value else "direct")


def test_starting_from_many_threads() -> None:
    threads = [threading.Thread(target=start, args=[3]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count() == 3


def test_stopping_and_scheduling_from_many_threads(backend: str) -> None:
    """Whoever schedules while another one stops the workers gets new ones; nothing is lost."""
    # An interpreter takes a thousand times as long to start as a thread.
    each = 2000 if backend == "direct" else 50
    over = threading.Event()
    cown = Cown(0)
    outcomes: list[Counter[str]] = []

    def body(cown):
        cown.value += 1

    def schedule():
        mine: Counter[str] = Counter()
        outcomes.append(mine)
        for _ in range(each):
            try:
                result = when(cown)(body)
                result.result(60)
                mine["done"] += 1
            except (RuntimeError, CancelledError) as error:
                mine[repr(error)] += 1

    def stop():
        while not over.is_set():
            wait()

    def begin():
        while not over.is_set():
            start(2)

    schedulers = [threading.Thread(target=schedule) for _ in range(3)]
    others = [threading.Thread(target=f) for f in [stop] * 2 + [begin]]
    for thread in schedulers + others:
        thread.start()
    for thread in schedulers:
        thread.join()
    over.set()
    for thread in others:
        thread.join()
    wait()
    total = sum(outcomes, Counter())
    assert total == {"done": 3 * each}
    assert cown.unwrap() == 3 * each


def test_waiting_while_others_schedule_does_not_lose_anything() -> None:
    cown = Cown(0)
    over = threading.Event()

    def body(cown):
        cown.value += 1

    def schedule():
        for _ in range(3000):
            when(cown)(body)
        over.set()

    thread = threading.Thread(target=schedule)
    thread.start()
    while not over.is_set():
        quiesce()
    thread.join()
    wait()
    assert cown.unwrap() == 3000


def test_starting_and_stopping_with_work_in_between(log: Log) -> None:
    cown = Cown(0)
    for n in range(30):

        @when(cown)
        def body(cown, n=n):
            cown.value += 1
            log.append(n)

        wait()
    assert cown.unwrap() == 30
    assert list(log) == list(range(30))


@pytest.mark.by_reference("replaces what starts a worker")
def test_threads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many threads as the system gives are no harm if it does not give enough."""
    real, started = threading.Thread.start, []

    def refuse(thread):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            start(10)
    for thread in started:
        thread.join(30)
    assert count() == 0
    assert when()(lambda: 1).result() == 1


def test_the_runtime_as_an_object(gate: Gate) -> None:
    runtime = Behaviors(2)
    runtime.start()
    assert len(boc.stats()) == 2
    when()(lambda: gate.wait(60))
    assert runtime.quiesce(0.01) is False
    with pytest.raises(TimeoutError):
        runtime.stop(0.01)
    gate.set()
    assert runtime.quiesce(60) is True
    runtime.stop(60)
    assert boc.stats() == []
    Behaviors(None).start(("name", "file.py"))
    assert len(boc.stats()) == boc.WORKER_COUNT


def test_a_wait_that_was_interrupted_at_the_end_goes_on_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    start(2)
    workers_of_this = type(boc._runtime._state.workers)
    join, interrupts = workers_of_this.join, [KeyboardInterrupt]

    def interrupted(self, timeout=None):
        if interrupts:
            raise interrupts.pop()
        return join(self, timeout)

    with monkeypatch.context() as patched:
        patched.setattr(workers_of_this, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert boc._runtime.is_running()
        wait()
    assert not boc._runtime.is_running() and boc.stats() == []
    assert when()(lambda: 1).result() == 1
