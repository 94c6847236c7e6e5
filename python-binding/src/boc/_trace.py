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

        with boc.trace("out.json"):
            for part in parts:
                when(part)(work)
            boc.wait()

    Each worker is a track, on which behaviours are slices with their names; an arrow goes from where a behaviour was
    scheduled to where it runs. The arguments of a slice say how long it waited for each of its cowns, and then for a
    worker. What runs at the end of the block is marked as unfinished: the block waits for nothing.

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
        self._open = _observation.begin_trace(self._path, program, about), os.getpid()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        assert self._open is not None, "the block was entered"
        (written, process), self._open = self._open, None
        if process != os.getpid():
            return
        try:
            _finish(written, self._path)
        except OSError as error:
            if exc_value is None:
                raise
            _log.warning("a trace could not be written: %s", error)


def _finish(written: Trace, path: str) -> None:
    _observation.end_trace(written)
    _, lost = written.finish()
    if lost:
        _log.warning("more happened than could be written: %s lacks %d events", path, lost)


def end() -> None:
    """The program ends inside of a block."""
    written = _observation.open_trace()
    if written is None:
        return
    try:
        _finish(written, "a trace")
    except OSError as error:
        _log.warning("a trace could not be written: %s", error)
