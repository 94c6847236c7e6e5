"""The end of the program: nothing hangs, nothing crashes, whatever is left to do."""

from __future__ import annotations

import sys
import sysconfig
import textwrap
import time
from pathlib import Path

import pytest

WAYS = {
    "normal": ("", 0, ""),
    "sys.exit": ("import sys; sys.exit(3)", 3, ""),
    "os._exit": ("import os; os._exit(4)", 4, ""),
    "exception": ("raise ValueError('main')", 1, "ValueError: main"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
    "SIGINT": ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -2, "KeyboardInterrupt"),
}

STATES = {
    "never started": "",
    "started": "boc.start(3)",
    "idle": "boc.when(cown)(lambda cown: None).result()",
    "stopped": "boc.when(cown)(lambda cown: None); boc.wait()",
    "quiescent": "boc.when(cown)(lambda cown: None); boc.quiesce()",
    "queued": "for _ in range(500): boc.when(cown)(lambda cown: time.sleep(0.001))",
    "running": """
        running = crossing.Gate()
        @boc.when(cown)
        def body(cown):
            running.set()
            time.sleep(0.2)
        running.wait()
        """,
    "many workers": "boc.start(30)\nfor _ in range(500): boc.when()(lambda: time.sleep(0.001))",
    "scheduling each other": """
        def again(cown):
            boc.when(cown)(again)
        boc.when(cown)(again)
        """,
    "acquired": "cown.acquire(); boc.when(cown)(lambda cown: None)",
    "acquired by a thread": """
        thread = threading.Thread(target=cown.acquire)
        thread.start()
        thread.join()
        boc.when(cown)(lambda cown: None)
        """,
    "exceptions": "results = [boc.when()(lambda: 1 / 0) for _ in range(50)]",
    "cycles": """
        value = [cown]
        other = boc.Cown(value)
        value += [other, boc.when(other), boc.when(other)(lambda other: other)]
        """,
    "finalisers": """
        class Last:
            def __del__(self):
                try:
                    boc.when(boc.Cown(self))(lambda cown: cown.value)
                except RuntimeError:
                    pass
        kept = Last()
        others = [boc.Cown(Last()) for _ in range(20)]
        for other in others: boc.when(other)(lambda other: Last())
        """,
    "a request": "request = boc.when(cown, [cown])",
}


def ends(done, status: int, message: str = "") -> None:
    # Some shells' convention, and some builds of Python, for the same thing.
    accepted = {status, 130} if status == -2 else {status}
    assert done.returncode in accepted, done.stderr
    assert message in done.stderr
    for bad in "Fatal", "panicked", "Segmentation", "internal error":
        assert bad not in done.stderr


@pytest.mark.parametrize("state", STATES)
def test_at_the_end_of_the_program(program, state: str) -> None:
    ends(program(source(state)), 0)


@pytest.mark.parametrize("state", ["idle", "queued", "running", "scheduling each other"])
@pytest.mark.parametrize("way", [way for way in WAYS if way != "normal"])
def test_ways_to_end(program, way: str, state: str) -> None:
    code, status, message = WAYS[way]
    ends(program(source(state, code)), status, message)


def source(state: str, ending: str = "") -> str:
    head = "import threading, time, boc, crossing\ncown = boc.Cown(0)\n"
    return head + textwrap.dedent(STATES[state]) + "\n" + ending + "\n"


def test_what_was_queued_is_dropped_and_counted(program) -> None:
    done = program(source("queued"))
    ends(done, 0, "behaviours dropped, since the program ended before they started")


def test_nothing_is_said_when_nothing_is_left(program) -> None:
    for state in "never started", "started", "idle", "stopped", "quiescent", "a request":
        assert program(source(state)).stderr == ""


def test_what_runs_may_end(program) -> None:
    done = program(
        """
        import time, boc
        from crossing import Gate
        running = Gate()

        @boc.when()
        def body():
            running.set()
            time.sleep(0.5)
            print("done")

        running.wait()
        """
    )
    ends(done, 0)
    assert done.stdout == "done\n"


ENDLESS = {
    "loop": "while True: pass",
    "loop that catches Exception": """
        while True:
            try: time.sleep(0.01)
            except Exception: pass
        """,
    # These go on until the interpreter is gone.
    "loop that catches all": """
        while True:
            try: sum(range(100))
            except BaseException: pass
        """,
    "naps that catch all": """
        while True:
            try: time.sleep(0.0001)
            except BaseException: pass
        """,
    "sleep": "time.sleep(60)",
    "event": "threading.Event().wait()",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
}


@pytest.mark.parametrize("how", ENDLESS)
def test_a_body_that_does_not_end(program, how: str, backend: str) -> None:
    body = ENDLESS[how]
    done = program(
        f"""
import threading, time, boc
from crossing import Meeting
running = Meeting(9)
boc.start(8)

def body():
    running.wait()
{textwrap.indent(textwrap.dedent(body).strip(), "    ")}

for _ in range(8): boc.when()(body)
running.wait()
print(time.monotonic())
"""
    )
    # The clock is the same for all processes.
    took = time.monotonic() - float(done.stdout)
    # Threads can be left behind, but not interpreters.
    stuck = "the process ends here, with status 1" in done.stderr
    assert stuck is (backend == "subinterpreters" and how in ("sleep", "event", "lock"))
    ends(done, int(stuck), "boc-worker-0 is still running a behaviour at exit")
    # It is no exception of the program that has ended them.
    assert "nobody looked at" not in done.stderr
    # Two seconds to end by itself, half a second to end after an exception, and a busy machine.
    assert 1.9 < took < 30


def test_a_body_that_ends_the_program_itself_is_logged(program) -> None:
    done = program(
        """
        import sys, time, boc
        from crossing import Gate
        running = Gate()
        boc.start(2)
        exited = boc.when()(lambda: sys.exit(3))

        @boc.when()
        def endless():
            running.set()
            while True: time.sleep(0.01)

        running.wait()
        while not exited.done(): time.sleep(0.01)
        """
    )
    ends(done, 0, "boc-worker-")
    assert done.stderr.count("nobody looked at") == 1
    assert "SystemExit: 3" in done.stderr


# Each runs a finaliser, on the worker that made the object, while boc's own frames are around it.
FINALISERS = {
    "of a result": """
        @when()
        def body():
            gate.wait()
            return Endless()
        """,
    "of a value": """
        @when(Cown(None))
        def body(cown):
            gate.wait()
            cown.value = Endless()
        """,
    "of a value that is replaced": """
        @when(Cown(None))
        def body(cown):
            gate.wait()
            cown.value = Endless()
            cown.value = None
        """,
    "of a cown that the body made": """
        @when()
        def body():
            gate.wait()
            Cown(Endless())
        """,
    "of a capture": """
        def body(box):
            gate.wait()
            box.append(Endless())
        whencall(body, [], [[]])
        """,
    "of what an exception refers to": """
        @when()
        def body():
            gate.wait()
            raise ValueError(Endless())
        """,
    "none, but code that scheduling calls": """
        class Cowns(collections.abc.Sequence):
            def __len__(self): return 1
            def __getitem__(self, index): go_on()

        @when()
        def body():
            gate.wait()
            when(Cowns())
        """,
    "none, but a generator that scheduling calls": """
        def cowns(): yield go_on()

        @when()
        def body():
            gate.wait()
            whencall(lambda cown: None, cowns())
        """,
}

if not sysconfig.get_config_var("Py_GIL_DISABLED"):
    # Elsewhere the main thread, which has made the function, sees to what belongs to it.
    FINALISERS["of what belongs to the function"] = """
        @when()
        def body(box=[]):
            gate.wait()
            box.append(Endless())
        """


@pytest.mark.by_reference("where the object that the body has made ends")
def test_finalisers_that_do_not_end(program) -> None:
    head = f"""
import collections.abc, threading, time, boc
from boc import Cown, when, whencall

gate = threading.Event()
running = threading.Barrier({len(FINALISERS) + 1})
boc.start({len(FINALISERS)})

def go_on():
    running.wait()
    while True:
        try: time.sleep(0.0001)
        except BaseException: pass

class Endless:
    def __del__(self):
        go_on()

def schedule():
"""
    ways = "\n".join(textwrap.indent(textwrap.dedent(way), "    ") for way in FINALISERS.values())
    done = program(head + ways + "\n\nschedule()\ngate.set()\nrunning.wait(30)\n")
    ends(done, 0, "boc-worker-0 is still running a behaviour at exit")


THREADS = """
import threading, time, boc
cown = boc.Cown([])

def body(cown):
    cown.value.append(object())
    del cown.value[:-10]

def schedule():
    for n in range({count}):
        try:
            boc.when(cown)(body)
            boc.when(boc.Cown(n), [cown])(lambda one, some: boc.when(one)(body))
        except RuntimeError as error:
            assert "while the interpreter exits" in str(error), error
            break

for _ in range(3):
    threading.Thread(target=schedule, daemon={daemon}).start()
time.sleep({delay})
"""


@pytest.mark.parametrize("round", range(8))
@pytest.mark.parametrize("daemon", [True, False])
def test_threads_that_schedule_during_the_end(program, daemon: bool, round: int) -> None:
    count = 10**9 if daemon else 10**5
    done = program(THREADS.format(count=count, daemon=daemon, delay=round * 0.003))
    ends(done, 0)
    assert "Exception in thread" not in done.stderr


def test_daemon_threads_that_wait_during_the_end(program) -> None:
    done = program(
        """
        import threading, time, boc
        from crossing import Gate
        gate = Gate()
        cown = boc.Cown(1)
        blocked = boc.when(cown)(lambda cown: gate.wait(0.3))
        for wait in boc.wait, boc.quiesce, blocked.result, cown.acquire:
            threading.Thread(target=wait, daemon=True).start()
        time.sleep(0.05)
        """
    )
    ends(done, 0)


def test_other_threads_are_told_when_they_schedule_too_late(program) -> None:
    done = program(
        """
        import threading, boc
        boc.start()

        def late():
            threading.main_thread().join()
            try:
                boc.when()(lambda: 1)
            except RuntimeError as error:
                print(error)

        threading.Thread(target=late).start()
        """
    )
    ends(done, 0)
    assert done.stdout == "cannot schedule behaviours while the interpreter exits\n"


def test_at_exit_handlers(program) -> None:
    done = program(
        """
        import atexit, boc
        result = boc.when()(lambda: 5)
        boc.wait()

        def late():
            print(result.result(), boc.quiesce(), boc.wait(), boc.stats())
            try:
                boc.when()(lambda: 1)
            except RuntimeError as error:
                print(error)

        atexit.register(late)
        """
    )
    ends(done, 0)
    assert done.stdout.splitlines() == [
        "5 None None []",
        "cannot schedule behaviours while the interpreter exits",
    ]


def test_cowns_in_modules_and_the_interpreters_own_places(program) -> None:
    done = program(
        """
        import builtins, sys, boc

        class Last:
            def __init__(self, cown): self.cown = cown
            def __del__(self):
                print(self.cown.acquired, "Cown" in repr(self.cown))

        sys.kept = boc.Cown(Last(boc.Cown(1)))
        builtins.kept = boc.when(sys.kept)(lambda cown: Last(cown))
        boc.wait()
        """
    )
    ends(done, 0)


def test_inside_of_pytest(program, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import time, boc\n"
        "kept = []\n"
        "def test_it():\n"
        "    for _ in range(100):\n"
        "        kept.append(boc.when()(lambda: time.sleep(0.01)))\n"
        "def test_fails():\n"
        "    kept.append(boc.when()(lambda: 1 / 0))\n"
        "    assert False\n"
    )
    done = program(
        "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '.']))",
        folder=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert "1 failed, 1 passed" in done.stdout


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_worker_processes(program, tmp_path: Path, method: str) -> None:
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("no such method")
    (tmp_path / "job.py").write_text(
        "import boc\ndef job(n):\n    return boc.when(boc.Cown(n))(lambda c: c.value + 1).result()\n"
    )
    (tmp_path / "main.py").write_text(
        "import multiprocessing, boc, job\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    boc.when()(lambda: None)\n"
        "    with context.Pool(2) as pool:\n"
        "        print(pool.map(job.job, range(4)))\n"
    )
    done = program("import runpy; runpy.run_path('main.py', run_name='__main__')", folder=tmp_path)
    ends(done, 0)
    assert done.stdout == "[1, 2, 3, 4]\n"
