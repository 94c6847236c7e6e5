"""The life of the workers: started by need or by hand, stopped by wait, and again."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import CancelledError

import pytest

import boc
from boc import Cown, quiesce, start, wait, when


def workers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("boc-worker")]


def test_worker_count() -> None:
    assert isinstance(boc.WORKER_COUNT, int)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert boc.WORKER_COUNT == max(1, cores - 1)


def test_the_first_behaviour_starts_the_workers() -> None:
    assert workers() == []
    when()(lambda: None)
    assert len(workers()) == boc.WORKER_COUNT


def test_making_a_cown_or_a_request_starts_nothing() -> None:
    when(Cown(1))
    with Cown(1):
        pass
    assert workers() == []


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_start_with_a_number(count: int) -> None:
    assert start(count) is None
    assert len(workers()) == len(boc.stats()) == count
    assert when()(lambda: 1).result() == 1


def test_start_again_does_nothing() -> None:
    start(2)
    start(5)
    start()
    assert len(workers()) == 2


def test_wait_stops_the_workers_and_the_next_behaviour_starts_new_ones() -> None:
    cown = Cown(0)
    for n in range(20):
        start(1 + n % 3)
        when(cown)(lambda cown: setattr(cown, "value", cown.value + 1))
        wait()
        assert workers() == []
    assert cown.unwrap() == 20


def test_arguments_of_bocpy() -> None:
    start(worker_count=2, module=("name", "path"))
    assert len(workers()) == 2


def test_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    assert boc.backend() == "direct"
    for name in "direct", "":
        monkeypatch.setenv("BOC_BACKEND", name)
        assert boc.backend() == "direct"
    monkeypatch.setenv("BOC_BACKEND", "nonsense")
    start(1, backend="direct")
    assert when()(lambda: 1).result() == 1


def test_starting_from_many_threads() -> None:
    threads = [threading.Thread(target=start, args=[3]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workers()) == 3


def test_stopping_and_scheduling_from_many_threads() -> None:
    """Whoever schedules while another one stops the workers gets new ones; nothing is lost."""
    over = threading.Event()
    cown = Cown(0)
    outcomes: list[Counter[str]] = []

    def body(cown):
        cown.value += 1

    def schedule():
        mine: Counter[str] = Counter()
        outcomes.append(mine)
        for _ in range(2000):
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
    assert total == {"done": 6000}
    assert cown.unwrap() == 6000


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
    assert workers() == [] and boc.stats() == []
    assert when()(lambda: 1).result() == 1
