"""What the main interpreter answers when a worker asks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from boc import _module_cowns
from boc._subinterpreters import changing_settings


def answer(question: str, argument: Any) -> Any:
    """Called in the main interpreter, by the thread of a worker."""
    return _ANSWERS[question](argument)


def _path(_: None) -> list[str]:
    return [entry for entry in sys.path if isinstance(entry, str)]


def _cowns(name: str) -> _module_cowns.Found:
    module = sys.modules.get(name)
    return {} if module is None else _module_cowns.find(module)


def _place(name: str) -> tuple[str | None, list[str] | None] | None:
    """The file of a module that is loaded here, and where the modules in it are, if it is a package.

    No file: something without content that others are in.
    """
    module = sys.modules.get(name)
    if module is None or name in ("__main__", "__mp_main__"):
        return None
    file, path = getattr(module, "__file__", None), getattr(module, "__path__", None)
    inside = None if path is None else [entry for entry in path if isinstance(entry, str)]
    if isinstance(file, str):
        return (file, inside) if os.path.isfile(file) else None
    content = (value for key, value in list(vars(module).items()) if not key.startswith("__"))
    has_content = not all(isinstance(value, ModuleType) for value in content)
    if has_content or not any(other.startswith(f"{name}.") for other in list(sys.modules)):
        return None
    return None, inside or []


_ANSWERS: dict[str, Callable[[Any], Any]] = {
    "path": _path,
    "cowns": _cowns,
    "place": _place,
    "settings": lambda _: changing_settings(),
}
