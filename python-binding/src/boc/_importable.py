"""What another interpreter can import for itself, and what is said if it cannot."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, TypeVar

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
    return name if _can_import(name, module) else None


def can_import_module(module: ModuleType) -> bool:
    """Whether importing by its name gives this module."""
    name = module.__name__
    return sys.modules.get(name) is module and _can_import(name, module)


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
    return found is thing


def _can_import(name: str, module: ModuleType) -> bool:
    return name not in _MAIN and (
        getattr(module, "__spec__", None) is not None
        or getattr(module, "__file__", None) is not None
        or name in sys.builtin_module_names
    )


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
        raise import_failed(name, error) from cause_to_show(error)


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
    return CannotImport(
        f"{what} cannot be imported in a worker's interpreter ({type(error).__name__}: {error}); {_ADVICE}",
        name=name,
    )


_ADVICE = (
    'start with boc.start(backend="direct"), or set BOC_BACKEND=direct, to run behaviours in the interpreter of the '
    "program, or keep it out of what behaviours use"
)


def hint(exception: BaseException) -> str | None:
    """What to say of an exception that comes from a module which refuses the interpreters of workers."""
    seen: set[int] = set()
    error: BaseException | None = exception
    while error is not None and id(error) not in seen and not isinstance(error, CannotImport):
        seen.add(id(error))
        if isinstance(error, ImportError):
            # It may be quoted in the text of another one.
            refusal = _REFUSAL.search(str(error))
            if refusal is not None:
                name = refusal["name"] or error.name
                what = "a module" if name is None else f"the module {name!r}"
                return f"{what} cannot be used in a worker's interpreter; {_ADVICE}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


_REFUSAL = re.compile(
    r"module (?P<name>[\w.]+) does not support loading in subinterpreters"
    r"|modules? do(es)? not (yet )?support subinterpreters"  # of PyO3
    r"|can only be loaded into one interpreter per process"  # of Cython
)
