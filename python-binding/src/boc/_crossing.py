"""What is said of a value that cannot go to another interpreter.

A value comes here after it was refused as a whole. This looks for the smallest part that is refused, by
trying parts of it, which may take a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from boc import _shipping
from boc._importable import CannotImport
from boc._tracebacks import cause_to_show

Part = tuple[str, object]
"""How to get to a part, and the part."""


def explain(name: str, value: object, error: BaseException) -> BaseException:
    """An exception that says which part of ``value`` cannot cross, and why.

    ``name`` is what the value is called; ``error`` is what pickle says of it.
    """
    if isinstance(error, CannotImport):
        return error.with_traceback(None)
    path, part, reason = _smallest(name, value, error, set()) or (name, value, error)
    explained = TypeError(
        f"cannot send {path} to a worker: {_described(part)} stays in the interpreter that made it "
        f"({str(reason) or type(reason).__name__}); {_advice(part)}, "
        'or use boc.start(backend="direct")'
    )
    explained.__cause__ = cause_to_show(error)
    explained.__suppress_context__ = True
    return explained


def _smallest(
    path: str, value: object, error: BaseException, visited: set[int]
) -> tuple[str, object, BaseException] | None:
    """The smallest part of ``value`` that is refused: its path, itself, and what is wrong with it.

    None if that is nothing but what it is inside of.
    """
    visited.add(id(value))
    parts = [(step, part) for step, part in _parts(value) if type(part) not in _PLAIN]
    for step, part, refusal in _refused(parts):
        if id(part) not in visited:
            found = _smallest(path + step, part, refusal, visited)
            if found is not None:
                return found
    if type(value) in _CONTAINERS:
        return None
    return path, value, error


_PLAIN = {type(None), bool, int, float, complex, str, bytes}
_CONTAINERS = {tuple, list, dict, set, frozenset}


def _refused(parts: list[Part]) -> Iterator[tuple[str, object, BaseException]]:
    """Those of the parts that are refused; found by halves, since most are not."""
    error = _refusal([part for _, part in parts])
    if error is None:
        return
    if len(parts) == 1:
        yield *parts[0], error
        return
    half = len(parts) // 2
    yield from _refused(parts[:half])
    yield from _refused(parts[half:])


def _refusal(value: object) -> BaseException | None:
    try:
        _shipping.dumps(value)
    except (MemoryError, RecursionError):
        return None
    except Exception as error:
        return error
    return None


def _parts(value: object) -> Iterator[Part]:
    """What is directly in a value, and how to get there."""
    if isinstance(value, dict):
        for key, item in list(value.items()):
            yield f"[{_brief(key)}]", item
        for key in list(value):
            yield f" (its key {_brief(key)})", key
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(list(value)):
            yield f"[{index}]", item
    elif isinstance(value, (set, frozenset)):
        for item in list(value):
            yield f" (its element {_brief(item)})", item
    if not isinstance(value, (type, ModuleType)):
        for name, item in list(getattr(value, "__dict__", {}).items()):
            yield f".{name}", item


def _brief(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 60 else text[:57] + "..."


def _described(part: object) -> str:
    kind = type(part)
    module = "" if kind.__module__ in ("builtins", None) else f"{kind.__module__}."
    article = "an" if (module or kind.__qualname__)[:1].lower() in "aeiou" else "a"
    if module:
        return f"an object of class {module}{kind.__qualname__}"
    return f"{article} {kind.__qualname__}"


def _advice(part: object) -> str:
    """What to do instead."""
    kind = type(part)
    if kind is memoryview:
        return "send its bytes, or the boc.Buffer that it is a view of"
    if hasattr(part, "gi_frame") or hasattr(part, "cr_frame") or hasattr(part, "ag_frame"):
        return "send a list of what it yields, or make it inside of the behaviour"
    if kind.__module__ in ("_thread", "threading"):
        return "put what it is for into a cown, which needs no lock or thread of its own"
    if kind.__module__ in ("_io", "socket", "_socket", "mmap", "select", "ssl", "sqlite3"):
        return "open it inside of the behaviour"
    return "make it inside of the behaviour"
