"""Whether a callable that is not a plain function can be called with the cowns of a request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def check(function: Callable[..., Any], arguments: int) -> None:
    """Raise a TypeError or SyntaxError if it cannot; builtins without a signature pass."""
    target = inspect.unwrap(function)
    while hasattr(target, "func"):  # functools.partial
        target = target.func
    call = getattr(target, "__call__", target)  # noqa: B004
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_kind(candidate) for is_kind in kinds for candidate in (target, call)):
        raise SyntaxError(
            f"{function!r} cannot be a behaviour, since it is a generator or `async def`; schedule a "
            "plain function, which runs from start to end"
        )
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind(*range(arguments))
    except TypeError as error:
        _check_keyword_only(signature, arguments, function)
        raise TypeError(
            f"{function!r} is scheduled over {arguments} cowns, and cannot be called with as many "
            f"arguments: {error}; each cown or list of cowns becomes one parameter"
        ) from None


def _check_keyword_only(
    signature: inspect.Signature, arguments: int, function: Callable[..., Any]
) -> None:
    """Raise a TypeError if it could be called but for keyword-only parameters without a default value."""
    names = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    if not names:
        return
    try:
        signature.bind(*range(arguments), **dict.fromkeys(names))
    except TypeError:
        return
    name = names[0]
    called = getattr(function, "__qualname__", repr(function))
    raise TypeError(
        f"{called}() has the keyword-only parameter {name!r} without a default value, which nothing gives a value "
        f"to: give it a default value (`{name}={name}`), which is evaluated when the behaviour is scheduled, or use "
        "a closure"
    ) from None
