"""The scan with bare threads: the files are dealt out before they start.

Nothing is shared while the threads run, each fills results of its own, so
there is nothing to lock.  The price is paid elsewhere: who is given the easier
files ends early, and the partial results have to be merged afterwards.
"""

from __future__ import annotations

from .loop import Loop, run
from .progress import Watch
from .report import Report, assemble
from .sources import Selection


def scan(selection: Selection, threads: int, watch: Watch) -> Report:
    # The files come by size, so dealing them like cards gives equal hands.
    loops = [Loop(selection.sources[first::threads]) for first in range(threads)]
    run(loops, watch)
    results = loops[0].results
    for loop in loops[1:]:
        results.merge(loop.results)
    return assemble(results.packages.values(), results.shards, selection.failures)
