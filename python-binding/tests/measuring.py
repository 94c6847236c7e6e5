"""How much memory is in use, for tests that look for leaks."""

from __future__ import annotations

import gc
from collections.abc import Callable


def resident() -> int:
    """Kilobytes of memory that this process uses."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def growth(rounds: Callable[[int], None], before: int, count: int) -> int:
    """How many bytes more Python has allocated after so many rounds, behind some to get used to it."""
    import tracemalloc  # here, for some versions cannot load it in the interpreters of workers

    tracemalloc.start()
    try:
        rounds(before)
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        rounds(count)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
