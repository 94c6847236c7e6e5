"""What crosses by reference, inside of a pickle: an index into a list that goes beside it."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from boc._boc import Buffer, Cown, Definition, PinnedCown

CLASSES = frozenset((Buffer, Cown, PinnedCown, Definition))
"""The classes of what crosses by reference. The program cannot derive from them."""


class _Here(threading.local):
    things: list[Any] | None = None


_here = _Here()


def thing(index: int) -> Any:
    """What a pickle calls in the place of the object."""
    things = _here.things
    if things is None:
        raise TypeError("a value that refers to cowns can only be unpickled by boc")
    return things[index]


class among:
    """While this is entered, indices refer to that list."""

    __slots__ = ("_before", "_things")

    def __init__(self, things: list[Any]) -> None:
        self._things = things

    def __enter__(self) -> None:
        self._before = _here.things
        _here.things = self._things

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        _here.things = self._before
