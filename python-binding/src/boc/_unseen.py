"""Exceptions of bodies that nobody has looked at."""

from __future__ import annotations

import logging

from boc import _failure
from boc._boc import Raised, take_unseen

_log = logging.getLogger("boc")


class Unseen(Raised):
    """What the result of a failed behaviour holds: its exception, logged at the end if unseen."""

    __slots__ = ()

    def __del__(self) -> None:
        if not self.mark_seen():
            log(self.exception)


collected: list[BaseException] | None = None
"""Where they go in the place of the log, if somebody collects them."""

interrupted = False
"""Whether bodies are ended by an exception that was raised in them, since the program ends."""


def is_interruption(exception: BaseException) -> bool:
    """Whether it may be what was raised in a body to end it."""
    return type(exception) is SystemExit and not exception.args


def log(exception: BaseException) -> None:
    """Log one, with the traceback of the body; but not that which has ended a body at the end of the program."""
    if collected is not None:
        collected.append(exception)
        return
    if interrupted and is_interruption(exception):
        return
    _log.error(
        "a behaviour raised an exception that nobody looked at (see result(), unwrap(), exception)",
        exc_info=(type(exception), exception, exception.__traceback__),
    )


def log_failure(description: _failure.Description) -> None:
    """Log one of a worker."""
    log(_failure.rebuild(description))


def complain(message: str) -> None:
    """Log what a behaviour of an extension, or the end of it, has to say to nobody else."""
    _log.error("%s", message)


def log_all() -> None:
    """Log those whose results are still around."""
    for exception in take_unseen():
        log(exception)
