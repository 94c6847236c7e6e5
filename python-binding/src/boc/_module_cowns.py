"""Cowns at the top of modules, which are the same in all interpreters that import the module."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from boc._boc import Cown, PinnedCown

_CLASSES = (Cown, PinnedCown)

Found = dict[tuple[str, ...], Any]
"""Values by where they are: a name in the module, or that of a class and a name in it."""


def find(module: ModuleType) -> Found:
    """The cowns of a module and of its classes, also those in a list, a tuple, a set or a dict."""
    found: Found = {}
    for name, value in list(vars(module).items()):
        if _has_cowns(value):
            found[name,] = value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, content in list(vars(value).items()):
                if _has_cowns(content):
                    found[name, attribute] = content
    return found


def _has_cowns(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return any(type(member) in _CLASSES for member in value.values())
    if kind in (list, tuple, set, frozenset):
        return any(type(member) in _CLASSES for member in value)
    return kind in _CLASSES


def put(module: ModuleType, found: Found) -> None:
    """Put values where they belong."""
    for (*classes, name), value in found.items():
        place: Any = module
        for class_ in classes:
            place = getattr(place, class_, None)
        if place is not None:
            setattr(place, name, value)
