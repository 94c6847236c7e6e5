"""Forking: the child starts workers of its own, and the parent's go on."""

from __future__ import annotations

import os
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")

in_a_body = pytest.mark.by_reference("no worker that has an interpreter of its own can fork")

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


def test_what_waits_for_the_parents_cown_does_not_run_in_the_child(program) -> None:
    out = run(
        program,
        """
        boc.start(1)
        parent = os.getpid()

        def ran(cown):
            print("ran", os.getpid() == parent, flush=True)

        def work():
            assert when()(lambda: 1).result(10) == 1
            wait(10)

        with cown:
            for n in range(5):
                when(cown)(ran)
            assert child(work) == 0
            assert child(work, sys.exit) == 0
        wait(10)
        """,
    )
    assert out == "ran True\n" * 5


@pytest.mark.by_reference("forks while a body runs that waits for the main program")
def test_what_the_parent_queued_does_not_run_in_the_child(program) -> None:
    out = run(
        program,
        """
        boc.start(1)
        opened = []  # an Event has a lock, which could be the worker's when the process forks

        def gate(cown):
            while not opened: time.sleep(0.001)

        when(cown)(gate)
        for n in range(5):
            when(cown)(lambda cown: print("ran", flush=True))

        def work():
            opened.append(True)
            assert when()(lambda: 1).result(10) == 1
            wait(10)

        assert child(work) == 0
        assert child(work, sys.exit) == 0
        opened.append(True)
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
    entries = done.stderr.split("nobody looked at")[1:]
    assert len(entries) == 2
    for error in "ValueError: sorry", "KeyError: 'child'":
        assert sum(error in entry for entry in entries) == 1


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


@in_a_body
def test_a_body_that_forks(program) -> None:
    assert run(program, "print(when()(lambda: child(lambda: None)).result(10))") == "0\n"


def test_a_body_that_runs_a_program(program) -> None:
    out = run(
        program,
        """
        import subprocess
        print(when()(lambda: subprocess.run([sys.executable, "-c", ""]).returncode).result(20))
        """,
    )
    assert out == "0\n"


ENDS_OF_A_CHILD = {
    "return": ("return 'whatever'", 0, ""),
    "exception": ("raise ValueError('sorry')", 1, "ValueError: sorry"),
    "sys.exit": ("sys.exit()", 0, ""),
    "sys.exit with a status": ("sys.exit(7)", 7, ""),
    "sys.exit with a large status": ("sys.exit(2 ** 100 + 3)", 3, ""),
    "sys.exit with a message": ("sys.exit('a message')", 1, "a message"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", 1, "KeyboardInterrupt"),
    "os._exit": ("print(end='', flush=True); os._exit(8)", 8, ""),
    "no standard streams": ("sys.stdout.flush(); sys.stdout = sys.stderr = None; sys.exit(9)", 9, ""),
}


@in_a_body
@pytest.mark.parametrize("end", ENDS_OF_A_CHILD)
def test_a_child_that_ends_with_the_body(program, end: str) -> None:
    code, status, message = ENDS_OF_A_CHILD[end]
    done = program(
        HEAD
        + f"""
import atexit
parent = os.getpid()
atexit.register(lambda: print("exit of the parent", os.getpid() == parent))
boc.start(1)

def body(cown):
    pid = os.fork()
    if pid:
        cown.value += 1
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(20)
    cown.value += 20
    print("child", cown.value, cown.acquired)
    {code}

def next_one(cown):
    print("next", os.getpid() == parent, cown.value)

with cown:
    result = when(cown)(body)
    when(cown)(next_one)
    when()(lambda: None)
wait(30)
print("status", result.unwrap())
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "child 20 True",
        "next True 1",
        f"status {status}",
        "exit of the parent True",
    ]
    assert message in done.stderr
    assert done.stderr.count("Traceback") == (status == 1 and end != "sys.exit with a message")
    assert "nobody looked at" not in done.stderr


@in_a_body
def test_a_child_in_a_body_uses_workers_of_its_own(program) -> None:
    out = run(
        program,
        """
        boc.start(3)

        def body(cown):
            def work():
                assert cown.acquired
                assert boc.stats() == []
                boc.start(2)
                mine = Cown(20)
                assert when(mine)(lambda mine: mine.value + 1).result(10) == 21
                when(mine)(increment)
                quiesce(10)
                wait(10)
                assert mine.unwrap() == 21
                with mine: mine.value = 5
                assert when(mine)(lambda mine: mine.value).result(10) == 5
                return "not the parent's"

            return child(work, lambda status: None)

        print(when(cown)(body).result(30))
        when(cown)(increment)
        wait(10)
        print(cown.unwrap())
        """,
    )
    assert out == "0\n1\n"


@in_a_body
def test_what_a_child_in_a_body_leaves_undone(program) -> None:
    done = program(
        HEAD
        + """
boc.start(1)

def work():
    global kept
    kept = when()(lambda: {}["child"])
    wait(10)
    started = threading.Event()
    boc.start(1)
    when()(lambda: (started.set(), time.sleep(0.2), print("finished")))
    for _ in range(5): when()(lambda: print("never"))
    when(cown)(lambda cown: print("never, since the body holds it"))
    started.wait(10)

print(when(cown)(lambda cown: child(work, lambda status: None)).result(30))
wait(10)
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "finished\n0\n"
    assert done.stderr.count("KeyError: 'child'") == 1
    assert "behaviours dropped, since the program ended before they started: 5" in done.stderr


@in_a_body
def test_a_child_in_a_body_of_a_child_in_a_body(program) -> None:
    out = run(
        program,
        """
        def forks(cown):
            return child(lambda: when(Cown(0))(increment).result(10), lambda status: sys.exit(3))

        def work():
            # One child is made by the child's own worker, the other one by the child itself.
            print(when(Cown(0))(forks).result(10), flush=True)
            print(forks(None), flush=True)

        print(when(cown)(lambda cown: child(work, lambda status: None)).result(30))
        """,
    )
    assert out == "3\n3\n0\n"


@in_a_body
def test_many_children_of_bodies(program) -> None:
    out = run(
        program,
        """
        boc.start(4)
        cowns = [Cown(0) for _ in range(5)]
        parent = os.getpid()

        def fork(cown):
            def work():
                mine = when(Cown(4))(lambda cown: cown.value + 1)
                assert mine.result(10) == 5
            return child(work, lambda status: None)

        def other(one, two):
            assert os.getpid() == parent
            one.value += 1
            return [object() for _ in range(20)]

        children, others = [], []
        for n in range(60):
            children.append(when(cowns[n % 5])(fork))
            for k in range(20):
                others.append(when(cowns[k % 5], cowns[(k + 1) % 5])(other))
        print({child.result(60) for child in children}, len([one.result(60) for one in others]))
        """,
    )
    assert out == "{0} 1200\n"


FORKING_FINALISERS = {
    "of a result": "return Forks()",
    "of a value": "cown.value = Forks()",
    "of a value that is replaced": "cown.value = Forks(); cown.value = None",
    "of an object of the body": "Forks()",
    "of a weak reference": "keep(weakref.ref(when()(gate.wait), fork))",
}


@in_a_body
@pytest.mark.parametrize("more", [0, 50])
@pytest.mark.parametrize("finaliser", FORKING_FINALISERS.values(), ids=FORKING_FINALISERS)
def test_finalisers_that_fork(program, finaliser: str, more: int) -> None:
    """Behind the body, too, there is nothing in the child to go on with."""
    out = run(
        program,
        f"""
        import weakref
        boc.start(1)
        parent = os.getpid()
        gate = threading.Event()
        statuses = []
        references = []
        keep = references.append

        def fork(_=None):
            if os.getpid() != parent: return
            pid = os.fork()
            if pid:
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            else:
                signal.alarm(20)
                assert when(Cown(4))(lambda cown: cown.value + 1).result(10) == 5

        class Forks:
            __del__ = fork

        def body(cown):
            gate.wait(10)
            {finaliser}

        def schedule():
            # Nobody but the behaviours refers to the cown.
            last = Cown(None)
            when(last)(body)
            del last
            for _ in range({more}):
                when()(lambda: os.getpid() == parent or print("of the parent", flush=True))

        schedule()
        gate.set()
        wait(30)
        print(statuses)
        """,
    )
    assert out == "[0]\n"


@pytest.mark.parametrize("place", ["", pytest.param("in a body", marks=in_a_body)])
def test_multiprocessing(program, place: str) -> None:
    call = "when(Cown(0))(lambda cown: main()).result(30)" if place else "main()"
    out = run(
        program,
        f"""
        import multiprocessing
        context = multiprocessing.get_context("fork")

        def job(n):
            return when(Cown(n))(lambda cown: cown.value + 1).result(10)

        def process(n):
            sys.exit(job(n))

        def main():
            with context.Pool(2) as pool:
                print(pool.map(job, range(5)))
            processes = [context.Process(target=process, args=[n]) for n in range(3)]
            for process_ in processes: process_.start()
            for process_ in processes: process_.join(20)
            print([process_.exitcode for process_ in processes], flush=True)

        when(cown)(increment).result()
        {call}
        """,
    )
    assert out == "[1, 2, 3, 4, 5]\n[1, 2, 3]\n"


def test_several_threads_fork_at_a_time(program) -> None:
    out = run(
        program,
        """
        boc.start(1)
        statuses = []

        def work():
            for _ in range(8):
                statuses.append(child(lambda: None))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert statuses == [0] * 24, statuses
        print(when()(lambda: 1).result(10))
        wait(10)
        """,
    )
    assert out == "1\n"


BESIDE = {
    "starts workers": "boc.start(1)",
    "has a callback called": "done.add_done_callback(lambda done: None)",
}
"""What another thread does just before the fork."""


@pytest.mark.parametrize("beside", BESIDE)
def test_what_the_program_does_before_a_fork_lets_other_threads_run(program, beside: str) -> None:
    done = program(
        textwrap.dedent(
            f"""
            import os, threading, time, warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            forks = threading.Event()
            # Called last, since functions that are called before a fork are called in reverse order.
            os.register_at_fork(before=lambda: (forks.set(), time.sleep(0.3)))
            import boc

            done = boc.when()(lambda: 1)
            done.result()
            boc.wait()

            def beside():
                forks.wait()
                {BESIDE[beside]}

            thread = threading.Thread(target=beside)
            thread.start()
            child = os.fork()
            if child == 0:
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            thread.join()
            assert boc.when()(lambda: 1).result(10) == 1
            boc.wait()
            """
        )
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.by_value
def test_what_the_parents_workers_have_said_is_said_once(program) -> None:
    done = program(
        """
        import logging, os, sys, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import boc
        logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")

        @boc.when()
        def say():
            import logging
            for number in range(3000):
                logging.info("line %d", number)

        while not say.done():
            pass
        child = os.fork()
        if child == 0:
            for _ in range(100):
                time.sleep(0.005)
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        boc.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"line {number}" for number in range(3000)]
