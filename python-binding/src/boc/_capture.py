"""Functions and classes as bytes, together with all that their code refers to.

What code refers to can change: a global variable can be bound to something else, a class can get another
method. So with each definition goes a list of *guards*, which say what was where; as long as that is so,
the definition holds. Data that can change in itself is seen by looking again: such a definition is
*volatile*. Data that only the function itself uses need not be part of the definition, and is sent each
time instead.
"""

from __future__ import annotations

import contextlib
import copyreg
import dataclasses
import enum
import functools
import io
import linecache
import os
import typing
from collections import ChainMap
from collections.abc import Iterable
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    EllipsisType,
    FunctionType,
    ModuleType,
    NoneType,
    NotImplementedType,
)
from typing import Any, NamedTuple

from cloudpickle import cloudpickle  # type: ignore[import-untyped]

from boc import _definitions
from boc._boc import Buffer, Cown, Definition, PinnedCown
from boc._dispatching import is_dispatching
from boc._guards import CELL, CLASS, MISSING, NAME, Guard, is_data
from boc._identities import Identities
from boc._importable import can_import, can_import_module, is_main, module_of
from boc._names import names_assigned_in, names_in, warn_of_assignments
from boc._pickling import Pickler
from boc._templates import Captured


class Everything(Pickler):
    """Pickles what the standard library refuses and cloudpickle knows how to."""

    # Not the content of files, and not a copy of memory that is meant to be shared.
    dispatch_table: Any = ChainMap(
        {
            kind: reduce
            for kind, reduce in cloudpickle.Pickler._dispatch_table.items()
            if kind not in (io.TextIOWrapper, memoryview)
        },
        copyreg.dispatch_table,
    )

    def reducer_override(self, obj: Any) -> Any:
        """See there."""
        sentinel = _SENTINELS.get(id(obj))
        if sentinel is not None:
            return getattr, (dataclasses, sentinel)
        if isinstance(obj, (typing.ParamSpec, _TypeVarTuple)):
            return type(obj), (obj.__name__,)
        return super().reducer_override(obj)


class Capture(Everything):
    """Pickles the content of a function or class, and notes what would make it another one.

    :param scope: Globals some of which are left out.
    :param varying: Their names.
    :ivar changing: The names in the scope whose values can change in themselves.
    :ivar assigning: The code that assigns globals.
    """

    def __init__(
        self, scope: dict[str, Any] | None = None, varying: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self.guards: dict[tuple[int, str | None], Guard] = {}
        self.volatile = False
        self.changing: set[str] = set()
        self.assigning: list[CodeType] = []
        self._scope, self.varying = scope, varying
        self._users: dict[str, set[int]] = {}
        self._foreign: set[int] = set()
        self._scopes: dict[int, dict[str, Any]] = {}
        self._sources: dict[str, tuple[str, list[str]] | None] = {}

    def reduce_class(self, class_: type) -> Any:
        self._guard((CLASS, class_, None, tuple(vars(class_).values())))
        make, arguments, state, _, _, set_state = cloudpickle._dynamic_class_reduce(class_)
        # The last but one is cloudpickle's own name for the class.
        arguments = [*arguments[:-2], None, arguments[-1]]
        if issubclass(class_, enum.Enum):
            set_state, state = _definitions.set_enum_state, _enum_state(class_, set_state, state)
            arguments[3] = {key: member._value_ for key, member in class_.__members__.items()}
        else:
            arguments[2] = _bases(class_)
            if "__slots__" in vars(class_):
                arguments[3]["__slots__"] = vars(class_)["__slots__"]
        age = _definitions.age_of(class_)
        return (
            _definitions.make_class,
            (_definitions.name_of(class_), age, make, tuple(arguments)),
            (age, set_state, state),
            None,
            None,
            _definitions.finish_class,
        )

    def reduce_function(self, function: FunctionType) -> Any:
        code, closure = function.__code__, function.__closure__ or ()
        scope: str | dict[str, Any] | None = module_of(function)
        captured: dict[str, Any] = {}
        modules: list[ModuleType] = []
        if scope is None:
            known = function.__globals__
            names = self._used(function)
            scope = self._fresh(known, names)
            captured = {name: known[name] for name in names if name in known}
            if names_assigned_in(code):
                self.assigning.append(code)
            modules = _submodules(code, [*captured.values(), *contents_of(closure)])
        else:
            # What a module keeps in there is its own business.
            self._foreign.update(map(id, closure))
        return (
            _definitions.make_function,
            (
                _definitions.name_of(function),
                code,
                scope,
                function.__closure__,
                self._source(code.co_filename),
            ),
            (_attributes(function), captured, modules),
            None,
            None,
            _definitions.finish_function,
        )

    def reduce_cell(self, cell: CellType) -> Any:
        # Whoever changes it meanwhile makes the guard fail.
        try:
            contents = cell.cell_contents
        except ValueError:
            contents = MISSING
        self._guard((CELL, cell, None, contents))
        return super().reduce_cell(cell)

    def used_alone_by(self, code: CodeType) -> set[str]:
        """The names in the scope that no other code uses."""
        return {name for name, users in self._users.items() if users == {id(code)}}

    def _used(self, function: FunctionType) -> tuple[str, ...]:
        """The globals to capture."""
        names = names_in(function.__code__)
        if function.__globals__ is not self._scope:
            return names
        for name in names:
            self._users.setdefault(name, set()).add(id(function.__code__))
        return tuple(name for name in names if name not in self.varying)

    def _fresh(self, scope: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """The globals that all functions share that shared them before, with only what is a module's."""
        for name in names:
            self._guard((NAME, scope, name, scope.get(name, MISSING)))
        about = ("__package__", "__name__", "__path__", "__file__")
        fresh = {name: scope[name] for name in about if name in scope}
        return self._scopes.setdefault(id(scope), fresh)

    def _source(self, name: str) -> tuple[str, list[str]] | None:
        """The lines of a source that is in no file, if they are known."""
        if name not in self._sources:
            entry: tuple[Any, ...] = linecache.cache.get(name) or ()
            known = len(entry) > 1 and not os.path.exists(name)  # else one whose lines are read on demand
            self._sources[name] = (name, list(entry[2])) if known else None
        return self._sources[name]

    def _guard(self, guard: Guard) -> None:
        kind, where, name, value = guard
        key = (id(where), name)
        if key not in self.guards:
            self.guards[key] = guard
            own = kind != CLASS and id(where) not in self._foreign
            if own and value is not MISSING and not _is_constant(value):
                self.volatile = True
                if kind == NAME and where is self._scope and name is not None and is_data(value):
                    self.changing.add(name)


def contents_of(closure: Iterable[CellType]) -> list[Any]:
    """What is in cells, without those that are empty."""
    contents = []
    for cell in closure:
        with contextlib.suppress(ValueError):
            contents.append(cell.cell_contents)
    return contents


def _submodules(code: CodeType, values: list[Any]) -> list[ModuleType]:
    """Those that code gets to through their packages, as ``os.path``."""
    found = cloudpickle._find_imported_submodules(code, values)
    return [module for module in found if can_import_module(module)]


def _attributes(function: FunctionType) -> dict[str, Any]:
    """What a function has beside code, globals and closure, where it is not what it always is."""
    names = "__name__", "__qualname__", "__defaults__", "__kwdefaults__", "__module__"
    attributes = {name: getattr(function, name) for name in names}
    attributes["__dict__"] = dict(function.__dict__)
    # Names in annotations may be those of modules that are not imported.
    with contextlib.suppress(Exception):
        attributes["__annotations__"] = function.__annotations__
    return {name: value for name, value in attributes.items() if value}


def capture(
    thing: Any, before: Captured | None, varying: frozenset[str] = frozenset()
) -> Captured:
    """The definition of a class or function; the one from before, if nothing has changed.

    :param varying: For a function: those of its globals that have changed before. They are left out, so
        that they can be sent each time, and so are those that can change in themselves; unless other
        functions that are sent with it use them, too.
    """
    pickler, data = _pickled(thing, varying)
    warn_of_assignments(pickler.assigning)
    things, guards = pickler.things, list(pickler.guards.values())
    for each in things:
        if type(each) is Buffer and not each.readonly:
            raise TypeError(
                "a Buffer goes to one behaviour, not to all that use a function or class: let the behaviour "
                "itself refer to it, or put it in a Cown"
            )
    rest = guards, pickler.volatile, pickler.varying
    if (
        before is not None
        and (before.data, before.varying) == (data, pickler.varying)
        and _are_same(before.things, things)
    ):
        return Captured(before.definition, data, things, *rest)
    definition = Definition(data, things)
    _definitions.know(definition, thing)
    return Captured(definition, data, things, *rest)


def _pickled(thing: Any, varying: frozenset[str]) -> tuple[Capture, bytes]:
    if not isinstance(thing, FunctionType):
        pickler = Capture()
        return pickler, pickler.pickle(thing)
    for last in False, False, False, True:
        pickler = Capture(thing.__globals__, frozenset() if last else varying)
        data = pickler.pickle(thing)
        better = frozenset((pickler.changing | varying) & pickler.used_alone_by(thing.__code__))
        if better == varying:
            break
        varying = better
    return pickler, data


_classes: Identities[Captured] = Identities(limit=256)


def definition_of(class_: type) -> Definition:
    """The definition of a class, as it is now."""
    known = _classes.get(class_)
    if known is None or not known.is_current():
        known = capture(class_, known)
        _classes.set(class_, known)
    return known.definition


def forget() -> None:
    """Forget what was sent."""
    _classes.clear()


def _are_same(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(map(lambda a, b: a is b, some, others))


def _enum_state(class_: Any, set_state: Any, state: Any) -> Any:
    """With aliases left out, which the members bring, and what members have of their own."""
    content, slots = state
    given = ("_name_", "_value_", "_sort_order_", "__objclass__")
    own: dict[str, dict[str, Any]] = {}
    for name, member in class_.__members__.items():
        content.pop(name, None)
        attributes = getattr(member, "__dict__", {})
        rest = {key: value for key, value in attributes.items() if key not in given}
        if rest:
            own[name] = rest
    return set_state, (content, slots), own


def _bases(class_: type) -> Any:
    """What the class statement named, where that makes a difference that lasts."""
    named = vars(class_).get("__orig_bases__", class_.__bases__)
    return tuple(tuple if base is NamedTuple else base for base in named)


_TypeVarTuple: Any = getattr(typing, "TypeVarTuple", ())
_SENTINELS = {
    id(value): name
    for name, value in vars(dataclasses).items()
    if type(value).__name__ in {"_MISSING_TYPE", "_HAS_DEFAULT_FACTORY_CLASS", "_KW_ONLY_TYPE"}
}

_CONSTANT = {
    Cown,
    PinnedCown,
    Definition,
    NoneType,
    EllipsisType,
    NotImplementedType,
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    BuiltinFunctionType,
    functools._lru_cache_wrapper,
}
_CONSTANT_MODULES = frozenset(
    (
        "datetime",
        "decimal",
        "fractions",
        "functools",
        "ipaddress",
        "logging",
        "operator",
        "pathlib",
        "pathlib._local",
        "re",
        "types",
        "typing",
        "uuid",
        "zoneinfo",
    )
)
"""Modules whose objects do not change, or whose changes are nobody's business."""


_CHANGEABLE = frozenset(
    (("functools", "partial"), ("types", "SimpleNamespace"), ("decimal", "Context"))
)
"""Classes in these modules whose objects change."""


def _is_constant(value: Any) -> bool:
    """Whether a value cannot change, so that comparing its identity is enough."""
    kind = type(value)
    if kind is FunctionType:
        if is_dispatching(value) and not can_import(value):
            return False  # more can be registered
        return _is_constant((value.__defaults__, tuple((value.__kwdefaults__ or {}).values())))
    if kind is ModuleType:
        return can_import_module(value) or is_main(value)
    if isinstance(value, enum.Enum):
        return all(map(_is_constant, vars(value).values()))
    if kind in _CONSTANT or isinstance(value, type) or id(value) in _SENTINELS:
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_constant, value))
    if dataclasses.is_dataclass(kind) and getattr(kind, "__dataclass_params__").frozen:
        fields = dataclasses.fields(kind)
        return all(_is_constant(getattr(value, field.name, None)) for field in fields)
    place = kind.__module__, kind.__qualname__
    return kind.__module__ in _CONSTANT_MODULES and place not in _CHANGEABLE
