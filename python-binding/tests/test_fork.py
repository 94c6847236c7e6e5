"""Forking: the child starts workers of its own, and the parent's go on."""

from __future__ import annotations

import os
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")

# In a child everything must end within its own time, or it is killed by the alarm.
HEAD = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
import boc
from boc import Cown, quiesce, wait, when

def child(function, leave=os._exit):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(20)
    function()
    sys.stdout.flush()
    leave(0)

def increment(cown):
    cown.value += 1

cown = Cown(0)
"""


def run(program, source: str) -> str:
    done = program(HEAD + textwrap.dedent(source))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("leave", ["os._exit", "sys.exit"])
@pytest.mark.parametrize("before", ["pass", "boc.start(3)", "when(cown)(increment).result()"])
def test_the_child_starts_workers_of_its_own(program, before: str, leave: str) -> None:
    out = run(
        program,
        f"""
        {before}

        def work():
            assert boc.stats() == []
            boc.start(2)
            assert len(boc.stats()) == 2
            assert when(Cown(20))(lambda cown: cown.value + 1).result(10) == 21
            when(cown)(increment)
            quiesce(10)
            wait(10)
            assert when()(lambda: 1).result(10) == 1

        assert child(work, {leave}) == 0
        when(cown)(increment)
        wait(10)
        print(cown.unwrap())
        """,
    )
    assert out == ("2\n" if "increment" in before else "1\n")


def test_the_parent_goes_on(program) -> None:
    out = run(
        program,
        """
        boc.start(2)
        for n in range(20):
            for _ in range(20):
                when(cown)(increment)
            # A child that does nothing at all with boc, and ends the long way.
            assert child(lambda: None, (os._exit, sys.exit)[n % 2]) == 0
        wait(10)
        print(cown.unwrap())
        """,
    )
    assert out == "400\n"


def test_while_other_threads_schedule_and_workers_run(program) -> None:
    out = run(
        program,
        """
        boc.start(2)
        over = threading.Event()

        def schedule():
            while not over.is_set():
                when(Cown(0))(increment)
                when(cown)(increment)
                time.sleep(0.0002)

        threads = [threading.Thread(target=schedule) for _ in range(3)]
        for thread in threads: thread.start()

        def work():
            mine = Cown(5)
            assert when(mine)(lambda mine: mine.value).result(10) == 5
            wait(10)

        for n in range(30):
            assert child(work, (os._exit, sys.exit)[n % 2]) == 0, n
        over.set()
        for thread in threads: thread.join()
        wait(10)
        print(cown.unwrap() > 0)
        """,
    )
    assert out == "True\n"


def test_what_the_parent_queued_does_not_run_in_the_child(program) -> None:
    out = run(
        program,
        """
        boc.start(1)
        gate = threading.Event()
        when(cown)(lambda cown: gate.wait(10))
        for n in range(5):
            when(cown)(lambda cown: print("ran", flush=True))

        def work():
            gate.set()
            assert when()(lambda: 1).result(10) == 1
            wait(10)

        assert child(work) == 0
        assert child(work, sys.exit) == 0
        gate.set()
        wait(10)
        """,
    )
    assert out == "ran\n" * 5


def test_exceptions_of_the_parent_are_the_parents_to_log(program) -> None:
    done = program(
        HEAD
        + """
def fails():
    raise ValueError("sorry")

kept = when()(fails)
quiesce()
assert child(lambda: when()(lambda: 1).result(10), sys.exit) == 0

def fail_too():
    global own
    own = when()(lambda: {}["child"])
    quiesce()

assert child(fail_too, sys.exit) == 0
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ValueError: sorry") == 1
    assert done.stderr.count("KeyError: 'child'") == 1


def test_a_child_of_a_child(program) -> None:
    run(
        program,
        """
        when(cown)(increment).result()

        def work():
            when(Cown(0))(increment).result(10)
            assert child(lambda: when(Cown(0))(increment).result(10), sys.exit) == 0

        assert child(work, sys.exit) == 0
        """,
    )


def test_a_body_that_forks(program) -> None:
    out = run(
        program,
        """
        print(when()(lambda: child(lambda: None)).result(10))
        import subprocess
        print(when()(lambda: subprocess.run([sys.executable, "-c", ""]).returncode).result(20))
        """,
    )
    assert out == "0\n0\n"


def test_multiprocessing(program) -> None:
    out = run(
        program,
        """
        import multiprocessing

        def job(n):
            return when(Cown(n))(lambda cown: cown.value + 1).result(10)

        when(cown)(increment).result()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(job, range(5)))
        """,
    )
    assert out == "[1, 2, 3, 4, 5]\n"
