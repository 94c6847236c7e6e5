"""The thread that calls what is to be called when behaviours have ended."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

from boc._boc import (
    Cown,
    forget_callbacks_after_fork,
    set_callbacks_served,
    take_callbacks,
)

_log = logging.getLogger("boc")


class _State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None


_state = _State()


def serve() -> None:
    """Start the thread, if it is not there."""
    with _state.lock:
        if _state.thread is None:
            thread = threading.Thread(target=_call_all, name="boc-callbacks", daemon=True)
            thread.start()
            _state.thread = thread
            set_callbacks_served(True)


def _call_all() -> None:
    while True:
        for callback, result in take_callbacks():
            _call(callback, result)
        # Nothing is kept alive while this waits.
        callback = result = None  # type: ignore[assignment]


def _call(callback: Callable[[Cown[Any]], object], result: Cown[Any]) -> None:
    """Raises nothing, not even what would end a thread, since others still wait for it."""
    try:
        callback(result)
    except BaseException:
        try:
            _log.exception("a callback of %r has failed", result)
        except BaseException:  # a filter of the program may raise
            with contextlib.suppress(BaseException):
                traceback.print_exc()


def forget_after_fork() -> None:
    """The thread is not there in a child."""
    forget_callbacks_after_fork()
    _state.__init__()  # type: ignore[misc]
