"""Writing down what the workers do."""

from __future__ import annotations

import logging
import os
import platform
import sys
from types import TracebackType

from boc import _observation
from boc._boc import Trace

_log = logging.getLogger("boc")


class trace:
    """Writes what happens while its block runs to a file that Perfetto (https://ui.perfetto.dev) shows.

    ::

        import boc

        with boc.trace("out.json"):
            for number in range(10):
                boc.when(boc.Cown(number))(lambda cown: sum(range(cown.value * 1000)))
            boc.wait()

    Each worker is a track, and so is the main thread if it runs behaviours over a :class:`PinnedCown`. Behaviours are
    slices there with their names; an arrow goes from where a behaviour was scheduled to where it runs. The arguments of
    a slice say how long it waited for each of its cowns, and then for a worker, or for the main thread to pump. What
    runs at the end of the block is marked as unfinished: the block waits for nothing.

    The file is written while the program goes on, by a thread of its own. What was scheduled before the block is
    in it only if it was observed; see :func:`report`. If so much happens that the thread cannot follow, some of it is
    lost, and a warning says how much. A child process by fork writes nothing.

    :param path: Where; what is there is overwritten.
    :raises OSError: At the beginning or the end of the block, if the file cannot be written. If the block itself
        raises, it is logged at the end.
    :raises RuntimeError: At the beginning of the block if another trace is being written.
    """

    def __init__(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        self._path = os.fsdecode(path)
        self._open: tuple[Trace, int] | None = None

    def __enter__(self) -> trace:
        words = " ".join(["python", *map(str, getattr(sys, "argv", []))])
        program = words.encode("utf-8", "replace").decode()
        about = {"python": platform.python_version()}
        global _entered
        self._open = _observation.begin_trace(self._path, program, about), os.getpid()
        _entered = self
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._open is None:
            return  # the program has ended inside of the block
        try:
            self._finish()
        except OSError as error:
            if exc_value is None:
                raise
            _log_failure(error)

    def _finish(self) -> None:
        global _entered
        (written, process), self._open = self._open or (None, 0), None
        if written is None or process != os.getpid():
            return
        _entered = None
        _observation.end_trace(written)
        _, lost = written.finish()
        if lost:
            _log.warning("more happened than could be written: %s lacks %d events", self._path, lost)


_entered: trace | None = None
"""The one whose block is running, in this process or, behind a fork, its parent."""


def _log_failure(error: OSError) -> None:
    _log.warning("a trace could not be written: %s", error)


def end() -> None:
    """The program ends, maybe inside of a block."""
    if _entered is None:
        return
    try:
        _entered._finish()
    except OSError as error:
        _log_failure(error)
