"""Functions that ``functools.singledispatch`` has made, on their way to another interpreter.

They keep what they have found out about classes, which nobody else can use, and can refer to themselves. So one is
sent as its name and the functions registered with it, and made anew from that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from boc import _definitions

_CODE = functools.singledispatch(lambda _: None).__code__  # type: ignore[attr-defined,unused-ignore]
_OWN = ("register", "dispatch", "registry", "_clear_cache")


def is_dispatching(function: FunctionType) -> bool:
    """Whether ``functools.singledispatch`` has made it."""
    return function.__code__ is _CODE


def reduce_function(function: Any) -> Any:
    """How to make it anew, for pickle."""
    attributes = {key: value for key, value in vars(function).items() if key not in _OWN}
    names = {name: getattr(function, name) for name in ("__module__", "__name__", "__qualname__", "__doc__")}
    state = list(function.registry.items()), attributes, names
    arguments = _definitions.name_of(function), function.__name__
    return make_function, arguments, state, None, None, finish_function


def make_function(unique_name: str, name: str) -> Any:
    """The original function of that unique name, or one with nothing registered."""
    original = _definitions.original(unique_name)
    if original is not None:
        return original
    function = functools.singledispatch(_placeholder(name))
    _definitions.set_name(function, unique_name)
    return function


def finish_function(function: Any, state: tuple[list[Any], dict[str, Any], dict[str, Any]]) -> None:
    """Register what belongs there, unless it is the original."""
    if _definitions.is_original(function):
        return
    registered, attributes, names = state
    for class_, implementation in registered:
        function.register(class_, implementation)
    vars(function).update(attributes)
    for name, value in names.items():
        setattr(function, name, value)


def reduce_method(method: functools.singledispatchmethod[Any]) -> Any:
    """The same for what ``functools.singledispatchmethod`` has made."""
    state = {"dispatcher": method.dispatcher, "func": method.func}
    return make_method, (), state, None, None, finish_method


def make_method() -> functools.singledispatchmethod[Any]:
    """One with nothing registered."""
    return functools.singledispatchmethod(_placeholder("method"))


def finish_method(method: functools.singledispatchmethod[Any], state: dict[str, Any]) -> None:
    """Give it what belongs there."""
    vars(method).update(state)


def _placeholder(name: str) -> Callable[..., Any]:
    def placeholder(*_: Any) -> Any:
        raise SystemError("internal error in boc: nothing is registered")

    placeholder.__name__ = name
    return placeholder
