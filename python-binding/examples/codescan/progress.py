"""How far a scan has come, drawn by the main thread a few times per second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

# Seconds between two looks: often enough for the eye, too rare to be measured.
INTERVAL = 0.25

# Called with the number of files that are done.
Watch = Callable[[int], None]


def unwatched(done: int) -> None:
    """For runs that nobody looks at."""


@contextmanager
def bar(title: str, sizes: Sequence[int], shown: bool) -> Iterator[Watch]:
    """A progress bar on standard error, which must be a terminal to get one.

    ``sizes`` are those of the files, in their order: as the biggest come
    first, a bar that counts files would crawl and then leap.
    """
    if not (shown and sys.stderr.isatty()):
        yield unwatched
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[files]:>6,}} of {len(sizes):,} files", markup=False),
        TimeElapsedColumn(),
    )
    reached = list(accumulate(sizes, initial=0))
    # Without auto_refresh there is no further thread beside those measured.
    with Progress(
        *columns, console=Console(stderr=True), auto_refresh=False, transient=True
    ) as progress:
        task = progress.add_task(title, total=reached[-1], files=0)

        def watch(done: int) -> None:
            progress.update(task, completed=reached[done], files=done, refresh=True)

        watch(0)
        yield watch
