"""The pickler of values: what it does other than the standard library's.

What crosses by reference becomes an index. Functions and classes that another interpreter cannot import go
by their content (see :mod:`boc._definitions`), modules go by name, and exceptions arrive whatever
arguments their classes take.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
from collections.abc import Callable
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from boc import _definitions, _dispatching
from boc._importable import can_import, can_import_module, import_module, is_main
from boc._things import CLASSES, thing

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE

_UNNAMED = {
    value: name
    for name, value in vars(types).items()
    if isinstance(value, type) and not can_import(value)
}
"""Classes of the interpreter that are found in no module but ``types``."""


class Pickler(pickle.Pickler):
    """Pickles into :attr:`data`, and puts what crosses by reference into :attr:`things`."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self.things: list[Any] = []
        super().__init__(self._file, 5)

    def pickle(self, value: Any) -> bytes:
        """The value as bytes."""
        self.dump(value)
        return self._file.getvalue()

    def reducer_override(self, obj: Any) -> Any:
        """Called for all objects but those of the simplest classes."""
        kind = type(obj)
        if kind in CLASSES:
            self.things.append(obj)
            return thing, (len(self.things) - 1,)
        reduce = _REDUCERS.get(kind)
        if reduce is not None:
            return reduce(self, obj)
        if isinstance(obj, type):
            if can_import(obj):
                return NotImplemented
            if obj in _UNNAMED:
                return getattr, (types, _UNNAMED[obj])
            return self.reduce_class(obj) if obj.__flags__ & _HEAP_TYPE else NotImplemented
        if isinstance(obj, BaseException):
            return _reduce_exception(obj)
        return NotImplemented

    def reduce_class(self, class_: type) -> Any:
        """Reduce a class that cannot be imported."""
        from boc._capture import definition_of

        return _definitions.load, (definition_of(class_),)

    def reduce_function(self, function: FunctionType) -> Any:
        """Reduce a function that cannot be imported."""
        from boc._templates import template_of

        template = template_of(function)
        attributes = dict(function.__dict__)
        captured = template.captured
        variables = template.variables(captured)
        names = {
            name: getattr(function, name)
            for name in ("__name__", "__qualname__", "__doc__", "__annotations__")
            if getattr(function, name) != getattr(template.function, name)
        }
        own = function.__defaults__, function.__kwdefaults__, attributes, variables, names
        reused = not (function.__closure__ or any(own))
        name = _definitions.name_of(function)
        arguments = captured.definition, name, function.__closure__, reused
        state = None if reused else own
        return (
            _definitions.make_from_template,
            arguments,
            state,
            None,
            None,
            _definitions.finish_from_template,
        )

    def reduce_cell(self, cell: CellType) -> Any:
        """Reduce a cell of a closure."""
        try:
            state = (cell.cell_contents,)
        except ValueError:
            return _definitions.make_cell, ()
        return _definitions.make_cell, (), state, None, None, _definitions.fill_cell


def _reduce_function(pickler: Pickler, function: FunctionType) -> Any:
    if can_import(function):
        return NotImplemented
    if _dispatching.is_dispatching(function):
        return _dispatching.reduce_function(function)
    return pickler.reduce_function(function)


def _reduce_module(_: Pickler, module: ModuleType) -> Any:
    if can_import_module(module):
        return import_module, (module.__name__,)
    if type(module) is not ModuleType or is_main(module):
        return NotImplemented
    # One that the program has made itself.
    state = {name: value for name, value in vars(module).items() if name not in _OF_IMPORTING}
    make = ModuleType, (module.__name__,)
    return *make, state, None, None, _definitions.fill_module


_OF_IMPORTING = frozenset(("__builtins__", "__spec__", "__loader__"))


def _reduce_cached(_: Pickler, cached: Any) -> Any:
    if can_import(cached):
        return NotImplemented
    parameters = cached.cache_parameters()
    arguments = cached.__wrapped__, parameters["maxsize"], parameters["typed"]
    return _definitions.make_cached, arguments


def _reduce_method(_: Pickler, method: MethodType) -> Any:
    found = getattr(method.__self__, method.__name__, None)
    if isinstance(found, MethodType) and found == method:
        return NotImplemented
    return MethodType, (method.__func__, method.__self__)


def _reduce_stream(_: Pickler, stream: io.TextIOWrapper) -> Any:
    for name in "stdout", "stderr", "stdin":
        if stream is getattr(sys, name) or stream is getattr(sys, f"__{name}__"):
            return getattr, (sys, name)
    return NotImplemented


def _reduce_exception(exception: BaseException) -> Any:
    class_ = type(exception)
    make: Any
    if (
        isinstance(class_.__init__, FunctionType)
        and class_.__reduce__ is BaseException.__reduce__
        and class_.__reduce_ex__ is object.__reduce_ex__
    ):
        make, arguments = _definitions.make_exception, (class_, exception.args)
        attributes: Any = exception.__dict__
    else:
        reduced = exception.__reduce_ex__(5)
        if not isinstance(reduced, tuple) or len(reduced) > 3:
            return reduced
        make, arguments, attributes = (*reduced, None)[:3]
        if attributes is not None and (
            not isinstance(attributes, dict) or hasattr(class_, "__setstate__")
            and class_.__setstate__ is not BaseException.__setstate__
        ):
            return reduced
    cause, context = exception.__cause__, exception.__context__
    suppress = exception.__suppress_context__
    if not attributes and cause is None and context is None and not suppress:
        return make, arguments
    state = attributes, cause, context, suppress
    return make, arguments, state, None, None, _definitions.finish_exception


_REDUCERS: dict[type, Callable[[Any, Any], Any]] = {
    FunctionType: _reduce_function,
    MethodType: _reduce_method,
    ModuleType: _reduce_module,
    CellType: lambda pickler, cell: pickler.reduce_cell(cell),
    functools._lru_cache_wrapper: _reduce_cached,
    functools.singledispatchmethod: lambda _, method: _dispatching.reduce_method(method),
    io.TextIOWrapper: _reduce_stream,
}
