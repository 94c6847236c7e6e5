"""What the main interpreter answers when a worker asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from boc import _module_cowns


def answer(question: str, argument: Any) -> Any:
    """Called in the main interpreter, by the thread of a worker."""
    return _ANSWERS[question](argument)


def _path(_: None) -> list[str]:
    return [entry for entry in sys.path if isinstance(entry, str)]


def _cowns(name: str) -> _module_cowns.Found:
    module = sys.modules.get(name)
    return {} if module is None else _module_cowns.find(module)


_ANSWERS: dict[str, Callable[[Any], Any]] = {"path": _path, "cowns": _cowns}
