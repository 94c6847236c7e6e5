"""The globals that code refers to, and those that it assigns.

A function that goes by its content gets globals of its own in each worker. What it assigns there, nobody else sees:
neither the program, nor the other workers, nor, for some of them, who runs next. So that is warned of.
"""

from __future__ import annotations

import dis
import functools
import os
import warnings
from collections.abc import Iterable
from types import CodeType

from boc._boc import IN_WORKER


def names_in(code: CodeType) -> tuple[str, ...]:
    """The globals that code refers to, also inside of other functions and bodies of classes."""
    return _names(code)[0]


def names_assigned_in(code: CodeType) -> tuple[str, ...]:
    """Those of them that it assigns or deletes."""
    return _names(code)[1]


@functools.lru_cache(1024)
def _names(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    # Dictionaries keep the order.
    names: dict[str, None] = {}
    assigned: dict[str, None] = {}
    for instruction in dis.get_instructions(code):
        if instruction.opname in _REFERS:
            names[instruction.argval] = None
        if instruction.opname in _ASSIGNS:
            assigned[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner, assigned_inside = _names(constant)
            names.update(dict.fromkeys(inner))
            assigned.update(dict.fromkeys(assigned_inside))
    return tuple(names), tuple(assigned)


def names_stored_by(code: CodeType) -> frozenset[str]:
    """The globals that code itself assigns to or deletes."""
    return frozenset(
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in _ASSIGNS
    )


_ASSIGNS = frozenset(("STORE_GLOBAL", "DELETE_GLOBAL"))
_REFERS = _ASSIGNS | {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}


def warn_of_assignments(codes: Iterable[CodeType]) -> None:
    """Say of the globals that code assigns which goes to a worker, once for each, that nobody else sees that.

    :raises Warning: If the program's filters make it an error.
    """
    for code in codes:
        for name in names_assigned_in(code):
            if IN_WORKER or (code.co_filename, name) in _warned:
                continue
            warnings.warn(
                f"{code.co_qualname}() ({code.co_filename}:{code.co_firstlineno}) assigns the global {name!r}; in a "
                "behaviour it does so in the worker that happens to run it, which neither the program nor other "
                "workers see: keep it in a Cown, or return it",
                RuntimeWarning,
                stacklevel=2,
                skip_file_prefixes=_HERE,
            )
            _warned.add((code.co_filename, name))


_warned: set[tuple[str, str]] = set()
_HERE = (os.path.dirname(__file__) + os.sep,)
