"""Dictionaries by identity, which keep none of their keys alive."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value")


class Identities(Generic[_Value]):
    """From objects to values, whatever their classes think of equality.

    A value that refers to its key keeps it alive, so there can be a limit to their number: beyond it the
    oldest ones are forgotten.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._all: dict[int, tuple[weakref.ref[Any], _Value]] = {}
        self._limit = limit

    def get(self, key: object) -> _Value | None:
        """The value, if there is one."""
        entry = self._all.get(id(key))
        return entry[1] if entry is not None and entry[0]() is key else None

    def set(self, key: object, value: _Value) -> None:
        """Enter a value, or another one."""
        address, all_entries = id(key), self._all

        def forget(dead: weakref.ref[Any]) -> None:
            entry = all_entries.get(address)
            if entry is not None and entry[0] is dead:
                del all_entries[address]

        all_entries.pop(address, None)
        all_entries[address] = (weakref.ref(key, forget), value)
        if self._limit is not None and len(all_entries) > self._limit:
            all_entries.pop(next(iter(all_entries)), None)

    def clear(self) -> None:
        """Forget all."""
        self._all.clear()
