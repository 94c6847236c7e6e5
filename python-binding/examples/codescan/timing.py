"""The same scan done in several ways: how long each takes, and what it found."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import NamedTuple

from . import by_hand, sequential
from .progress import Watch, bar
from .reading import Unusable, read_bytes
from .report import Report
from .sources import Selection

Scan = Callable[[Watch], Report]


class Run(NamedTuple):
    """How long one scan took: on the wall, and on all cores together."""

    seconds: float
    cpu_seconds: float


@dataclass
class Way:
    """One way to do the scan, and what came of it."""

    title: str
    workers: int
    scan: Scan
    runs: list[Run] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def best(self) -> Run:
        return min(self.runs)


def ways(selection: Selection, workers: Iterable[int], threads: int | None) -> list[Way]:
    """The ways to compare: sequential, bare threads if asked for, and boc."""
    from . import behaviours

    found = [Way("sequential", 0, partial(sequential.scan, selection))]
    if threads is not None:
        title = f"threads by hand: {threads}"
        found.append(Way(title, threads, partial(by_hand.scan, selection, threads)))
    for count in workers:
        title = f"boc, {count} worker{'s' if count > 1 else ''}"
        found.append(Way(title, count, partial(behaviours.scan, selection, count)))
    return found


def measure(
    selection: Selection, compared: list[Way], rounds: int, collect: bool, shown: bool
) -> None:
    """Run all ways ``rounds`` times, in turn, so that a busy minute hits them all.

    Syntax trees hold no cycles: they go when the last reference goes, and the
    cyclic collector only walks over them in vain, on free-threaded builds with
    all threads stopped.  It therefore rests during each run, of whichever way,
    and runs between two of them; ``collect`` leaves it on.
    """
    _read_once(selection)
    sizes = [source.size for source in selection.sources]
    for number in range(rounds):
        for way in compared:
            title = way.title if rounds == 1 else f"{way.title} ({number + 1}/{rounds})"
            gc.collect()
            if not collect:
                gc.disable()
            try:
                with bar(title, sizes, shown) as watch:
                    began, worked = perf_counter(), process_time()
                    report = way.scan(watch)
                    way.runs.append(Run(perf_counter() - began, process_time() - worked))
            finally:
                gc.enable()
            way.reports.append(report)


def identical(compared: list[Way]) -> bool:
    """Whether all reports of all ways are equal."""
    first = compared[0].reports[0]
    return all(report == first for way in compared for report in way.reports)


def _read_once(selection: Selection) -> None:
    """Let the system cache the files, or the first run would pay for all."""
    for source in selection.sources:
        try:
            read_bytes(source.path)
        except Unusable:
            # Each run reports that for itself.
            continue
