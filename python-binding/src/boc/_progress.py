"""How far the workers have come, on the terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TextIO

from boc._boc import Pool

_PERIOD = 0.1
"""How often it is shown, in seconds. What takes less time shows nothing."""

_FOREVER = 1e9

_Show = Callable[[int, int], object]
"""Shows how many are done, of how many."""


def quiesce(pool: Pool, timeout: float | None, before: int) -> None:
    """Wait as the pool does, and show meanwhile how much is done. What ended before is not counted.

    If standard error is no terminal, nothing is shown.
    """
    display = _display(sys.stderr)
    if display is None:
        pool.quiesce(timeout)
        return
    deadline = None if timeout is None or timeout > _FOREVER else time.monotonic() + timeout
    if _waited(pool, deadline):
        return
    with display as show:
        over = False
        while True:
            ended, scheduled = pool.progress()
            show(ended - before, scheduled - before)
            if over:
                return
            over = _waited(pool, deadline)


def _waited(pool: Pool, deadline: float | None) -> bool:
    """Wait for a while; say whether it is over."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= _PERIOD:
        pool.quiesce(left)
        return True
    return pool.quiesced(_PERIOD)


def _display(stream: TextIO | None) -> AbstractContextManager[_Show] | None:
    """What there is to show it with, if it can be shown."""
    try:
        if stream is None or not stream.isatty():
            return None
    except (AttributeError, ValueError):  # no stream, or closed
        return None
    for display, module in (_rich, "rich.progress"), (_tqdm, "tqdm"):
        with contextlib.suppress(ImportError):
            __import__(module)
            return display(stream)
    return _plain(stream)


@contextlib.contextmanager
def _rich(stream: TextIO) -> Iterator[_Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("behaviours"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # Workers follow where streams go, so they stay as they are.
    progress = Progress(
        *columns, console=Console(file=stream), redirect_stdout=False, redirect_stderr=False
    )
    with progress:
        task = progress.add_task("behaviours", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextlib.contextmanager
def _tqdm(stream: TextIO) -> Iterator[_Show]:
    from tqdm import tqdm  # type: ignore[import-untyped,import-not-found,unused-ignore]

    bar: Any
    with tqdm(desc="behaviours", unit="", file=stream) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        yield show


@contextlib.contextmanager
def _plain(stream: TextIO) -> Iterator[_Show]:
    def show(done: int, total: int) -> None:
        stream.write(f"\rbehaviours: {done:,} of {total:,}")
        stream.flush()

    try:
        yield show
    finally:
        stream.write("\n")
        stream.flush()
