"""What the program and its modules look like from a worker, what a worker says, and the end of both."""

from __future__ import annotations

import logging
import os
import sys
import textwrap
from pathlib import Path

import pytest

import boc
from boc import Cown, quiesce, wait, when
from crossing import works

pytestmark = pytest.mark.by_value


# Modules: a worker imports its own.

SETTING = "as imported"
ENTRIES: list[int] = []


def setting() -> str:
    return SETTING


def enter() -> int:
    ENTRIES.append(1)
    return len(ENTRIES)


def test_globals_of_a_module_are_the_workers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from boc._boc import end_resting_interpreters  # which workers have not

    # Of several workers that rest, any would be the next one.
    assert end_resting_interpreters()
    boc.start(1)
    monkeypatch.setattr(sys.modules[__name__], "SETTING", "changed")
    assert setting() == "changed"
    assert when()(setting).result() == "as imported"
    assert when()(lambda: setting()).result() == "as imported"
    before = when()(enter).result()
    assert [when()(enter).result() for _ in range(3)] == [before + 1, before + 2, before + 3]
    assert ENTRIES == []
    # The next workers are these, if they are there.
    wait()
    boc.start(1)
    assert when()(enter).result() == before + 4


def test_modules_that_are_found_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boc.start(1)
    works()
    (tmp_path / "found_later.py").write_text("def double(cown): return cown.value * 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    import found_later  # type: ignore[import-not-found]

    assert when(Cown(4))(found_later.double).result() == 8
    assert when(Cown(5))(lambda cown: found_later.double(cown)).result() == 10


def test_cowns_at_the_top_of_a_module_are_the_same_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared_by_all.py").write_text(
        textwrap.dedent(
            """
            from boc import Cown, when

            total = Cown(0)
            by_name = {"a": Cown(0), "b": Cown(0)}

            class Holder:
                several = [Cown(0), Cown(0)]

            def body():
                for cown in [total, *by_name.values(), *Holder.several]:
                    @when(cown)
                    def add(cown): cown.value += 1
                return total
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    import shared_by_all  # type: ignore[import-not-found]

    boc.start(2)
    results = [when()(shared_by_all.body) for _ in range(5)]
    quiesce()
    assert all(result.result() == shared_by_all.total for result in results)
    cowns = shared_by_all.by_name.values(), shared_by_all.Holder.several
    everywhere = [shared_by_all.total, *cowns[0], *cowns[1]]
    assert [cown.unwrap() for cown in everywhere] == [5] * 5


def test_a_module_that_cannot_be_imported_in_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gone_by_then.py"
    file.write_text("def double(cown): return cown.value * 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_by_then  # type: ignore[import-not-found]

    file.unlink()
    with pytest.raises((ImportError, TypeError), match="gone_by_then"):
        when(Cown(4))(gone_by_then.double).result()
    works()


def test_the_program_looks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("/no/such/folder")
    monkeypatch.setattr(sys, "argv", ["program", "--option"])

    @when()
    def seen():
        return sys.argv, sys.path, sys.executable, os.getpid(), tuple(sys.flags)

    assert seen.result() == (sys.argv, sys.path, sys.executable, os.getpid(), tuple(sys.flags))


# The program itself, wherever it comes from.

PROGRAM = """
import collections, dataclasses, enum, functools
from boc import Cown, quiesce, wait, when, whencall

print("once")
factor = 2

class Plain:
    shared = [1]
    def __init__(self, n): self.n = n
    def times(self): return Plain(self.n * factor)
    @property
    def shown(self): return f"Plain({self.n})"
    @classmethod
    def of(cls, n): return cls(n)
    @staticmethod
    def helper(n): return n + 1

class Derived(Plain):
    def times(self): return super().times()

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int = 0

class Colour(enum.Enum):
    RED = 1
    GREEN = 2

class Wrong(Exception):
    pass

Pair = collections.namedtuple("Pair", "one two")

def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
square = lambda n: n * n

@functools.wraps(factorial)
def wrapped(cown): return factorial(cown.value)

# Classes are the same ones when they come back.
got = when(Cown(Plain(4)))(lambda cown: cown.value.times()).result()
print(type(got) is Plain, got.shown)
got = when()(lambda: Derived(5)).result()
print(type(got) is Derived, isinstance(got, Plain), got.times().shown)
print(when()(lambda: [Point(1, 2), Pair(3, 4)]).result() == [Point(1, 2), Pair(3, 4)])
print(when()(lambda: Colour.RED).result() is Colour.RED)
print(when(Cown(Colour.GREEN))(lambda cown: cown.value is Colour.GREEN).result())
print(when(Cown(6))(lambda cown, kind=Plain: kind.of(kind.helper(cown.value)).shown).result())

# Functions that call each other.
print(when()(lambda: (factorial(10), even(10), odd(10), square(5))).result())
print(when(Cown(4))(wrapped).result())

# What changes between two.
def read(): return factor
before = when()(read)
factor = 3
after = when()(read)
print(before.result(), after.result())

# What a body changes is its own.
counter = 3
def change():
    global counter
    counter += 10
    Plain.shared.append(2)
    return counter
print(when()(change).result(), when()(change).result(), counter, Plain.shared)

# Exceptions.
def fails(): raise Wrong("sorry", Point(7))
try:
    when()(fails).result()
except Wrong as error:
    print(error.args)

# Scheduling again, from there.
total = Cown(0)
def add(total, left):
    total.value += factor
    if left:
        whencall(add, [total], [left - 1])
whencall(add, [total], [4])
quiesce()
print(total.unwrap())
print(when()(lambda: __name__).result())
wait()
"""

PRINTED = """
once
True Plain(8)
True True Plain(10)
True
True
True
Plain(7)
(3628800, True, False, 25)
24
2 3
13 13 3 [1]
('sorry', Point(x=7, y=0))
15
__main__
"""


@pytest.mark.parametrize("how", ["argument", "file", "stdin"])
def test_what_the_program_defines(program, how: str) -> None:
    done = program(PROGRAM, how=how)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == PRINTED.lstrip()


def test_a_program_that_is_a_module(program, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "part.py").write_text("def double(n): return 2 * n\n")
    (tmp_path / "package" / "__main__.py").write_text(
        "from boc import Cown, when\n"
        "from .part import double\n"
        "print('once')\n"
        "def body(cown): return double(cown.value)\n"
        "print(when(Cown(4))(body).result(), when(Cown(5))(lambda cown: body(cown)).result())\n"
    )
    for options in ["-m", "package"], ["package"]:
        source = f"import subprocess, sys; subprocess.run([sys.executable, *{options}], check=True)"
        if options == ["package"]:
            # A folder is run without being a package.
            (tmp_path / "package" / "__main__.py").write_text(
                (tmp_path / "package" / "__main__.py").read_text().replace(".part", "part")
            )
        done = program(source, folder=tmp_path)
        assert (done.returncode, done.stdout) == (0, "once\n8 10\n"), done.stderr


def test_methods_see_what_changes_between_two(program) -> None:
    done = program(
        """
        from boc import Cown, start, when

        start(1)
        factor = 2
        class Plain:
            def times(self, n): return n * factor
        for factor in 3, 4:
            print(when(Cown(Plain()))(lambda cown: cown.value.times(1)).result())
            print(when()(lambda: Plain().times(1)).result())
        """
    )
    assert done.stdout == "3\n3\n4\n4\n", done.stderr


def test_globals_that_cannot_cross_are_refused_by_name(program) -> None:
    done = program(
        """
        import threading
        from boc import when

        lock, unused = threading.Lock(), threading.Lock()
        def helper(): return lock
        for body in (lambda: lock), (lambda: helper()):
            try:
                when()(body)
            except TypeError as error:
                print("lock" in str(error) or "helper" in str(error))
        # What is not used does not matter.
        print(when()(lambda: 1).result())
        """
    )
    assert done.stdout == "True\nTrue\n1\n", done.stderr


# What a worker says.


def test_what_workers_print_is_printed(program) -> None:
    done = program(
        """
        import sys
        from boc import Cown, wait, when

        cown = Cown(0)
        for n in range(100):
            @when(cown)
            def body(cown, n=n):
                print("line", n)
                print("error", n, file=sys.stderr)
        wait()
        print("last")
        """
    )
    assert done.returncode == 0
    assert done.stdout.splitlines() == [*(f"line {n}" for n in range(100)), "last"]
    assert done.stderr.splitlines() == [f"error {n}" for n in range(100)]


def test_what_workers_print_without_an_end_of_line_is_there_at_the_end(program) -> None:
    done = program(
        """
        import boc
        boc.when()(lambda: print("no end of line", end="")).result()
        """
    )
    assert (done.returncode, done.stdout) == (0, "no end of line"), done.stderr


def test_what_workers_log_reaches_the_handlers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "some.name")

    @when()
    def body():
        logger = logging.getLogger("some.name")
        logger.info("said %s", "this")
        logger.debug("not this")
        try:
            raise KeyError("sorry")
        except KeyError:
            logger.exception("failed")

    body.result()
    quiesce()
    records = [record for record in caplog.records if record.name == "some.name"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("INFO", "said this"),
        ("ERROR", "failed"),
    ]
    assert "KeyError: 'sorry'" in caplog.text and "in body" in caplog.text


def test_logging_as_a_program_sets_it_up(program) -> None:
    done = program(
        """
        import logging, boc
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
        boc.when()(lambda: logging.getLogger("a").info("number %d", 5)).result()
        boc.when()(lambda: logging.warning("root")).result()
        boc.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "INFO a number 5\nWARNING root root\n")


def test_warnings_of_workers_are_shown(program) -> None:
    done = program(
        """
        import warnings, boc
        boc.when()(lambda: warnings.warn("careful")).result()
        boc.wait()
        """
    )
    assert done.returncode == 0 and "UserWarning: careful" in done.stderr


# The end of the program.

ENDS = {
    "while workers start": "threading.Thread(target=boc.start, args=[8]).start()",
    "while a worker imports": """
        def body():
            met.set()
            import asyncio, unittest, xml.dom.minidom, email.message
        for _ in range(3): boc.when()(body)
        met.wait()
        """,
    "classes of the program in values, results and exceptions": """
        class Local(Exception): pass
        cown = boc.Cown(Local(1))
        results = [boc.when(cown)(lambda cown: [cown.value, Local]) for _ in range(20)]
        def body(): raise Local(2)
        results += [boc.when()(body) for _ in range(20)]
        """,
    "a thread of a body": """
        def body():
            threading.Thread(target=time.sleep, args=[0.3]).start()
        boc.when()(body).result()
        """,
    "a body that waits": """
        def body():
            met.set()
            gate.wait(0.5)
        boc.when()(body)
        met.wait()
        """,
    "cowns that only workers know": """
        def body(depth):
            cown = boc.Cown([depth])
            if depth < 5000: boc.whencall(lambda cown, depth: body(depth + 1), [cown], [depth])
        boc.whencall(body, [], [0])
        """,
    "a finaliser in a worker": """
        class Last:
            def __del__(self): boc.when()(lambda: 1)
        def body():
            global kept
            kept = Last()
        boc.when()(body).result()
        """,
    "at-exit functions of a worker": """
        def body():
            import atexit
            atexit.register(print, "over")
        boc.when()(body).result()
        """,
    "large values on their way": """
        for _ in range(50): boc.when(boc.Cown(bytes(10**6)))(lambda cown: cown.value * 2)
        """,
    "a behaviour that was refused": """
        lock = threading.Lock()
        try: boc.when()(lambda: lock)
        except TypeError: pass
        """,
    "logging all the time": """
        import logging
        for n in range(200): boc.when()(lambda n=n: logging.getLogger("a").warning("%d", n))
        """,
}

WAYS = {
    "normally": ("", 0),
    "by sys.exit": ("sys.exit(3)", 3),
    "by an exception": ("raise ValueError('main')", 1),
    "by os._exit": ("os._exit(4)", 4),
    "after wait": ("boc.wait(30)", 0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ENDS)
def test_the_end_of_the_program(program, state: str, way: str) -> None:
    head = """
import os, sys, threading, time, boc
from crossing import Gate
gate, met = Gate(), Gate()
"""
    code, status = WAYS[way]
    done = program(head + textwrap.dedent(ENDS[state]) + "\n" + code + "\n")
    assert done.returncode == status, done.stderr
    for bad in "Fatal", "panicked", "Segmentation", "internal error", "Aborted":
        assert bad not in done.stderr


@pytest.mark.parametrize(
    "body",
    ["Last()", "return Last()", "cown.value = Last()"],
    ids=["of the body", "of a result", "of a value"],
)
def test_a_finaliser_in_a_worker_that_does_not_end(program, body: str) -> None:
    done = program(
        f"""
        import threading, time, boc
        from crossing import Gate
        running, main = Gate(), threading.get_ident()

        class Last:
            def __del__(self):
                if threading.get_ident() == main: return
                running.set()
                while True:
                    try: time.sleep(0.001)
                    except BaseException: pass

        @boc.when(boc.Cown(None))
        def body(cown):
            {body}

        running.wait(30)
        """
    )
    # What the status would have been, nobody knows any more.
    assert done.returncode == 1, done.stderr
    assert "still running a behaviour at exit" in done.stderr
    assert "the process ends here, with status 1" in done.stderr
    for bad in "Fatal", "panicked", "Segmentation", "internal error", "Aborted":
        assert bad not in done.stderr


def test_ctrl_c_in_the_main_program_leaves_the_workers_alone(program) -> None:
    done = program(
        """
        import os, signal, threading, boc
        from crossing import Gate
        gate = Gate()
        cown = boc.Cown([])

        def body(cown):
            gate.wait(30)
            cown.value.append("body")

        boc.when(cown)(body)
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            boc.wait()
        except KeyboardInterrupt:
            print("interrupted")
        gate.set()
        boc.wait(30)
        print(cown.unwrap())
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n['body']\n"), done.stderr


def test_a_fork_with_workers_that_are_idle_or_busy(program) -> None:
    done = program(
        """
        import os, signal, warnings, boc
        warnings.simplefilter("ignore", DeprecationWarning)
        boc.start(2)
        cown = boc.Cown(0)

        def body(cown):
            cown.value += 1

        for n in range(5):
            for _ in range(n * 20):
                boc.when(cown)(body)
            pid = os.fork()
            if pid == 0:
                signal.alarm(20)
                mine = boc.Cown(5)
                assert boc.when(mine)(lambda mine: mine.value + 1).result(10) == 6
                boc.wait(10)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        print(boc.when(cown)(lambda cown: cown.value).result(30))
        boc.wait(30)
        """
    )
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
