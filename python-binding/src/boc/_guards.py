"""What must be where it was, for a definition to hold."""

from __future__ import annotations

from operator import is_
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias

NAME: Final = 0
"""A dictionary of globals has that value for that name."""
CELL: Final = 1
"""A cell has that in it."""
CLASS: Final = 2
"""The values of a class's attributes are those, in that order."""

MISSING: Final = object()
"""In the place of a value that was not there."""

Guard: TypeAlias = tuple[int, Any, str | None, Any]
"""The kind, where to look, the name, and what was there. Rust knows that form, too."""


def all_hold(guards: list[Guard]) -> bool:
    """Whether everything is where it was."""
    return all(map(holds, guards))


def is_data(value: Any) -> bool:
    """Whether a value can be sent beside a definition; Rust asks the same."""
    return value is not MISSING and not isinstance(value, _CODE)


_CODE = (type, FunctionType, BuiltinFunctionType, ModuleType)


def holds(guard: Guard) -> bool:
    """Whether something is where it was."""
    kind, where, name, value = guard
    if kind == NAME:
        return where.get(name, MISSING) is value
    if kind == CELL:
        try:
            return where.cell_contents is value
        except ValueError:
            return value is MISSING
    now = vars(where)
    return len(now) == len(value) and all(map(is_, now.values(), value))
