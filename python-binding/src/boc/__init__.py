"""Behaviour-oriented concurrency: all cores, shared state, no locks.

A :class:`Cown` (concurrently owned) holds data. A *behaviour* is a function together with the cowns
it needs, scheduled by the decorator :func:`when`. It runs once, on some worker, when it holds all
of them at the same time::

    from boc import Cown, wait, when

    alice, bob = Cown(100), Cown(0)

    @when(alice, bob)
    def transfer(alice, bob):
        alice.value -= 30
        bob.value += 30

    wait()

The name of the function becomes a cown for its result; ``transfer.result()`` waits for it.

There are no locks to take, so there is nothing to forget and nothing to deadlock; behaviours that
share a cown run in the order in which they were scheduled.
"""

from importlib.metadata import PackageNotFoundError, version

from boc._boc import _C_API as _C_API
from boc._boc import Cown, when, whencall
from boc._include import get_include, get_sources
from boc._runtime import WORKER_COUNT, backend, quiesce, start, stats, wait

try:
    __version__: str = version("boc")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+unknown"

__all__ = [
    "WORKER_COUNT",
    "Cown",
    "__version__",
    "backend",
    "get_include",
    "get_sources",
    "quiesce",
    "start",
    "stats",
    "wait",
    "when",
    "whencall",
]
