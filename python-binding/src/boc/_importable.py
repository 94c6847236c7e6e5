"""What another interpreter can import for itself, and what is said if it cannot."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, Literal, TypeVar

from boc._boc import IN_WORKER
from boc._tracebacks import cause_to_show

_R = TypeVar("_R")

_MAIN = frozenset(("__main__", "__mp_main__"))


def module_of(function: FunctionType) -> str | None:
    """The importable module that the function's globals belong to; ``None`` if there is none."""
    name = function.__globals__.get("__name__")
    if not isinstance(name, str):
        return None
    module = sys.modules.get(name)
    if module is None or module.__dict__ is not function.__globals__:
        return None
    return name if _can_import(name, module) and _expect(name) else None


def can_import_module(module: ModuleType) -> bool:
    """Whether importing by its name gives this module."""
    name = module.__name__
    return sys.modules.get(name) is module and _can_import(name, module) and _expect(name)


def is_main(module: ModuleType) -> bool:
    """Whether this is the main script."""
    return module.__name__ in _MAIN


def can_import(thing: Any) -> bool:
    """Whether a class or function is what its module and qualified name say."""
    name = getattr(thing, "__module__", None)
    module = sys.modules.get(name) if isinstance(name, str) else None
    if name is None or module is None or not _can_import(name, module):
        return False
    found: Any = module
    try:
        for part in thing.__qualname__.split("."):
            found = getattr(found, part)
    except Exception:  # a module can have a __getattr__ of its own
        return False
    return found is thing and _expect(name)


def _can_import(name: str, module: ModuleType) -> bool:
    return name not in _MAIN and (
        getattr(module, "__spec__", None) is not None
        or getattr(module, "__file__", None) is not None
        or name in sys.builtin_module_names
    )


_expected: set[str] = set()
"""Modules that workers can import, as far as one knows."""


def _expect(name: str) -> Literal[True]:
    """Raise what a behaviour would, if it is known by now that workers cannot import a module.

    Only where there is a reason for doubt a worker imports it, since this waits for that.
    """
    if IN_WORKER or name in _expected:
        return True
    if not _is_others(name) and _main_interpreter_only():
        from boc._boc import inside_behaviour, try_import

        why = None if inside_behaviour() else try_import(name)
        if why is None:
            return True
        if why:
            raise CannotImport(why, name=name)
    _expected.add(name)
    return True


def _main_interpreter_only() -> bool:
    """Whether the program has extension modules that workers cannot load."""
    from boc._boc import needs_main_interpreter

    return any(
        needs_main_interpreter(module)
        for name, module in list(sys.modules.items())
        if not _is_others(name)
    )


def _is_others(name: str) -> bool:
    """Whether a module is Python's or this package's, so that workers have what there is of it."""
    package = _package(name)
    return package == "boc" or package in sys.stdlib_module_names


def why_not(name: str) -> str:
    """Why a module cannot be imported here; empty if it can. The main interpreter asks this of a worker."""
    try:
        import_module(name)
    except CannotImport as error:
        return str(error)
    return ""


def import_module(name: str) -> ModuleType:
    """Import a module that another interpreter has referred to by its name.

    :raises ImportError: If that fails; says which module it was, and what can be done.
    """
    module = sys.modules.get(name)
    if module is not None:
        return module
    try:
        return where_main_looks(lambda: importlib.import_module(name))
    except CannotImport:
        raise
    except Exception as error:
        raise import_failed(name, error)


def where_main_looks(act: Callable[[], _R]) -> _R:
    """Do something that imports modules, once more if the main interpreter has come to look in other places."""
    try:
        return act()
    except ModuleNotFoundError:
        if not _look_where_main_looks():
            raise
        return act()


def _look_where_main_looks() -> bool:
    """Take over ``sys.path`` from the main interpreter, if it has changed there; say whether it has."""
    if not IN_WORKER:
        return False
    from boc._boc import ask  # type: ignore[attr-defined,unused-ignore]

    path = ask("path", None)
    if path == sys.path:
        return False
    sys.path[:] = path
    importlib.invalidate_caches()
    return True


class CannotImport(ImportError):
    """A module that is needed in a worker cannot be imported there."""


def import_failed(name: str | None, error: Exception) -> CannotImport:
    """The exception to raise when a module that is needed here cannot be imported."""
    what = "a module" if name is None else f"the module {name!r}"
    way = [package for package in _way(error) if package != _package(name or "")]
    if way:
        what += f", which imports {', which imports '.join(map(repr, way))},"
    refusal = _refusal(error)
    reason = f"{type(error).__name__}: {error}" if refusal is None else refusal[0]
    failed = CannotImport(
        f"{what} cannot be imported in a worker's interpreter ({reason}); {_ADVICE}", name=name
    )
    failed.__cause__ = cause_to_show(error) if refusal is None else None
    return failed


_ADVICE = (
    'start with boc.start(backend="direct"), or set BOC_BACKEND=direct, to run behaviours in the interpreter of the '
    "program, or keep it out of what behaviours use"
)


def hint(exception: BaseException) -> str | None:
    """What to say of an exception that comes from a module which refuses the interpreters of workers."""
    refusal = _refusal(exception)
    if refusal is None:
        return None
    _, name = refusal
    what = "a module" if name is None else f"the module {name!r}"
    return f"{what} cannot be used in a worker's interpreter; {_ADVICE}"


def _refusal(error: BaseException | None) -> tuple[str, str | None] | None:
    """What was said of an extension module that only the main interpreter can load, and its name, if that is known.

    It comes first; packages may have made a long story of it. Nothing is said of what has its advice.
    """
    found, seen = None, set()
    while error is not None and id(error) not in seen and not isinstance(error, CannotImport):
        seen.add(id(error))
        if isinstance(error, ImportError):
            # It may be quoted in the text of another one.
            said = _REFUSAL.search(str(error))
            if said is not None:
                found = said[0], said["name"] or error.name
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


_REFUSAL = re.compile(
    r"module (?P<name>[\w.]+) does not support loading in subinterpreters"
    r"|[^\n]*modules? do(es)? not (yet )?support subinterpreters[^\n]*"  # of PyO3
    r"|[^\n]*can only be loaded into one interpreter per process[^\n]*"  # of Cython
)


def _way(error: BaseException) -> list[str]:
    """The packages that were in the middle of being imported, each by the one before."""
    way: dict[str, None] = {}
    traceback = error.__traceback__
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
        if frame.f_code.co_name == "<module>":
            way[_package(frame.f_globals.get("__name__", "?"))] = None
    return list(way)


def _package(name: str) -> str:
    """The outermost package that a module is in."""
    return name.partition(".")[0]
