"""Another interpreter with a GIL of its own, reached by :mod:`boc._shipping` alone.

The native half of boc is replaced by stand-ins, so that this says what the Python half does.
"""

from __future__ import annotations

import importlib.machinery
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "src" / "boc"

ByReference = tuple[str, Any]


class _Same(type):
    """One object for each number."""

    def __call__(cls, number: int) -> Any:
        known = cls.__dict__["known"]
        if number not in known:
            known[number] = super().__call__(number)
        return known[number]


class Cown(metaclass=_Same):
    known: dict[int, Cown] = {}

    def __init__(self, number: int) -> None:
        self.number = number


class PinnedCown(Cown):
    known: dict[int, Cown] = {}


class Buffer(metaclass=_Same):
    known: dict[int, Buffer] = {}

    def __init__(self, number: int) -> None:
        self.number, self.readonly = number, number < 0


class Definition:
    def __init__(self, data: bytes, things: list[Any], id: int | None = None) -> None:
        self.data, self.things = data, list(things)
        self.id = time.perf_counter_ns() if id is None else id


def when(*cowns: Any) -> Any:
    raise AssertionError("nobody calls this")


def install() -> None:
    """Put the stand-ins where boc's modules look for them."""
    boc, native = ModuleType("boc"), ModuleType("boc._boc")
    boc.__path__ = [str(PACKAGE)]
    for module in boc, native:
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
        sys.modules[module.__name__] = module
    for class_ in Cown, PinnedCown, Buffer, Definition:
        class_.__module__ = "boc"
        class_.__qualname__ = class_.__name__
        setattr(native, class_.__name__, class_)
        setattr(boc, class_.__name__, class_)
    when.__module__ = "boc._boc"
    boc.when = native.when = when  # type: ignore[attr-defined]
    native.IN_WORKER = False  # type: ignore[attr-defined]
    native.needs_main_interpreter = lambda module: False  # type: ignore[attr-defined]
    boc._boc = native  # type: ignore[attr-defined]


def _flat(things: list[Any]) -> list[Any]:
    return [
        ("Definition", (thing.id, thing.data, _flat(thing.things)))
        if isinstance(thing, Definition)
        else (type(thing).__name__, thing.number)
        for thing in things
    ]


def _thing(flat: ByReference) -> Any:
    kind, content = flat
    if kind == "Definition":
        number, data, things = content
        return Definition(data, [_thing(thing) for thing in things], number)
    return {"Cown": Cown, "PinnedCown": PinnedCown, "Buffer": Buffer}[kind](content)


def pack(value: Any) -> bytes:
    from boc import _shipping

    data, things = _shipping.dumps(value)
    return pickle.dumps((data, _flat(things)))


def unpack(packed: bytes) -> Any:
    from boc import _shipping

    data, things = pickle.loads(packed)
    return _shipping.loads(data, [_thing(thing) for thing in things])


def answer(packed: bytes, expression: str, path: str) -> None:
    """What the other interpreter does."""
    scope: dict[str, Any] = {"kept": _kept}
    try:
        scope["value"] = unpack(packed)
        result = (True, pack(eval(expression, scope)))
    except Exception as error:
        result = (False, pack(error))
    Path(path).write_bytes(pickle.dumps(result))


_kept: dict[str, Any] = {}
is_other = False


class Other:
    """Another interpreter."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 13):
            import _interpreters

            self._interpreters = _interpreters
            self._id = _interpreters.create("isolated")
        else:
            import _xxsubinterpreters

            self._interpreters = _xxsubinterpreters
            self._id = _xxsubinterpreters.create(isolated=True)
        self._run(f"import sys; sys.path[:] = {sys.path!r}; import crossing; crossing.install()")
        self._run("crossing.is_other = True")

    def _run(self, code: str, shared: dict[str, Any] | None = None) -> None:
        run = getattr(self._interpreters, "exec", None) or self._interpreters.run_string
        failure = run(self._id, code, shared or {})
        assert failure is None, failure.errdisplay

    def evaluate(self, value: Any, expression: str = "value") -> Any:
        """Send the value, evaluate the expression there, and return what it gives."""
        handle, path = tempfile.mkstemp()
        os.close(handle)
        try:
            shared = {"packed": pack(value), "expression": expression, "path": path}
            self._run("crossing.answer(packed, expression, path)", shared)
            good, packed = pickle.loads(Path(path).read_bytes())
        finally:
            Path(path).unlink()
        result = unpack(packed)
        if not good:
            raise result
        return result

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a function there."""
        return self.evaluate((function, arguments), "value[0](*value[1])")

    def end(self) -> None:
        self._interpreters.destroy(self._id)


def start() -> Other:
    """Make another interpreter, from one that has none."""
    import datetime  # noqa: F401  3.13 corrupts the heap if a sub-interpreter is the first

    install()
    return Other()
