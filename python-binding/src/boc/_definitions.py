"""Functions and classes that are sent by their content, as the receiving interpreter sees them.

What cannot be imported by name is sent as a *definition*: bytes that are made once, and loaded once in
each interpreter. Beside that each such function and class has a *name* that is unique in the process and
travels with it, wherever it is contained. By that name the interpreter that made the original finds it
again, and any other one has a single copy of a class, however many definitions it came in.

A class has one copy, although definitions of several ages can contain it. The youngest one decides what the
copy's attributes are: definitions are numbered in the order they were made.
"""

from __future__ import annotations

import builtins
import functools
import io
import itertools
import linecache
import marshal
import os
import pickle
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import boc._things as _things
from boc._boc import Definition
from boc._identities import Identities
from boc._importable import CannotImport, import_failed, import_module, where_main_looks

_KEPT = 512
"""So many of the definitions that were loaded last stay alive without anybody's help."""

_prefix = os.urandom(8).hex()
_numbers = itertools.count()
_names: Identities[str] = Identities()
_named: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()

_ages: Identities[int] = Identities()
"""Which definition the attributes of a class are from, for classes of other interpreters."""

_loaded: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_kept: OrderedDict[int, Any] = OrderedDict()
_loading = threading.RLock()


class _Here(threading.local):
    definition: int = 0


_here = _Here()


def name_of(thing: object) -> str:
    """The name of a class or function in this process."""
    name = _names.get(thing)
    if name is None:
        name = f"{_prefix}-{next(_numbers)}"
        _names.set(thing, name)
        _named[name] = thing
    return name


def age_of(class_: type) -> int | None:
    """Which definition a class of another interpreter is like; ``None`` for one of this."""
    return _ages.get(class_)


def original(name: str) -> Any:
    """The class or function of that name, if it was made here and is alive."""
    return _named.get(name) if name.startswith(_prefix) else None


def is_original(thing: object) -> bool:
    """Whether a function was made here."""
    return original(_names.get(thing) or "") is thing


def set_name(thing: object, name: str) -> None:
    """Note the name of what was made here like one of another interpreter."""
    _names.set(thing, name)


def know(definition: Definition, thing: object) -> None:
    """Note what a definition is here."""
    _loaded[definition.id] = thing


def load(definition: Definition) -> Any:
    """What a definition defines.

    :raises ImportError: If it needs a module that cannot be imported here.
    """
    known = _loaded.get(definition.id)
    if known is not None:
        return known
    with _loading:
        known = _loaded.get(definition.id)
        if known is not None:
            return known
        before, _here.definition = _here.definition, definition.id
        try:
            thing = unpickle(definition.data, definition.things)
        finally:
            _here.definition = before
        know(definition, thing)
        _kept[definition.id] = thing
        if len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return thing


def forget() -> None:
    """Let those definitions go that are kept in case they are used again."""
    _kept.clear()


def unpickle(data: bytes, things: list[Any]) -> Any:
    """Undo a pickle of this package."""
    with _things.among(things):
        try:
            return where_main_looks(lambda: pickle.loads(data))
        except CannotImport:
            raise
        except ImportError as error:
            name = _Watched.blame(data) or error.name
            raise import_failed(name, error)


class _Watched(pickle.Unpickler):
    """Unpickles once more, to see which module it is that cannot be imported."""

    module: str | None = None

    @classmethod
    def blame(cls, data: bytes) -> str | None:
        """Its name."""
        watched = cls(io.BytesIO(data))
        try:
            watched.load()
        except ImportError:
            return watched.module
        return None

    def find_class(self, module: str, name: str, /) -> Any:
        self.module = module
        return super().find_class(module, name)


# What pickles call.


def make_class(
    name: str, age: int | None, make: Callable[..., type], arguments: tuple[Any, ...]
) -> type:
    """The class of that name; a new one, without attributes, if there is none."""
    known = _named.get(name)
    if known is not None:
        return known  # type: ignore[no-any-return]
    class_ = make(*arguments)
    _names.set(class_, name)
    _named[name] = class_
    _ages.set(class_, -1)
    return class_


def finish_class(class_: type, state: tuple[int | None, Callable[..., Any], Any]) -> None:
    """Give a class its attributes, unless it is the original or has younger ones."""
    known = _ages.get(class_)
    if known is None:
        return
    age, set_state, content = state
    if age is None:
        age = _here.definition
    if age > known:
        set_state(class_, content)
        _ages.set(class_, age)


def make_function(
    name: str,
    code: CodeType,
    scope: dict[str, Any] | str,
    cells: tuple[CellType, ...] | None,
    source: tuple[str, list[str]] | None,
) -> FunctionType:
    """The original function of that name, or a new one that lacks all but code and closure."""
    known = original(name)
    if known is not None:
        return known  # type: ignore[no-any-return]
    if isinstance(scope, str):
        scope = _scope(scope, code)
    else:
        scope.setdefault("__builtins__", __builtins__)
    if source is not None:
        _remember_source(*source)
    function = FunctionType(code, scope, None, None, cells)
    set_name(function, name)
    return function


def finish_function(
    function: FunctionType, state: tuple[dict[str, Any], dict[str, Any], list[ModuleType]]
) -> None:
    """Give a function its parts, unless it is the original. The modules just had to be imported."""
    if not is_original(function):
        attributes, captured, _ = state
        function.__globals__.update(captured)
        for name, value in attributes.items():
            setattr(function, name, value)


def make_from_template(
    definition: Definition, name: str, cells: tuple[CellType, ...] | None, reused: bool
) -> FunctionType:
    """The original function of that name, or one made from the template."""
    known = original(name)
    if known is not None:
        return known  # type: ignore[no-any-return]
    key = f"{name}/{definition.id}"
    known = _named.get(key) if reused else None
    if known is not None:
        return known  # type: ignore[no-any-return]
    template: FunctionType = load(definition)
    function = FunctionType(
        template.__code__, template.__globals__, template.__name__, None, cells
    )
    function.__qualname__ = template.__qualname__
    set_name(function, name)
    if reused:
        _named[key] = function
    return function


def finish_from_template(function: FunctionType, state: tuple[Any, ...]) -> None:
    """Give a function that was made from a template what it has of its own."""
    if not is_original(function):
        function.__defaults__, function.__kwdefaults__, attributes, variables, names = state
        function.__globals__.update(variables)
        function.__dict__.update(attributes)
        for name, value in names.items():
            setattr(function, name, value)


def make_module_function(code: bytes, module: str, name: str, qualified_name: str) -> FunctionType:
    """The template of a function that belongs to an importable module."""
    made = marshal.loads(code)
    return make_template(made, _scope(module, made), name, qualified_name)


def _scope(module: str, code: CodeType) -> dict[str, Any]:
    """The globals of a module, with those that code refers to which pytest has rewritten."""
    scope = import_module(module).__dict__
    if _PYTEST not in scope and _mentions(code, _PYTEST):
        scope[_PYTEST] = _Rewriting()
        scope["@py_builtins"] = builtins
    return scope


def _mentions(code: CodeType, name: str) -> bool:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return name in code.co_names or any(_mentions(constant, name) for constant in inner)


_PYTEST = "@pytest_ar"
"""How the module is called in code that pytest has rewritten which makes the text of an ``assert`` that fails.
A worker has imported the test's module as it was written."""


class _Rewriting:
    """That module, imported when an ``assert`` fails."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("_pytest.assertion.rewrite"), name)


def make_template(
    code: CodeType, scope: dict[str, Any], name: str, qualified_name: str
) -> FunctionType:
    """A function that has neither defaults nor anything in its closure."""
    cells = tuple(CellType() for _ in code.co_freevars)
    function = FunctionType(code, scope, name, None, cells)
    function.__qualname__ = qualified_name
    return function


def fill_module(module: ModuleType, content: dict[str, Any]) -> None:
    """Put into a module what belongs there."""
    vars(module).update(content)


def make_cell() -> CellType:
    """A cell with nothing in it."""
    return CellType()


def fill_cell(cell: CellType, contents: tuple[Any]) -> None:
    """Put something into a cell."""
    (cell.cell_contents,) = contents


def make_cached(function: Callable[..., Any], size: int | None, typed: bool) -> Any:
    """What ``functools.lru_cache`` makes of a function."""
    return functools.lru_cache(size, typed)(function)


def set_enum_state(class_: Any, state: tuple[Callable[..., Any], Any, dict[str, Any]]) -> None:
    """Give an enumeration its attributes, and its members theirs."""
    set_state, content, attributes = state
    set_state(class_, content)
    for name, own in attributes.items():
        class_.__members__[name].__dict__.update(own)


def make_exception(
    class_: type[BaseException], arguments: tuple[Any, ...]
) -> BaseException:
    """An exception whose class takes other arguments than those that it shows."""
    exception = class_.__new__(class_, *arguments)
    for base in class_.__mro__:
        initialise = base.__dict__.get("__init__")
        if initialise is not None and not isinstance(initialise, FunctionType):
            initialise(exception, *arguments)
            break
    return exception


def finish_exception(exception: BaseException, state: tuple[Any, ...]) -> None:
    """Give an exception its attributes, and those that it came from."""
    attributes, cause, context, suppress = state
    if attributes:
        exception.__dict__.update(attributes)
    exception.__cause__, exception.__context__ = cause, context
    exception.__suppress_context__ = suppress


def _remember_source(name: str, lines: list[str]) -> None:
    """Let tracebacks show lines that are in no file."""
    if name not in linecache.cache:
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
