"""Waiting in C, the runtime as C sees it, and threads that Python does not know."""

from __future__ import annotations

import threading

import pytest

import boc
from boc import Cown, quiesce, when
from crossing import Gate

pytestmark = pytest.mark.by_reference("extensions use objects of the main interpreter")

FOREVER = 2**64 - 1

WAITS = {
    "wait": lambda probe, result, timeout: probe.wait(result, timeout),
    "take": lambda probe, result, timeout: probe.take(result, timeout),
    "quiesce": lambda probe, result, timeout: probe.runtime_end(
        probe.runtime(), "quiesce", timeout
    ),
}


@pytest.mark.parametrize("what", WAITS)
def test_timeouts(probe, what: str, gate: Gate) -> None:
    blocked = probe.when(lambda: gate.wait() and None, [])
    for timeout in 0, 1_000_000:
        with pytest.raises(TimeoutError):
            WAITS[what](probe, blocked, timeout)
        assert probe.last_status() == "BOC_TIMED_OUT"
    gate.set()
    WAITS[what](probe, blocked, FOREVER)


@pytest.mark.parametrize("what", WAITS)
def test_other_threads_run_while_c_waits(probe, what: str, gate: Gate) -> None:
    """The behaviour ends when another thread lets it, which runs Python for that."""
    blocked = probe.when(lambda: gate.wait() and None, [])
    thread = threading.Thread(target=gate.set)
    thread.start()
    WAITS[what](probe, blocked, FOREVER)
    thread.join()


INTERRUPTED = """
import os, signal, threading
import boc, probe
gate, waiting = threading.Event(), threading.Event()
boc.start(2)
cown = boc.Cown([])
blocked = probe.when(lambda log: gate.wait() and log.append("body"), [cown])

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

# Again, if the machine was so busy that the signal came before the wait.
while probe.last_status() != "BOC_INTERRUPTED":
    try:
        threading.Timer(0.05, interrupt).start()
        {wait}
    except KeyboardInterrupt:
        print("interrupted")
gate.set()
probe.wait(blocked)
print(boc.when(cown)(lambda cown: cown.value).result())
"""


@pytest.mark.parametrize(
    "wait",
    ["probe.wait(blocked)", "probe.take(blocked)", "probe.runtime_end(probe.runtime(), 'quiesce')"],
)
def test_ctrl_c_ends_a_wait_of_c(extension_program, wait: str) -> None:
    done = extension_program(INTERRUPTED.format(wait=wait))
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.splitlines()) == {"interrupted", "['body']"}


def test_ctrl_c_that_nobody_catches_ends_the_program(extension_program) -> None:
    source = INTERRUPTED.format(wait="probe.wait(blocked)").replace("KeyboardInterrupt:", "OSError:")
    # What runs at the end must not wait for the gate.
    done = extension_program(source.replace("gate.wait()", "gate.wait(0.5)"))
    assert done.returncode in (-2, 130), done.stderr
    assert "KeyboardInterrupt" in done.stderr and "Fatal" not in done.stderr


# Statuses as exceptions.

# BOC_INVALID_ARGUMENT, BOC_DUPLICATE_COWN, BOC_TIMED_OUT.
KINDS = {1: ValueError, 3: TypeError, 4: TimeoutError}


@pytest.mark.parametrize("status", range(1, 18))
def test_each_status_has_its_exception(probe, status: int) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError, TimeoutError)) as caught:
        probe.raise_for(status)
    assert caught.type is KINDS.get(status, RuntimeError)


# The runtime.


def test_what_the_package_runs_is_not_for_c_to_end(probe) -> None:
    runtime = probe.runtime()
    for how in "shutdown", "stop":
        with pytest.raises(RuntimeError):
            probe.runtime_end(runtime, how)
        assert probe.last_status() == "BOC_NOT_ALLOWED"
    assert when(Cown(1))(lambda cown: cown.value).result() == 1
    # Releasing the handle does not end it either.
    del runtime
    assert when(Cown(1))(lambda cown: cown.value).result() == 1


def test_what_can_be_asked_of_the_runtime(probe, gate: Gate) -> None:
    boc.start(3)
    runtime = probe.runtime()
    workers, in_flight, before, report = probe.runtime_numbers(runtime)
    assert (workers, in_flight) == (3, 0)
    assert isinstance(report, str) and report
    results = [probe.when(lambda: gate.wait() and None, []) for _ in range(2)]
    when()(lambda: None)
    for _ in results:
        when()(lambda: gate.wait() and None)
    assert 4 <= probe.runtime_numbers(runtime)[1] <= 5
    gate.set()
    probe.runtime_end(runtime, "quiesce")
    assert probe.runtime_numbers(runtime)[1:3] == (0, before + 5)
    assert sum(stats["run"] for stats in boc.stats()) == before + 5


def test_a_handle_to_workers_that_were_stopped(probe) -> None:
    boc.start(2)
    old = probe.runtime()
    probe.when(lambda: None, [])
    boc.wait()
    assert probe.runtime_numbers(old)[:3] == (2, 0, 1)
    probe.runtime_end(old, "quiesce")
    boc.start(3)
    new = probe.runtime()
    assert probe.take(probe.when(lambda: 5, [])) == 5
    quiesce()
    assert probe.runtime_numbers(new)[:3] == (3, 0, 1)
    assert probe.runtime_numbers(old)[:3] == (2, 0, 1)
    del old
    assert when()(lambda: 6).result() == 6
    boc.wait()
    del new


def test_asking_for_the_runtime_starts_the_workers(probe) -> None:
    assert boc.stats() == []
    runtime = probe.runtime()
    assert len(boc.stats()) == probe.runtime_numbers(runtime)[0] == boc.WORKER_COUNT


def test_a_behaviour_of_c_starts_the_workers_anew(probe) -> None:
    for n in range(20):
        assert boc.stats() == []
        assert probe.take(probe.when(lambda n=n: n + 1, [])) == n + 1
        boc.wait()
        assert probe.python_when(lambda n=n: n + 2, []).result() == n + 2
        boc.wait()


def test_nothing_is_lost_while_the_workers_are_stopped_and_started(probe) -> None:
    number = probe.number(0)
    times, threads = 2_000, 2
    scheduling = [
        threading.Thread(target=probe.add_from_thread, args=[number, times]) for _ in range(threads)
    ]
    for thread in scheduling:
        thread.start()
    while any(thread.is_alive() for thread in scheduling):
        boc.wait()
    for thread in scheduling:
        thread.join()
    assert probe.take(probe.when(lambda number: number, [number])) == threads * times


# Threads that were never attached.


def test_a_thread_that_python_does_not_know_schedules_and_starts_the_workers(probe) -> None:
    number = probe.number(0)
    assert boc.stats() == []
    probe.add_from_thread(number, 1_000)
    assert boc.stats() != []
    assert when(probe.object(number, "full"))(lambda cown: cown.value).result() == 1_000


def test_several_such_threads_at_the_same_time(probe) -> None:
    for _ in range(20):
        number = probe.number(0)
        callers = [threading.Thread(target=probe.add_from_thread, args=[number, 50]) for _ in "1234"]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
        assert probe.take(probe.when(lambda number: number, [number])) == 200
        boc.wait()
