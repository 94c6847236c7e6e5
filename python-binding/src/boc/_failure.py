"""Exceptions that go from one interpreter to another."""

from __future__ import annotations

import contextlib
from typing import Any

from boc import _shipping
from boc._advice import advise
from boc._importable import hint
from boc._tracebacks import text_of

Description = tuple[bytes | None, list[Any], str, str, str]
"""The exception pickled, what the pickle refers to, its class's name, its message, its traceback."""


class WorkerTraceback(Exception):
    """Where an exception was raised in a worker: the cause of that exception as others see it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class WorkerError(RuntimeError):
    """Stands for an exception of a worker that cannot be made anew elsewhere."""


def describe(exception: BaseException) -> Description:
    """What other interpreters need to make an exception anew."""
    name = type(exception).__qualname__
    _give_hint(exception)
    advise(exception)
    lines = text_of(exception)
    data: bytes | None
    things: list[Any]
    try:
        data, things = _shipping.dumps(_bare(exception))
    except Exception:
        data, things = None, []
    return data, things, name, _message(exception), f'\n"""\n{lines}"""'


def _give_hint(exception: BaseException) -> None:
    with contextlib.suppress(Exception):  # it, or its text, may be anything
        note = hint(exception)
        if note is not None and note not in getattr(exception, "__notes__", ()):
            exception.add_note(note)


def _bare(exception: BaseException) -> tuple[BaseException, Any]:
    """With its notes; what it comes from is told by the text of the traceback."""
    return exception, getattr(exception, "__notes__", None)


def rebuild(description: Description) -> BaseException:
    """The exception, in this interpreter; its cause says where it was raised."""
    if not description:
        return WorkerError("an exception of a worker, of which nothing could be said")
    data, things, name, message, lines = description
    exception: BaseException | None = None
    if data is not None:
        try:
            exception, notes = _shipping.loads(data, things)
            if notes is not None:
                exception.__notes__ = notes
        except Exception:
            exception = None
    if not isinstance(exception, BaseException):
        exception = WorkerError(f"{name}: {message}")
    exception.__cause__ = WorkerTraceback(lines)
    return exception


def _message(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:
        return "<the exception has no text>"
