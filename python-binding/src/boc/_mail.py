"""What workers tell the main interpreter, some time later."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any


def receive(message: tuple[str, Any]) -> None:
    """Called in the main interpreter with what a worker has told."""
    kind, content = message
    _RECEIVERS[kind](content)


def _log(attributes: dict[str, Any]) -> None:
    record = logging.makeLogRecord(attributes)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def _write(content: tuple[str, str]) -> None:
    name, text = content
    with contextlib.suppress(AttributeError, ValueError, OSError):  # none, closed, full
        getattr(sys, name).write(text)


_RECEIVERS: dict[str, Callable[[Any], None]] = {"log": _log, "write": _write}
