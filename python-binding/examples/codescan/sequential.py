"""The scan as one loop: the measure of all others, in time and in result.

The loop has a thread to itself, as have those that it is compared with.  On
free-threaded interpreters the same loop is several percent slower on the main
thread, and nobody should take that for a merit of the others.
"""

from __future__ import annotations

from .loop import Loop, run
from .progress import Watch
from .report import Report, assemble
from .sources import Selection


def scan(selection: Selection, watch: Watch) -> Report:
    loop = Loop(selection.sources)
    run([loop], watch)
    return assemble(loop.results.packages.values(), loop.results.shards, selection.failures)
