"""Functions, classes and values cross from one interpreter to another, and back, by :mod:`boc._shipping`.

Each test is a program, whose own functions and classes no other interpreter can import. The other
interpreter is a real one; see ``shipping/crossing.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

if sys.version_info < (3, 12):
    pytest.skip("interpreters share their GIL", allow_module_level=True)
pytest.importorskip("cloudpickle")

SUPPORT = Path(__file__).parent / "shipping"
BEGIN = "import crossing\nother = crossing.start()\nfrom boc import Cown, _shipping, when\n"


def run(tmp_path: Path, program: str, *, how: str = "file") -> str:
    """Run a program that has another interpreter; returns what it printed."""
    whole = BEGIN + textwrap.dedent(program) + "\nother.end()\n"
    (tmp_path / "program.py").write_text(whole)
    arguments = ["-c", whole] if how == "-c" else ["program.py"]
    ran = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{SUPPORT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("how", ["file", "-c"])
def test_functions_bring_what_they_refer_to(tmp_path: Path, how: str) -> None:
    program = """
        import collections, concurrent.futures, functools, json
        FACTOR = 2
        def double(x): return x * FACTOR
        def twice(x): return double(double(x))
        def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        def as_json(x): return json.dumps(x)
        def body_of_class():
            class Local:
                factor = FACTOR
            return Local.factor
        @functools.lru_cache
        def fibonacci(n): return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

        assert other.call(twice, 3) == 12
        assert other.call(factorial, 5) == 120
        assert other.call(even, 10)
        assert other.call(as_json, [1]) == "[1]"
        assert other.call(lambda: concurrent.futures.Future.__name__) == "Future"
        assert other.call(body_of_class) == 2
        assert other.call(fibonacci, 30) == 832040
        assert other.call(functools.partial(double, 4)) == 8
        assert other.call(twice.__get__(1)) == 4
        assert other.call(len, [1, 2]) == 2
        assert other.call(collections.Counter, "aab") == {"a": 2, "b": 1}
    """
    run(tmp_path, program, how=how)


def test_closures(tmp_path: Path) -> None:
    program = """
        def recursive(n):
            def inner(k): return n if k == 0 else inner(k - 1)
            return inner
        def mutual(n):
            def a(k): return n if k == 0 else b(k - 1)
            def b(k): return -n if k == 0 else a(k - 1)
            return a, b
        def counter():
            count = 0
            def up():
                nonlocal count
                count += 1
                return count
            def get(): return count
            return up, get
        def empty():
            if False: nothing = 1
            def inner():
                try: return nothing
                except NameError: return "empty"
            return inner
        def with_defaults(a, b=[2], *, c={"three": 3}): return a, b, c

        assert other.call(recursive(5), 3) == 5
        a, b = mutual(5)
        assert other.call(a, 3) == -5 and other.call(b, 3) == 5
        assert other.evaluate((a, b)) == (a, b)
        assert other.evaluate(counter(), "(value[0](), value[0](), value[1]())") == (1, 2, 2)
        assert other.call(empty()) == "empty"
        assert other.call(with_defaults, 1) == (1, [2], {"three": 3})
        assert other.call(lambda *, x=None: x) is None
        with_defaults.note = "here"
        assert other.evaluate(with_defaults, "value.note") == "here"
        assert other.evaluate([recursive(i) for i in range(9)], "[f(1) for f in value]") == [*range(9)]
    """
    run(tmp_path, program)


def test_names_and_lines_of_functions_stay(tmp_path: Path) -> None:
    program = """
        import traceback
        def about(f):
            code = f.__code__
            return f.__name__, f.__qualname__, f.__module__, code.co_filename, code.co_firstlineno
        class Local:
            def method(self): raise ValueError("no")
        for function in about, Local.method, (lambda: 1):
            assert other.call(about, function) == about(function)
        def shown():
            try: Local().method()
            except ValueError: return traceback.format_exc()
        text = other.call(shown)
        assert 'program.py", line' in text and 'raise ValueError("no")' in text, text

        import linecache
        source = "def cell():\\n    import traceback\\n    return ''.join(traceback.format_stack())\\n"
        linecache.cache["<cell 7>"] = (len(source), None, source.splitlines(True), "<cell 7>")
        exec(compile(source, "<cell 7>", "exec"))
        text = other.call(cell)
        assert "return ''.join(traceback.format_stack())" in text, text
    """
    run(tmp_path, program)


def test_classes(tmp_path: Path) -> None:
    program = """
        import abc, collections, dataclasses, typing
        FACTOR = 2
        @dataclasses.dataclass
        class Point:
            x: int
            trail: list = dataclasses.field(default_factory=list)
            def step(self): return Point(self.x + FACTOR, [*self.trail, self.x])
        @dataclasses.dataclass(slots=True, frozen=True)
        class Frozen:
            a: int
        Pair = collections.namedtuple("Pair", "a b")
        class Typed(typing.NamedTuple):
            a: int
            b: str = "x"
            def repeated(self): return self.b * self.a
        class Keys(typing.TypedDict, total=False):
            a: int
        T = typing.TypeVar("T")
        class Box(typing.Generic[T]):
            def __init__(self, v: T): self.v = v
            def get(self) -> T: return self.v
        class Shape(abc.ABC):
            @abc.abstractmethod
            def area(self): ...
            @property
            def name(self): return type(self).__name__
            @staticmethod
            def one(): return 1
            @classmethod
            def of(cls): return cls.__name__
        class Square(Shape):
            def __init__(self, a):
                super().__init__()
                self.a = a
            def area(self): return self.a ** 2
        class HasArea(typing.Protocol):
            def area(self) -> int: ...
        class Slots:
            __slots__ = ("a", "__b")
            def __init__(self, a):
                self.a = a
                self.__b = 2
            def sum(self): return self.a + self.__b
        class Meta(type):
            def __len__(cls): return 7
        class Long(metaclass=Meta): pass
        class Default(dict):
            def __missing__(self, key): return key

        point = other.evaluate(Point(1), "value.step()")
        assert type(point) is Point and point == Point(3, [1])
        assert other.evaluate(Frozen(2)) == Frozen(2)
        pair = other.evaluate(Pair(1, 2), "value._replace(a=5)")
        assert type(pair) is Pair and pair == (5, 2)
        assert other.evaluate(Typed(3), "value.repeated()") == "xxx"
        assert other.evaluate(Typed, "value(4).repeated()") == "xxxx"
        assert other.evaluate(Keys, "value(a=4)") == {"a": 4}
        assert other.evaluate(Box, "value[int](4).get()") == 4
        assert type(other.evaluate(Box(3))) is Box
        parts = "(value.area(), value.name, value.one(), value.of())"
        assert other.evaluate(Square(3), parts) == (9, "Square", 1, "Square")
        try: other.evaluate(Shape, "value()")
        except TypeError as error: assert "abstract" in str(error)
        else: raise AssertionError
        assert other.evaluate(HasArea, "value.__name__") == "HasArea"
        assert other.evaluate(Slots(3), "(value.sum(), hasattr(value, '__dict__'))") == (5, False)
        assert other.evaluate(Long, "len(value)") == 7
        assert other.evaluate(Default(a=1), "(value['a'], value['b'])") == (1, "b")
        derived = lambda: dataclasses.make_dataclass("Q", [("z", int, 3)], bases=(Point,))(1).z
        assert other.call(derived) == 3
    """
    run(tmp_path, program)


def test_enumerations(tmp_path: Path) -> None:
    program = """
        import enum
        class Colour(enum.Enum):
            RED = 1
            GREEN = 2
            ROT = 1
            def nice(self): return self.name.lower()
        class Planet(enum.Enum):
            EARTH = (5.9, 6.3)
            def __init__(self, mass, radius): self.mass, self.radius = mass, radius
        class Flags(enum.Flag):
            A = 1
            B = 2
            AB = 3
        class Numbers(enum.IntEnum):
            X = enum.auto()
            Y = enum.auto()

        assert other.evaluate(Colour.RED) is Colour.RED
        assert other.evaluate(Colour.GREEN, "value.nice()") == "green"
        assert other.evaluate(Colour, "value.ROT is value.RED")
        assert other.evaluate(Planet.EARTH, "(value.mass, value.radius)") == (5.9, 6.3)
        assert other.evaluate(Flags.A, "value | type(value).B") is Flags.AB
        assert other.evaluate(Numbers.X, "type(value).Y") is Numbers.Y
    """
    run(tmp_path, program)


def test_type_parameters(tmp_path: Path) -> None:
    program = """
        class Box[T]:
            def __init__(self, v: T): self.v = v
        def first[T](items: list[T]) -> T: return items[0]
        assert other.evaluate(Box, "value[int](4).v") == 4
        assert type(other.call(Box, 3)) is Box
        assert other.call(first, [1]) == 1
    """
    run(tmp_path, program)


def test_exceptions_arrive_whatever_their_classes_take(tmp_path: Path) -> None:
    program = """
        class Failed(Exception):
            def __init__(self, code, message):
                super().__init__(message)
                self.code = code
        class Missing(KeyError): pass
        class Refused(OSError): pass
        class Keyword(ValueError):
            def __init__(self, *, why): super().__init__(f"because {why}")
        def fail():
            try: 1 / 0
            except ZeroDivisionError as error: raise Failed(4, "hm") from error
        try: other.call(fail)
        except Failed as error:
            assert error.code == 4 and error.args == ("hm",)
            assert isinstance(error.__cause__, ZeroDivisionError)
        else: raise AssertionError
        noted = Missing("k")
        noted.add_note("look")
        there = other.evaluate(noted)
        assert type(there) is Missing and there.args == ("k",) and there.__notes__ == ["look"]
        there = other.evaluate(Refused(2, "no", "file"))
        assert (there.errno, there.filename) == (2, "file")
        assert str(other.evaluate(Keyword(why="so"))) == "because so"
        group = other.evaluate(ExceptionGroup("all", [noted, Keyword(why="so")]))
        assert [type(one) for one in group.exceptions] == [Missing, Keyword]
    """
    run(tmp_path, program)


def test_identity_survives_the_way_there_and_back(tmp_path: Path) -> None:
    program = """
        class A:
            def hi(self): return "A"
        class B(A):
            def hi(self): return "B" + super().hi()
        def work(): return B()
        def local():
            class Local:
                def own(self): return Local
            return Local

        assert other.evaluate([A, B, work]) == [A, B, work]
        assert other.evaluate((A(), B()), "isinstance(value[1], type(value[0]))")
        other.evaluate(A, "kept.update(a=value)")
        assert other.evaluate(B(), "isinstance(value, kept['a']) and value.hi()") == "BA"
        # The class comes inside of two definitions, and by itself.
        assert other.call(lambda: (A, B)) == (A, B)
        assert type(other.call(work)) is B
        assert other.evaluate(work, "isinstance(value(), kept['a'])")

        # A class that was made there.
        theirs = other.call(local)
        assert other.evaluate(theirs) is theirs
        assert other.evaluate(theirs(), "value.own() is type(value)")
        assert other.evaluate(theirs(), "kept.update(theirs=value)") is None
        assert isinstance(other.evaluate(0, "kept['theirs']"), theirs)
        # One that is not here any more.
        Temporary = local()
        other.evaluate(Temporary, "kept.update(temporary=value)")
        import gc
        _shipping.forget()
        del Temporary
        gc.collect()
        again = other.evaluate(0, "kept['temporary']")
        assert again().own() is again
    """
    run(tmp_path, program)


def test_what_code_refers_to_is_seen_as_it_is_now(tmp_path: Path) -> None:
    program = """
        RATE, seen, table = 2, [1], {"a": [1]}
        def rate(): return RATE
        def through(): return rate()
        def length(): return len(seen)
        def nested(): return len(table["a"])
        class Account:
            bonus = 1
            def interest(self): return RATE + self.bonus

        account = Account()
        for value in 2, 3, 4:
            RATE = value
            assert other.call(rate) == other.call(through) == value
            assert other.evaluate(account, "value.interest()") == value + 1
            assert other.call(lambda: account.interest()) == value + 1
        seen.append(2)
        assert other.call(length) == 2
        seen.append(3)
        assert other.call(length) == 3
        table["a"].append(5)
        assert other.call(nested) == 2
        Account.bonus = 10
        assert other.evaluate(account, "value.interest()") == 14
        Account.interest = lambda self: "patched"
        assert other.evaluate(account, "value.interest()") == "patched"
        def rate(): return "other"
        assert other.call(through) == "other"
        def len(_): return "shadowed"
        assert other.call(length) == "shadowed"

        class Account:
            def interest(self): return "redefined"
        new = Account()
        assert other.evaluate((account, new), "[a.interest() for a in value]") == ["patched", "redefined"]
    """
    run(tmp_path, program)


def test_the_same_content_is_one_definition(tmp_path: Path) -> None:
    program = """
        names = []
        def send(function):
            definition, _, volatile, *_ = _shipping.prepare(function)
            return definition.id, volatile
        RATE, data = 2, [1]
        ids = set()
        for i in range(5):
            def looped(x=i): return x * RATE
            ids.add(send(looped))
        assert len(ids) == 1
        def make(n): return lambda: n
        assert send(make(1)) == send(make(2))
        for _ in range(3):
            exec("def cell(): return RATE", globals())
            ids.add(send(cell))
        assert len(ids) == 2
        # What changes is sent beside the definition, from then on.
        RATE = 3
        before = send(looped)
        assert before not in ids and _shipping.prepare(looped)[4] == ("RATE",)
        RATE = 4
        assert send(looped) == before and other.call(looped) == 16
        RATE = len
        assert send(looped) != before and _shipping.prepare(looped)[4] == ()
        def mutable(): return data
        one, volatile = send(mutable)
        assert not volatile and _shipping.prepare(mutable)[4] == ("data",)
        data.append(2)
        assert send(mutable) == (one, False) and other.call(mutable) == [1, 2]
        # Unless others use it, too.
        def shared(): return mutable() is data
        two, volatile = send(shared)
        assert volatile and send(shared) == (two, True) and other.call(shared)
        data.append(3)
        assert send(shared)[0] != two and other.call(shared)
        def recursive(n): return RATE if n == 0 else recursive(n - 1)
        for RATE in 5, 6, 7:
            assert other.call(recursive, 2) == RATE
        del RATE
        try: other.call(recursive, 2)
        except NameError: pass
        else: raise AssertionError

        # Constants need no second look.
        import dataclasses, enum, re
        @dataclasses.dataclass(frozen=True)
        class Config: path: str = "x"; sizes: tuple = (1, 2)
        class E(enum.Enum): A = 1
        config, pattern, cown, member = Config(), re.compile("a"), Cown(1), E.A
        def constants(): return config, pattern, cown, member, when, Cown, names_of, Config
        def names_of(): return None
        assert not send(constants)[1]
    """
    run(tmp_path, program)


def test_what_crosses_by_reference(tmp_path: Path) -> None:
    program = """
        import crossing
        cown, buffer, frozen = Cown(7), crossing.Buffer(3), crossing.Buffer(-3)
        def uses(): return cown
        class Holds:
            shared = cown
        assert other.call(uses) is cown
        pinned = crossing.PinnedCown(8)
        assert other.call(lambda: [pinned])[0] is pinned and _shipping.dumps({1: pinned})[1] == [pinned]
        # A Buffer moves, so it is no part of what is kept; unless nobody can write to it.
        def reads(): return buffer
        assert other.call(reads) is buffer
        assert _shipping.prepare(reads)[0].things == []
        try: other.call(lambda: reads())
        except TypeError as error: assert "goes to one behaviour" in str(error)
        else: raise AssertionError
        def reads_frozen(): return frozen
        assert other.call(lambda: reads_frozen()) is frozen
        assert other.evaluate([cown, {"x": cown}], "value[0] is value[1]['x']")
        assert other.evaluate(Holds(), "value.shared") is cown
        assert _shipping.dumps([cown, cown, buffer])[1] == [cown, buffer]
        assert other.call(lambda: (when.__module__, Cown.__name__)) == ("boc._boc", "Cown")
        assert _shipping.dumps(when)[1] == []
    """
    run(tmp_path, program)


def test_functions_of_modules_find_the_module_there(tmp_path: Path) -> None:
    (tmp_path / "imported.py").write_text(
        textwrap.dedent("""
            import threading
            LOCK = threading.Lock()
            STATE = []
            def outer(n):
                def inner():
                    with LOCK:
                        STATE.append(n)
                        return len(STATE)
                return inner
            class Thing:
                def lock(self): return LOCK.locked()
            nameless = lambda: STATE
        """)
    )
    program = """
        import sys
        import imported
        from boc import _shipping
        assert other.call(imported.outer(1)) == 1
        assert other.call(imported.outer(1)) == 2
        assert other.evaluate(imported.nameless, "value()") == [1, 1]
        assert imported.STATE == []
        assert other.evaluate(imported.Thing(), "value.lock()") is False
        assert other.evaluate(imported, "value.__name__") == "imported"
        def through(): return imported.outer(3)()
        assert other.call(through) == 3
        assert _shipping.prepare(imported.outer)[1:3] == ([], False)
        assert "cloudpickle" in sys.modules
    """
    run(tmp_path, program)


def test_cloudpickle_is_not_needed_for_what_can_be_imported(tmp_path: Path) -> None:
    program = """
        import collections, shutil, sys
        assert other.evaluate(collections.Counter("a"))["a"] == 1
        _shipping.prepare(shutil.copy)
        _shipping.prepare(crossing.pack)
        assert "cloudpickle" not in sys.modules
    """
    run(tmp_path, program)


def test_modules_that_no_worker_can_import(tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text(
        textwrap.dedent("""
            import crossing
            if crossing.is_other:
                raise ImportError("something it wants is not there")
            class Thing: pass
            def function(): pass
            def closed(x=1): return lambda: x
        """)
    )
    program = """
        import only_here
        def uses(): return only_here.Thing()
        for value in only_here.Thing(), only_here.function, only_here.closed(), uses, only_here:
            try: other.evaluate(value)
            except ImportError as error:
                text = str(error)
                assert text.startswith("the module 'only_here' cannot be imported in a worker"), text
                assert "something it wants is not there" in text and 'backend="direct"' in text, text
                assert type(error.__cause__) is ImportError
            else: raise AssertionError(value)
    """
    run(tmp_path, program)


def test_modules_made_by_hand_go_by_value(tmp_path: Path) -> None:
    program = """
        import sys, types
        made = sys.modules["made"] = types.ModuleType("made")
        exec("LIMIT = 3\\ndef limit(): return LIMIT\\nclass C:\\n    def get(self): return limit()", made.__dict__)
        assert other.call(made.limit) == 3
        assert other.evaluate(made.C(), "value.get()") == 3
    """
    run(tmp_path, program)


def test_what_cannot_be_sent_is_named(tmp_path: Path) -> None:
    program = """
        import functools, threading
        lock = threading.Lock()
        log_file = open(__file__)
        table = {"locks": [lock]}
        def direct(): return lock
        def through(): return direct()
        def writes(): return log_file
        def inside(): return table
        def fails(function):
            try: _shipping.prepare(function)
            except TypeError as error:
                # The text quotes it, and it leads to no code of the program.
                assert error.__cause__ is None and error.__suppress_context__
                return str(error)
            raise AssertionError
        text = fails(direct)
        assert text.startswith(
            "cannot send direct() to a worker: its global 'lock' is a _thread.lock object"
        ), text
        assert 'backend="direct"' in text and "Cown" in text
        assert "its global 'direct' is a function, its global 'lock' is a _thread" in fails(through)
        assert "its global 'log_file' is a _io.TextIOWrapper object" in fails(writes)
        assert "its global 'table' is a dict object with something in it" in fails(inside)

        def explained(*arguments):
            try: _shipping.dumps(lock)
            except TypeError as error: return str(_shipping.explain(*arguments, error))

        def outer(good, lock):
            def work(a, b=3, *, f=log_file): return good, lock
            return work
        work = outer(1, lock)
        partial = functools.partial(print, lock)
        assert "outer.<locals>.work() to a worker: its variable 'lock' (closure) is a _thread.lock" in (
            explained(work, "closure", 1))
        assert "its default 'f' is a _io.TextIOWrapper object" in explained(work, "default", 0)
        log_file.close()
        assert "cannot send partial to a worker: it is a functools.partial" in explained(partial, "whole", 0)
        located = TypeError("cannot send value['a'][2] to a worker: a file stays; do this")
        assert str(_shipping.explain(work, "closure", 0, located)) == (
            "cannot send outer.<locals>.work() to a worker: its variable 'good' (closure), at "
            "good['a'][2]: a file stays; do this")
        located = TypeError("cannot send value['f'].x to a worker: a file stays; do this")
        assert "its default 'f', at f.x: a file" in str(_shipping.explain(work, "default", 0, located))
        located = TypeError("cannot send value to a worker: a file stays; do this")
        assert str(_shipping.explain(partial, "whole", 0, located)) == (
            "cannot send partial to a worker: a file stays; do this")
        import sys
        assert other.evaluate(sys.stdout, "value is __import__('sys').stdout")
    """
    run(tmp_path, program)


def test_random_graphs_of_functions_and_classes(tmp_path: Path) -> None:
    program = """
        import random
        for seed in range(12):
            choose = random.Random(seed)
            count = choose.randrange(2, 7)
            lines = []
            for i in range(count):
                called = [choose.randrange(count) for _ in range(2)]
                if choose.random() < 0.5:
                    body = " + ".join(f"call(g{j}, depth - 1)" for j in called)
                    lines.append(f"def g{i}(depth): return {i} if depth == 0 else {body}")
                else:
                    body = " + ".join(f"call(g{j}, self.depth - 1)" for j in called)
                    lines.append(
                        f"class g{i}:\\n    def __init__(self, depth): self.depth = depth\\n"
                        f"    def get(self): return {i} if self.depth == 0 else {body}")
            lines.append("def call(g, depth):\\n    x = g(depth)\\n    return x.get() if hasattr(x, 'get') else x")
            exec("\\n".join(lines), globals())
            everything = [globals()[f"g{i}"] for i in range(count)]
            here = [call(g, 4) for g in everything]
            assert [other.call(call, g, 4) for g in everything] == here, seed
            assert other.evaluate((call, everything), "[value[0](g, 4) for g in value[1]]") == here
            assert other.evaluate(everything) == everything
    """
    run(tmp_path, program)
