"""Who else can reach what a behaviour holds: references that would be tomorrow's data races.

A cown protects its value as long as there is no other way to it. So at the end of a behaviour the objects that can be
reached from the values of its cowns are counted: how many references each of them has altogether, and how many come from
these objects themselves. What is left over belongs to somebody else.
"""

from __future__ import annotations

import contextvars
import datetime
import decimal
import enum
import fractions
import functools
import gc
import io
import logging
import operator
import pathlib
import queue
import re
import struct
import sys
import threading
import types
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from boc._alias_warning import AliasWarning
from boc._boc import Buffer, Cown

_log = logging.getLogger("boc")

LIMIT = 100_000
"""A value of more objects than that is not looked at."""

_SHARED: tuple[type, ...] = (
    *(type, types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, BaseException),
    *(types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType, property),
    *(types.MethodDescriptorType, types.ClassMethodDescriptorType, staticmethod, classmethod),
    *(Cown, Buffer, logging.Logger, logging.LoggerAdapter, logging.Handler, enum.Enum, re.Pattern),
    *(weakref.ReferenceType, weakref.ProxyType, weakref.CallableProxyType),
    *(type(threading.Lock()), type(threading.RLock()), threading.Thread, threading.local, threading.Event),
    *(threading.Condition, threading.Semaphore, threading.Barrier, queue.Queue, queue.SimpleQueue),
    *(contextvars.ContextVar, contextvars.Context, io.IOBase, functools._lru_cache_wrapper, struct.Struct),
    *(str, bytes, int, float, complex, range, slice, type(None), type(...), type(NotImplemented)),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo),
    *(decimal.Decimal, fractions.Fraction, pathlib.PurePath, uuid.UUID, types.GenericAlias),
)
"""What is there to be shared, or never changes, with all that it refers to."""

_UNCHANGING: tuple[type, ...] = (
    *(tuple, frozenset, types.MappingProxyType, types.MethodType, types.CellType, functools.partial),
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodWrapperType),
    *(operator.itemgetter, operator.attrgetter, operator.methodcaller),
)
"""What never changes itself, or is there to be shared, but may refer to what does."""

_LIBRARIES = frozenset(("typing", "ast", "_ast"))
"""Modules with objects of which there is one for all programs; numpy has some as well."""

_told: set[tuple[object, str]] = set()
"""Each is told once: the behaviour's code, and the way to the object."""


def look(
    function: Callable[..., Any], cowns: list[Cown[Any]], own_references: list[int], returned: object
) -> None:
    """Warn if a behaviour, which has returned and still holds its cowns, leaves a value in reach of others."""
    for cown, own in zip(cowns, own_references):
        others = [other for other in cowns if other is not cown]
        try:
            told = _looked_at(cown, own, others, function, returned)
        except Exception:
            # Others may be changing what they should not reach, and objects can raise whatever they like.
            _log.debug("what a behaviour leaves in %r could not be looked at", cown, exc_info=True)
            continue
        if told is not None:
            _warn(function, told)


def _looked_at(
    cown: Cown[Any], own: int, others: list[Cown[Any]], function: Callable[..., Any], returned: object
) -> str | None:
    """What is to be said of a cown, if anything is."""
    if _escaped(cown, own, function) is None:
        return None
    # What nobody can use any more refers to it, perhaps.
    gc.collect()
    found = _escaped(cown, own, function)
    return None if found is None else _message(function, cown, others, returned, *found)


def _escaped(cown: Cown[Any], own: int, function: Callable[..., Any]) -> tuple[list[Any], list[int], int] | None:
    """All that can be reached from the value, by whom it was reached, and the place of the first that others reach."""
    objects, reached_from, inside = _reachable(cown)
    if not objects:
        return None
    # One that is referred to by this list alone, as are the others beside what is counted here.
    objects.append(object())
    counts = [sys.getrefcount(each) for each in objects]
    objects.pop()
    nobody = counts.pop()
    for place, count in enumerate(counts):
        known = inside[place] + (own if place == 0 else 0)
        if count - nobody <= known or not _can_change(objects[place]):
            continue
        if (_code(function), _way_to(objects, reached_from, place)) not in _told:
            return objects, reached_from, place
    return None


def _reachable(cown: Cown[Any]) -> tuple[list[Any], list[int], list[int]]:
    """The objects, for each the place of the one that it was found by, and how many of them refer to it."""
    objects: list[Any] = [cown.value]
    reached_from, inside = [0], [0]
    if _is_shared(objects[0]):
        return [], [], []
    places = {id(objects[0]): 0}
    for parent, parent_object in enumerate(objects):
        for child in _children(parent_object):
            place = places.get(id(child))
            if place is not None:
                inside[place] += 1
            elif not _is_shared(child):
                if len(objects) == LIMIT:
                    return [], [], []
                places[id(child)] = len(objects)
                objects.append(child)
                reached_from.append(parent)
                inside.append(1)
    return objects, reached_from, inside


def _is_shared(found: object) -> bool:
    # Not by isinstance(), which asks the object.
    kind = type(found)
    return issubclass(kind, _SHARED) or kind.__module__ in _LIBRARIES or _is_of_numpy(kind)


def _is_of_numpy(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "numpy" and kind.__name__.lower().endswith(("dtype", "ufunc"))


def _children(parent: object) -> list[Any]:
    if type(parent) is types.FunctionType:
        # Its globals are shared by nature, and so is all of one that is itself there for everybody.
        module = sys.modules.get(parent.__module__)
        if getattr(module, parent.__name__, None) is parent:
            return []
        return [*(parent.__closure__ or ()), *(parent.__defaults__ or ())]
    children = gc.get_referents(parent)
    # Views of an array keep it, and the collector does not know.
    if type(parent).__module__ == "numpy" and getattr(parent, "base", None) is not None:
        children.append(parent.base)  # type: ignore[attr-defined]
    return children


def _can_change(found: object) -> bool:
    parameters = getattr(type(found), "__dataclass_params__", None)
    return not issubclass(type(found), _UNCHANGING) and not (parameters is not None and parameters.frozen)


def _code(function: Callable[..., Any]) -> object:
    return getattr(function, "__code__", type(function))


def _way_to(objects: list[Any], reached_from: list[int], place: int) -> str:
    """How a program would write it."""
    way = ""
    while place:
        parent = reached_from[place]
        way = _step(objects[parent], objects[place]) + way
        place = parent
    return ".value" + _IN_DICT.sub(r".\1", way)


_IN_DICT = re.compile(r"\.__dict__\['(\w+)'\]")
"""Attributes where an object has a dict for them."""


def _step(parent: object, child: object) -> str:
    if isinstance(parent, dict):
        for key, item in list(parent.items()):
            if item is child:
                return f"[{key!r}]"
        return "[…]"
    if isinstance(parent, (list, tuple)):
        for index, item in enumerate(list(parent)):
            if item is child:
                return f"[{index}]"
    if getattr(parent, "__dict__", None) is child:
        return ".__dict__"
    for name, item in _attributes(parent):
        if item is child:
            return f".{name}"
    return f"→{type(child).__name__}"


def _attributes(parent: object) -> Iterator[tuple[str, object]]:
    yield from list(getattr(parent, "__dict__", {}).items())
    for kind in type(parent).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(parent, name):
                yield name, getattr(parent, name)


def _warn(function: Callable[..., Any], message: str) -> None:
    code = getattr(function, "__code__", None)
    filename, line = ("<unknown>", 1) if code is None else (code.co_filename, code.co_firstlineno)
    warnings.warn_explicit(message, AliasWarning, filename, line)


def _message(
    function: Callable[..., Any],
    cown: Cown[Any],
    others: list[Cown[Any]],
    returned: object,
    objects: list[Any],
    reached_from: list[int],
    place: int,
) -> str:
    way = _way_to(objects, reached_from, place)
    _told.add((_code(function), way))
    found = objects[place]
    holders = list(dict.fromkeys(_holders(found, objects, others, returned)))[:3]
    by = ", and by ".join(holders) or "something that the garbage collector cannot see, perhaps a local variable"
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return (
        f"at the end of the behaviour {name}() others can reach what {cown!r} holds: its {way}, an object of type "
        f"{type(found).__name__}, is also referred to by {by}. Whoever uses it without the cown can race with the "
        "behaviours that hold it: put a copy into the cown, or keep no other reference"
    )


def _holders(
    found: object, objects: list[Any], others: list[Cown[Any]], returned: object
) -> Iterator[str]:
    """Who refers to one of the objects, beside these."""
    if returned is found:
        yield "what the behaviour returns, which is the value of its result as well"
        return
    for other in others:
        if other.value is found:
            yield f"{other!r}, which the behaviour holds as well"
    # The collector does not tell of the variables of `__main__` on other threads.
    modules = {
        id(module.__dict__): (name, module.__dict__)
        for name, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType)
    }
    for name, variables in modules.values():
        for variable, item in list(variables.items()):
            if item is found:
                yield f"the global variable {variable!r} of the module {name!r}"
    known = {id(each) for each in objects} | {id(objects), *modules}
    for holder in gc.get_referrers(found):
        if id(holder) not in known and not isinstance(holder, types.FrameType):
            yield _described(holder, found, returned)


def _described(holder: object, found: object, returned: object) -> str:
    if holder is returned:
        return "what the behaviour returns"
    if isinstance(holder, dict):
        names = [repr(key) for key, item in list(holder.items()) if item is found]
        return f"a dict, under {names[0] if names else '…'}"
    if isinstance(holder, types.CellType):
        for cells in gc.get_referrers(holder):
            if not isinstance(cells, tuple):
                continue
            for closure in gc.get_referrers(cells):
                if isinstance(closure, types.FunctionType) and closure.__closure__ is cells:
                    place = [cell is holder for cell in cells].index(True)
                    name = closure.__code__.co_freevars[place]
                    return f"the variable {name!r} that the function {closure.__qualname__}() closes over"
        return "a variable of a closure"
    if isinstance(holder, (list, set, tuple)):
        return f"a {type(holder).__name__} of {len(holder)}"
    for name, item in _attributes(holder):
        if item is found:
            return f"the attribute {name!r} of an object of type {type(holder).__name__}"
    if isinstance(holder, Cown):
        return repr(holder)
    return f"an object of type {type(holder).__name__}"
