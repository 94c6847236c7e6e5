"""Values and functions on their way to another interpreter.

The native half calls this for what it cannot do itself.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pickle import PicklingError
from types import FunctionType, MethodType
from typing import Any

from boc import _definitions, _templates
from boc._boc import Definition
from boc._definitions import load, unpickle
from boc._guards import MISSING, Guard
from boc._importable import CannotImport
from boc._pickling import Pickler
from boc._templates import template_of
from boc._tracebacks import cause_to_show

__all__ = ["dumps", "explain", "forget", "load", "loads", "prepare"]


def dumps(value: Any) -> tuple[bytes, list[Any]]:
    """A value as bytes, and what they refer to.

    :raises Exception: What pickling it raises, if it cannot be sent.
    """
    pickler = Pickler()
    with contextlib.suppress(TypeError, AttributeError, PicklingError):
        return pickler.pickle(value), pickler.things
    from boc._capture import Everything

    pickler = Everything()
    return pickler.pickle(value), pickler.things


def loads(data: bytes, things: list[Any]) -> Any:
    """The value again.

    :raises ImportError: If it needs a module that cannot be imported here.
    """
    return unpickle(data, things)


def forget() -> None:
    """Give up what is remembered of functions and classes that were sent or have come."""
    _templates.forget()
    _definitions.forget()
    if capture := sys.modules.get("boc._capture"):
        capture.forget()


def prepare(
    function: FunctionType,
) -> tuple[Definition, list[Guard], bool, object, tuple[str, ...], str, str]:
    """The template of a function, and what must not change for it to hold.

    Then: whether to ask again each time; what stands for nothing in the guards; the names of the
    globals that are sent beside the template; its own name, and its qualified one.

    :raises TypeError: If it refers to something that cannot be sent.
    :raises ImportError: If it needs a module that workers cannot import.
    """
    try:
        template = template_of(function)
    except CannotImport as error:
        raise error.with_traceback(None)
    except Warning:
        raise  # that of an assignment, which the program wants to be an error
    except Exception as error:
        raise _blamed(function, error) from cause_to_show(error)
    captured, made = template.captured, template.function
    varying = tuple(sorted(captured.varying))
    names = made.__name__, made.__qualname__
    return captured.definition, captured.guards, captured.volatile, MISSING, varying, *names


def explain(callable_: Any, role: str, index: int, error: Exception) -> Exception:
    """The exception to raise for a callable, or for a part of a function, that cannot be sent.

    :param role: ``"closure"`` for the variable in the cell of that index, ``"default"`` for one of the
        defaults, ``"global"`` for one of the globals, and ``"whole"`` for the callable itself.
    """
    if isinstance(error, CannotImport):
        return error.with_traceback(None)
    what, value, name = "it", callable_, ""
    if role == "closure":
        name = callable_.__code__.co_freevars[index]
        what = _PARTS[role].format(name)
        value = callable_.__closure__[index].cell_contents
    elif role != "whole":
        name, value = _first_refused(_defaults(callable_) if role == "default" else _globals(callable_))
        what = _PARTS[role].format(name)
    elif isinstance(callable_, MethodType):
        attribute = _refused_attribute(callable_)
        if attribute is not None:
            return attribute
    located = _LOCATED.fullmatch(str(error))
    if located is None:
        explained = _cannot_send(callable_, f"{what} {_described(value, error)}", error)
    else:
        path, why = located.groups()
        if role in ("default", "global"):
            path = _FIRST_STEP.sub("", path)  # defaults and globals are sent in a container
        places = [what] if name else []
        if path:
            places.append(f"at {name or _called(callable_)}{path}")
        place = ", ".join(places)
        explained = TypeError(
            f"cannot send {_called(callable_)} to a worker: {place}{': ' if place else ''}{why}"
        )
    # The encoder of values has seen to it that its own exception tells no more than its text.
    explained.__cause__ = error.__cause__ if located else cause_to_show(error)
    explained.__suppress_context__ = True
    return explained


_FIRST_STEP = re.compile(r"^\[('[^']*'|\d+)\]")
_LOCATED = re.compile(r"cannot send value(.*?) to a worker: (.*)", re.DOTALL)
"""What the encoder of values says."""


def _defaults(function: FunctionType) -> list[tuple[str, Any]]:
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    return [*zip(names, defaults, strict=True), *(function.__kwdefaults__ or {}).items()]


def _globals(function: FunctionType) -> list[tuple[str, Any]]:
    template = template_of(function)
    return list(template.variables(template.captured).items())


def _first_refused(parts: list[tuple[str, Any]]) -> tuple[str, Any]:
    for name, value in parts:
        try:
            dumps(value)
        except Exception:
            return name, value
    return "?", parts


def _refused_attribute(method: MethodType) -> TypeError | None:
    """The exception that names what cannot be sent of the object that a method is bound to."""
    if isinstance(method.__self__, type):
        return None
    for name, value in getattr(method.__self__, "__dict__", {}).items():
        try:
            dumps(value)
        except Exception as error:
            what = f"the attribute {name!r} of its object {_described(value, error)}"
            refused = _cannot_send(method, what, error)
            refused.__cause__ = cause_to_show(error)
            refused.__suppress_context__ = True
            return refused
    return None


_PARTS = {
    "closure": "its variable '{}' (closure)",
    "default": "its default '{}'",
    "global": "its global '{}'",
}


def _cannot_send(callable_: Any, what: str, error: Exception) -> TypeError:
    return TypeError(
        f"cannot send {_called(callable_)} to a worker: {what}, which stays in the interpreter that made "
        f"it ({error}); make it inside of the behaviour, or keep what it is made of in a Cown, or use "
        'boc.start(backend="direct")'
    )


def _called(callable_: Any) -> str:
    name: str = getattr(callable_, "__qualname__", type(callable_).__name__)
    return f"{name}()" if isinstance(callable_, FunctionType) else name


def _described(value: Any, error: Exception) -> str:
    kind = type(value)
    own = kind.__module__ == "builtins"
    name = kind.__qualname__ if own else f"{kind.__module__}.{kind.__qualname__}"
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    # Pickle names what it refuses.
    inside = "" if f"'{name}'" in str(error) else " with something in it"
    return f"is {article} {name} object{inside}"


def _blamed(function: FunctionType, error: Exception) -> TypeError:
    """Says which global is to blame, by trying each alone."""
    path, value = _culprit(function, {id(function)})
    if not path:
        return _cannot_send(function, "it refers to something", error)
    where = ", ".join(path)
    return _cannot_send(function, f"{where} {_described(value, error)}", error)


def _culprit(function: FunctionType, seen: set[int]) -> tuple[list[str], Any]:
    """How to get to what cannot be sent, through the functions on the way."""
    from boc._capture import Capture, contents_of
    from boc._names import names_in

    parts = [
        ("global", name, function.__globals__[name])
        for name in names_in(function.__code__)
        if name in function.__globals__
    ]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        parts.extend(("closure", name, contents) for contents in contents_of([cell]))
    for role, name, value in parts:
        if id(value) in seen:
            continue
        seen.add(id(value))
        try:
            Capture().pickle(value)
        except Exception:
            step = _PARTS[role].format(name)
            if isinstance(value, FunctionType):
                path, culprit = _culprit(value, seen)
                if path:
                    return [f"{step} is a function", *path], culprit
            return [step], value
    return [], None
