"""Forks, and the end of the program, with an extension that has behaviours queued or running."""

from __future__ import annotations

import os
import textwrap

import pytest

pytestmark = pytest.mark.by_reference("extensions use objects of the main interpreter")

HEAD = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
import boc, probe
from boc import Cown, when

# In a child everything must end within its own time, or it is killed by the alarm.
def child(function):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(20)
    function()
    sys.stdout.flush()
    os._exit(0)

def use():
    number, cown = probe.number(1), Cown(2)
    assert probe.take(probe.when(lambda *values: values, [number, cown])) == (1, 2)
    assert probe.python_when(lambda *values: values, [number, cown]).result(10) == (1, 2)
    assert when(probe.object(number, "full"))(lambda cown: cown.value).result(10) == 1
    probe.add_from_thread(number, 10)
    boc.wait(10)
    assert probe.take(probe.when(lambda number: number, [number])) == 11
"""


@pytest.fixture
def run(extension_program):
    def run(source: str, status: int = 0) -> tuple[str, str]:
        done = extension_program(HEAD + textwrap.dedent(source))
        assert done.returncode == status, done.stderr
        for bad in "Fatal", "panicked", "Segmentation", "internal error":
            assert bad not in done.stderr
        return done.stdout, done.stderr

    return run


# Forks.

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")


@forks
@pytest.mark.parametrize("before", ["pass", "use()", "boc.start(3)", "runtime = probe.runtime()"])
def test_a_child_uses_the_extension_too(run, before: str) -> None:
    out, err = run(
        f"""
        {before}
        assert child(use) == 0
        use()
        print("done")
        """
    )
    assert (out, err) == ("done\n", "")


@forks
def test_what_c_had_before_is_there_in_the_child(run) -> None:
    out, err = run(
        """
        value = object()
        number, handle = probe.number(7), probe.handle(Cown(value))
        shown = probe.object(number, "full")
        use()

        def work():
            assert probe.object(number) is shown
            assert when(shown)(lambda cown: cown.value).result(10) == 7
            assert when(probe.object(handle))(lambda cown: cown.value).result(10) is value
            boc.wait(10)

        assert child(work) == 0
        work()
        """
    )
    assert (out, err) == ("", "")


@forks
def test_forks_while_other_threads_hand_cowns_over(run) -> None:
    out, err = run(
        """
        over = threading.Event()

        def hand_over():
            while not over.is_set():
                number = probe.number(1)
                for handle in number, probe.handle(Cown(1)):
                    probe.object(handle, "full")

        threads = [threading.Thread(target=hand_over) for _ in range(2)]
        for thread in threads: thread.start()
        statuses = {child(use) for _ in range(5)}
        over.set()
        for thread in threads: thread.join()
        print(statuses)
        """
    )
    assert (out, err) == ("{0}\n", "")


@forks
@pytest.mark.parametrize("schedule", ["when", "python_when"])
def test_a_fork_inside_of_a_behaviour_of_c(run, schedule: str) -> None:
    """The child goes on with the body, and ends behind it."""
    out, err = run(
        f"""
        cown = Cown([])
        boc.start(1)

        def body(log):
            pid = os.fork()
            if pid:
                log.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                return
            signal.alarm(20)
            use()
            print("in the child", flush=True)

        probe.{schedule}(body, [cown])
        after = when(cown)(lambda cown: print("after it", cown.value, flush=True))
        after.result()
        """
    )
    assert (out, err) == ("in the child\nafter it [0]\n", "")


@forks
@pytest.mark.parametrize("schedule", ["when", "python_when"])
def test_a_child_whose_behaviour_of_c_raises_fails(run, schedule: str) -> None:
    out, err = run(
        f"""
        cown = Cown([])

        def body(log):
            pid = os.fork()
            if pid:
                log.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                return
            signal.alarm(20)
            raise ValueError("in the child")

        probe.{schedule}(body, [cown])
        print(when(cown)(lambda cown: cown.value).result())
        """
    )
    assert out == "[1]\n"
    assert err.count("ValueError: in the child") == 1


# The end of the program.


def test_what_is_queued_at_the_end_is_dropped(run) -> None:
    out, err = run(
        """
        gate, running = threading.Event(), threading.Event()
        boc.start(2)
        cown, number = Cown(1), probe.number(1)

        def body(value):
            running.set()
            time.sleep(0.2)

        kept = [probe.when(body, [cown])]
        for n in range(200):
            kept.append(probe.when(lambda *values: print("ran"), [cown, number]))
            kept.append(probe.python_when(lambda *values: print("ran"), [number, cown]))
        running.wait()
        """
    )
    assert out == ""
    assert "behaviours dropped, since the program ended before they started" in err


def test_envs_and_values_are_destroyed_once_at_the_end(run) -> None:
    out, err = run(
        """
        import atexit
        boc.start(1)
        running = threading.Event()
        cown, number = Cown(1), probe.number(1)

        def body(value):
            running.set()
            time.sleep(0.1)

        atexit.register(lambda: print(probe.destroyed()))
        probe.when(body, [cown])
        for n in range(100):
            probe.when(lambda *values: None, [cown, number])
            probe.python_when(lambda *values: None, [number, cown])
        running.wait()
        del cown, number
        """
    )
    assert out == "{'numbers': 1, 'envs': 201}\n"


RUNNING = {
    "Python": "while True: time.sleep(0.0001)",
    "Python that catches all": """
        while True:
            try: time.sleep(0.0001)
            except BaseException: pass
        """,
    "a lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
}


@pytest.mark.parametrize("schedule", ["when", "python_when"])
@pytest.mark.parametrize("body", RUNNING.values(), ids=RUNNING)
def test_a_behaviour_of_c_that_does_not_end(run, body: str, schedule: str) -> None:
    _, err = run(
        f"""
boc.start(1)
running = threading.Event()
cown = Cown(1)

def body(value):
    running.set()
{textwrap.indent(textwrap.dedent(body).strip(), "    ")}

probe.{schedule}(body, [cown])
probe.{schedule}(body, [cown])
running.wait()
"""
    )
    assert "boc-worker-0 is still running a behaviour at exit" in err


def test_handles_that_are_left_at_the_end(run) -> None:
    out, err = run(
        """
        import builtins
        use()
        builtins.kept = [probe.number(1), probe.handle(Cown([1])), probe.runtime()]
        sys.kept = [probe.object(builtins.kept[0], "full"), probe.when(lambda: object(), [])]
        builtins.kept.append(builtins.kept)
        boc.wait()
        """
    )
    assert (out, err) == ("", "")


def test_scheduling_behind_the_end_is_refused(run) -> None:
    out, err = run(
        """
        import atexit
        use()
        number = probe.number(1)

        def late():
            for schedule in (
                lambda: probe.when(print, [number]),
                lambda: probe.python_when(print, [number]),
                lambda: probe.add_from_thread(number, 1),
                probe.runtime,
            ):
                try:
                    schedule()
                except RuntimeError as error:
                    print(error)
            print(probe.last_status())

        atexit.register(late)
        boc.wait()
        """
    )
    assert err == ""
    *lines, status = out.splitlines()
    assert len(lines) == 4 and all("interpreter exits" in line for line in lines), lines
    assert status == "BOC_REFUSED"


def test_threads_that_schedule_during_the_end(run) -> None:
    for daemon in True, False:
        _, err = run(
            f"""
            number = probe.number(1)
            times = 10**9 if {daemon} else 20_000

            def schedule():
                try:
                    probe.add_from_thread(number, times)
                except RuntimeError as error:
                    assert "interpreter" in str(error), error

            for _ in range(2):
                threading.Thread(target=schedule, daemon={daemon}).start()
            time.sleep(0.02)
            """
        )
        assert "Exception in thread" not in err
