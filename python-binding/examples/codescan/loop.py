"""A plain loop over files, on a thread of its own."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

from .analysis import analyse
from .progress import INTERVAL, Watch
from .sources import Source
from .totals import Results


class Loop(Thread):
    """Scans its files one after another into results that nobody else has."""

    def __init__(self, sources: Sequence[Source]) -> None:
        # A daemon, so that Ctrl-C does not have to wait for it.
        super().__init__(daemon=True)
        self.sources = sources
        self.results = Results()
        self.done = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for source in self.sources:
                self.results.add(analyse(source))
                self.done += 1
        except BaseException as error:
            self.error = error


def run(loops: Sequence[Loop], watch: Watch) -> None:
    """Run all loops to their ends; raises what one of them raised."""
    for loop in loops:
        loop.start()
    for loop in loops:
        while loop.is_alive():
            loop.join(INTERVAL)
            watch(sum(loop.done for loop in loops))
    for loop in loops:
        if loop.error is not None:
            raise loop.error
