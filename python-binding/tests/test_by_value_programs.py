"""What the program and its modules look like from a worker, what a worker says, and the end of both."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import textwrap
from pathlib import Path

import pytest

import boc
from boc import Cown, quiesce, wait, when, whencall
from crossing import shown, works

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


REFUSING = {
    "itself": "raise ImportError('module refusing._core does not support loading in subinterpreters')",
    "in a part": """
        try:
            raise ImportError('module refusing._core does not support loading in subinterpreters')
        except ImportError as error:
            raise ImportError('a long text') from error
        """,
    "in words of its own": "raise ImportError('this module does not support subinterpreters', name='refusing._core')",
}


@pytest.mark.parametrize("how", REFUSING)
def test_a_module_that_refuses_and_that_a_body_imports_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "refusing.py").write_text(textwrap.dedent(REFUSING[how]))
    monkeypatch.syspath_prepend(tmp_path)

    @when()
    def body():
        import refusing  # type: ignore[import-not-found]

    @when()
    def body_that_wraps():
        try:
            import refusing  # noqa: F401
        except ImportError as error:
            raise ValueError("no table") from error

    for result, kind in (body, ImportError), (body_that_wraps, ValueError):
        with pytest.raises(kind) as caught:
            result.result()
        (note,) = caught.value.__notes__
        assert "the module 'refusing._core' cannot be used in a worker's interpreter" in note
        assert 'boc.start(backend="direct")' in note and "BOC_BACKEND=direct" in note
        assert note in shown(caught.value.__cause__ or caught.value)


def test_an_extension_module_that_refuses() -> None:
    if importlib.util.find_spec("_testsinglephase") is None:
        pytest.skip("no such module in this build")

    @when()
    def body():
        import _testsinglephase  # noqa: F401

    with pytest.raises(ImportError) as caught:
        body.result()
    assert "the module '_testsinglephase' cannot be used in a worker" in shown(caught.value)


def test_other_import_errors_get_no_hint() -> None:
    @when()
    def body():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401

    with pytest.raises(ModuleNotFoundError) as caught:
        body.result()
    assert not hasattr(caught.value, "__notes__")


def test_the_program_looks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("/no/such/folder")
    monkeypatch.setattr(sys, "argv", ["program", "--option"])

    @when()
    def seen():
        return sys.argv, sys.path, sys.executable, os.getpid(), tuple(sys.flags)

    assert seen.result() == (sys.argv, sys.path, sys.executable, os.getpid(), tuple(sys.flags))


# Modules that nobody finds by their name.

MODULE = """
import math
from boc import Cown

factor = 3
total = Cown(0)

class Plain:
    def __init__(self, n): self.n = n
    def times(self): return self.n * factor

def times(n): return n * factor
def more(n): return times(n) + math.floor(1.5)
def body(cown): return more(cown.value)
def count(): return total
"""

LOADED = {
    "from a file": """
        spec = importlib.util.spec_from_file_location("from_a_file", file)
        module = importlib.util.module_from_spec(spec)
        sys.modules["from_a_file"] = module
        spec.loader.exec_module(module)
        """,
    "from a file, and not known": """
        spec = importlib.util.spec_from_file_location("from_a_file", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        """,
    "in a package that is none": """
        sys.modules["parent"] = types.ModuleType("parent")
        spec = importlib.util.spec_from_file_location("parent.child", file)
        module = sys.modules["parent"].child = importlib.util.module_from_spec(spec)
        sys.modules["parent.child"] = module
        spec.loader.exec_module(module)
        """,
    "run": "module = types.SimpleNamespace(**runpy.run_path(file))",
    "made": """
        module = types.ModuleType("made")
        exec(open(file).read(), vars(module))
        """,
    "made and known": """
        module = sys.modules["made"] = types.ModuleType("made")
        exec(open(file).read(), vars(module))
        """,
}


@pytest.mark.parametrize("how", LOADED)
def test_modules_that_nobody_finds_by_their_name(program, tmp_path: Path, how: str) -> None:
    file = tmp_path / "anywhere" / "odd-name.py"
    file.parent.mkdir()
    file.write_text(MODULE)
    load = textwrap.dedent(LOADED[how])
    done = program(
        f"""
import importlib.util, runpy, sys, types
from boc import Cown, quiesce, when
file = {str(file)!r}
{load}
cown, Plain, more = Cown(5), module.Plain, module.more
print(when(cown)(module.body).result())
print(when(cown)(lambda cown: module.more(cown.value)).result())
print(when(cown)(lambda cown: more(cown.value)).result())
print(when(Cown(Plain(2)))(lambda cown: cown.value.times()).result())
print(type(when()(lambda: Plain(2)).result()) is Plain)
print(when()(module.count).result() == module.total)
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "16\n16\n16\n6\nTrue\nTrue\n"


def test_what_changes_in_a_module_that_the_program_has_made(program) -> None:
    done = program(
        """
        import types
        from boc import when
        settings = types.ModuleType("settings")
        for settings.number in 1, 2:
            print(when()(lambda: settings.number).result())
        settings.itself = settings
        print(when()(lambda: settings.itself.itself.number).result())
        """
    )
    assert (done.returncode, done.stdout) == (0, "1\n2\n2\n"), done.stderr


def test_a_module_from_a_file_that_is_gone(program, tmp_path: Path) -> None:
    file = tmp_path / "odd-name.py"
    file.write_text("def double(n): return 2 * n\n")
    done = program(
        f"""
        import importlib.util, os, sys
        from boc import when
        spec = importlib.util.spec_from_file_location("odd_name", {str(file)!r})
        module = sys.modules["odd_name"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        os.unlink({str(file)!r})
        try:
            when()(lambda: module.double(2)).result()
        except ImportError as error:
            print(error)
        print(when()(lambda: 1).result())
        """
    )
    assert done.returncode == 0, done.stderr
    assert "the module 'odd_name' cannot be imported" in done.stdout
    assert done.stdout.endswith("\n1\n")


# Modules of tests, whose `assert` pytest has rewritten.

TESTS = """
from boc import Cown, when

def helper(n):
    assert n == 5

def test_in_a_body():
    @when(Cown([1, 2]))
    def body(cown):
        assert len(cown.value) == 3, "in a body"
    body.result()

def test_in_a_function_of_a_body():
    def inner(n):
        assert n > 5
    when()(lambda: inner(4)).result()

def test_in_a_function_of_the_module():
    when()(lambda: helper(4)).result()

def test_that_passes():
    @when()
    def body():
        assert 1 + 1 == 2
    body.result()
"""


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_an_assert_that_fails_says_what_pytest_would(program, tmp_path: Path, mode: str) -> None:
    (tmp_path / "test_some_asserts.py").write_text(TESTS)
    arguments = ["-p", "no:cacheprovider", f"--import-mode={mode}", "."]
    done = program(f"import sys, pytest; sys.exit(pytest.main({arguments}))", folder=tmp_path)
    assert "3 failed, 1 passed" in done.stdout, done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("E  ")]
    assert any(line.endswith("AssertionError: in a body") for line in said), done.stdout
    assert any(line.endswith("assert 2 == 3") for line in said)
    assert any(line.endswith("assert 4 > 5") for line in said)
    assert "NameError" not in done.stdout


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
    (said,) = (line for line in done.stderr.splitlines() if "Warning" in line)
    assert "change()" in said and "assigns the global 'counter'" in said
    assert done.stdout == PRINTED.lstrip()


def test_functions_that_dispatch_on_classes(program) -> None:
    done = program(
        """
        import collections.abc, functools, json
        from boc import Cown, start, when

        start(1)
        class Plain: pass
        class Derived(Plain): pass

        @functools.singledispatch
        def shown(value): "Shows."; return "something"
        @shown.register
        def _(value: int): return f"{value:+}"
        @shown.register(list)
        def _(value): return " ".join(map(shown, value))
        @shown.register(Plain)
        def _(value): return "plain"
        @shown.register(collections.abc.Mapping)
        def _(value): return "mapping"

        class Kind:
            @functools.singledispatchmethod
            def shown(self, value): return "method"
            @shown.register
            def _(self, value: int): return "method for int"

        for value in 4, "text", [1, [2]], Derived(), {}:
            print(when(Cown(value))(lambda cown: shown(cown.value)).result())
        print(when(Cown(4))(shown).result(), when()(lambda: shown.__doc__).result())
        print(when()(lambda shown=shown: shown(5)).result())
        print(when()(lambda: shown).result() is shown)
        print(when()(lambda: [shown, shown.registry[list]]).result()[1] is shown.registry[list])
        print(when(Cown(Kind()))(lambda cown: (cown.value.shown(1), cown.value.shown(""))).result())
        # What is registered later.
        shown.register(str, lambda value: "a text")
        print(when()(lambda: shown("text")).result())
        # Only in the worker.
        @when()
        def body():
            shown.register(float, lambda value: "a number")
            return shown(1.0)
        print(body.result(), shown(1.0))
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *("+4", "something", "+1 +2", "plain", "mapping"),
        *("something Shows.", "+5", "True", "True", "('method for int', 'method')"),
        *("a text", "a number something"),
    ]


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


ASSIGNING = """
import threading
from boc import Cown, when

counter = total = unused = 0

def helper():
    global counter
    counter += 1

def through():
    helper()

class Kind:
    def method(self):
        global total
        def inner():
            global total
            total = 1
        del total

def nobody():
    global unused
    unused = 1

def own():
    global counter
    counter += 1

"""


def test_a_global_that_a_function_of_the_program_assigns_is_warned_of_once(program) -> None:
    done = program(
        ASSIGNING
        + """
for _ in range(3):
    when()(through).result()  # here
when()(lambda: Kind).result()  # and here
when(Cown(Kind()))(lambda cown: cown.value).result()
when()(own).result()
""",
        how="file",
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line]
    assert len(said) == 4, done.stderr
    assert "RuntimeWarning: helper() (" in said[0] and "global 'counter'" in said[0]
    assert "keep it in a Cown" in said[0]
    assert said[1].endswith("# here")
    assert "RuntimeWarning: Kind.method() (" in said[2] and "global 'total'" in said[2]
    assert said[3].endswith("# and here")


def test_a_global_that_a_function_assigns_can_be_made_an_error(program) -> None:
    done = program(
        ASSIGNING
        + """
for body in through, own:
    for _ in range(2):
        try:
            when()(body)
        except RuntimeWarning as warning:
            print(warning)
print(when()(lambda: 1).result())
""",
        "-W",
        "error",
    )
    assert done.returncode == 0, done.stderr
    *said, last = done.stdout.splitlines()
    assert len(said) == 4 and all("assigns the global 'counter'" in line for line in said)
    assert last == "1"


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


def test_the_streams_of_the_program_may_change(program) -> None:
    done = program(
        """
        import contextlib, io, sys
        from boc import quiesce, start, when

        start(2)
        def say(word):
            print("out", word)
            print("error", word, file=sys.stderr)
            print("no end of line", end="")

        def body(word):
            when()(lambda: say(word)).result()
            quiesce()
        for n in range(3):
            body(f"before {n}")
            print()
            out, error = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
                body(f"within {n}")
            assert out.getvalue() == f"out within {n}\\nno end of line", out.getvalue()
            assert error.getvalue() == f"error within {n}\\n"
        body("after")
        """
    )
    assert done.returncode == 0, done.stderr
    words = [*(f"before {n}" for n in range(3)), "after"]
    assert done.stderr.splitlines() == [f"error {word}" for word in words]
    assert [line for line in done.stdout.splitlines() if line.startswith("out")] == [
        f"out {word}" for word in words
    ]


def test_a_stream_that_a_body_puts_in_the_place_of_its_own_is_left_there(program) -> None:
    done = program(
        """
        import contextlib, io, sys
        from boc import quiesce, start, when

        start(1)
        def body():
            global stream
            sys.stdout = stream = io.StringIO()
            print("first")
        def again():
            print("second")
            return sys.stdout.getvalue()
        when()(body).result()
        with contextlib.redirect_stdout(io.StringIO()) as outside:
            print(when()(again).result())
        sys.stdout.write(outside.getvalue())
        """,
        "-W",
        "ignore",
    )
    assert (done.returncode, done.stdout) == (0, "first\nsecond\n\n"), done.stderr


def test_levels_of_logging_may_change(program) -> None:
    done = program(
        """
        import logging, boc
        boc.start(1)
        logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
        def body():
            logging.getLogger("a.b").debug("debug")
            logging.getLogger("a.c").info("info")
        boc.when()(body).result()
        logging.getLogger("a.b").setLevel(logging.DEBUG)
        boc.when()(body).result()
        logging.getLogger("a.b").setLevel(logging.NOTSET)
        logging.root.setLevel(logging.INFO)
        boc.when()(body).result()
        logging.root.setLevel(logging.ERROR)
        boc.when()(body).result()
        logging.getLogger("a.c").setLevel(logging.ERROR)
        logging.root.setLevel(logging.NOTSET)
        boc.when()(body).result()
        boc.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "DEBUG a.b debug\nINFO a.c info\nDEBUG a.b debug\n")


def test_the_environment_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    boc.start(2)

    def seen(name):
        return [os.environ.get(name), os.getenvb(name.encode())]

    def look(name):
        return whencall(seen, [], [name]).result()

    assert look("BOC_TEST_A") == [None, None]
    monkeypatch.setenv("BOC_TEST_A", "one ä")
    assert look("BOC_TEST_A") == ["one ä", "one ä".encode()]
    monkeypatch.setenv("BOC_TEST_A", "two")
    assert look("BOC_TEST_A") == ["two", b"two"]
    # What a body sets is its own, and lasts.
    when()(lambda: os.environ.update(BOC_TEST_B="its own")).result()
    monkeypatch.delenv("BOC_TEST_A")
    assert look("BOC_TEST_A") == [None, None]
    assert "BOC_TEST_B" not in os.environ
    os.unsetenv("BOC_TEST_B")
    # The next workers are these, if they are there.
    wait()
    monkeypatch.setenv("BOC_TEST_A", "three")
    boc.start(2)
    assert look("BOC_TEST_A") == ["three", b"three"]


def test_the_program_goes_on_while_workers_log_more_than_it_can_handle(program) -> None:
    done = program(
        """
        import logging, time, boc

        class Slow(logging.Handler):
            nap = 0.001

            def emit(self, record):
                if self.nap: time.sleep(self.nap)

        logging.root.addHandler(Slow())

        def flood(cown):
            for n in range(100): logging.warning("%d", n)
            boc.when(cown)(flood)

        def step(): pass

        boc.when(boc.Cown(None))(flood)
        time.sleep(0.3)
        for _ in range(10_000): step()
        Slow.nap = 0
        print("done")
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


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
    "modules that the program itself does not import": """
        assert "hashlib" not in sys.modules
        def body():
            import hashlib, sqlite3
            sqlite3.connect(":memory:", timeout=1).close()
            return hashlib.sha256(b"", usedforsecurity=False).hexdigest()
        assert boc.when()(body).result().startswith("e3b0")
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
    ("body", "stuck"),
    [("Last()", False), ("return Last()", True), ("cown.value = Last()", True)],
    ids=["of the body", "of a result", "of a value"],
)
def test_a_finaliser_in_a_worker_that_does_not_end(program, body: str, stuck: bool) -> None:
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
    # Behind the body nothing is ended that does not end by itself. What the status would have been, nobody knows.
    assert done.returncode == int(stuck), done.stderr
    assert "still running a behaviour at exit" in done.stderr
    assert ("the process ends here, with status 1" in done.stderr) is stuck
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
