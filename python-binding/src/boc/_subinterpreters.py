"""Workers that have interpreters of their own, each with a GIL, where values go by copies."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from typing import Any

from boc._boc import Pool, end_resting_interpreters, settings_changed, watch_settings


class SubInterpreters:
    """The threads of a pool, and their interpreters."""

    name = "subinterpreters"

    must_end = True
    """Python does not survive its end with other interpreters around."""

    def __init__(self) -> None:
        self._pool: Pool | None = None

    def start(self, pool: Pool, count: int) -> None:
        """Start the workers; stops the pool if that fails."""
        _import_first()
        _watch_once()
        path = [entry for entry in sys.path if isinstance(entry, str)]
        pool.start_interpreters(count, path, _settings())
        self._pool = pool

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all have ended; say whether they have."""
        return self._pool is None or self._pool.join_interpreters(timeout)

    def interrupt(self) -> list[str]:
        """Raise SystemExit in those that are still there; say which."""
        return [] if self._pool is None else self._pool.interrupt_interpreters()

    def insist(self) -> None:
        """Raise it at each line that those run which are still there, whatever they catch."""
        if self._pool is not None:
            self._pool.insist_interpreters()

    @staticmethod
    def end_resting(timeout: float | None = None) -> bool:
        """End the interpreters that are kept for the next start; say whether they have ended.

        The time counts from when the last one has ended.
        """
        return end_resting_interpreters(timeout)


def _settings() -> dict[str, Any]:
    """What a worker's interpreter takes over from this one."""
    return {
        "argv": [str(argument) for argument in getattr(sys, "argv", [])],
        "dont_write_bytecode": sys.dont_write_bytecode,
        **changing_settings(),
    }


def changing_settings() -> dict[str, Any]:
    """What it takes over again whenever that changes."""
    return {
        "log_level": _lowest_level(),
        "forward": [
            name
            for name in ("stdout", "stderr")
            if getattr(sys, name) is not getattr(sys, f"__{name}__")
        ],
        "environment": dict(os.environ),
    }


_watching = False


def _watch_once() -> None:
    """Have workers know when one of those has changed."""
    global _watching
    if _watching:
        return
    _watching = True
    environment = getattr(os.environ, "_data", None)
    # Without room for one more who watches, everything stays as it is at the start of the workers.
    with contextlib.suppress(RuntimeError):
        watch_settings(vars(sys), environment if isinstance(environment, dict) else {})
    # Called by `setLevel`; logging has nothing that is meant for this.
    manager: Any = logging.root.manager
    clear = getattr(manager, "_clear_cache", None)
    if clear is not None:

        def clear_and_tell() -> None:
            clear()
            settings_changed()

        manager._clear_cache = clear_and_tell


def _lowest_level() -> int:
    """What a worker need not send on, since no logger here would let it pass."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    levels = [logger.level for logger in loggers if isinstance(logger, logging.Logger)]
    # That of a logger says to ask the next one, up to the root, whose says that everything passes.
    root, *others = levels
    return min([root, *filter(None, others)])


def _import_first() -> None:
    """Import here what cannot be imported first in another interpreter, where it breaks the process."""
    # Those of this package as well, so that no other thread is in the middle of it when this process forks.
    modules = ["boc._answers", "boc._capture", "boc._failure", "boc._mail"]
    if sys.version_info < (3, 14):
        modules += ["_datetime"]
    if sys.version_info < (3, 13):
        modules += ["_asyncio", "_decimal", "_hashlib", "_ssl", "_sqlite3"]
    for module in modules:
        with contextlib.suppress(ImportError):  # not in every build
            importlib.import_module(module)
