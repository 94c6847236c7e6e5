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

from typing import TYPE_CHECKING

from boc._alias_warning import AliasWarning
from boc._behaviors import Behaviors
from boc._boc import (
    IN_WORKER,
    TIMEOUT,
    Buffer,
    Cown,
    PinnedCown,
    atomic,
    drain,
    notice_delete,
    notice_read,
    notice_seed,
    notice_update,
    notice_write,
    noticeboard,
    read,
    receive,
    send,
    set_tags,
    when,
    whencall,
)
from boc._include import get_include, get_sources
from boc._removed import REMOVED
from boc._waiting import PumpResult, WaitResult

if TYPE_CHECKING or not IN_WORKER:
    from boc._boc import _C_API as _C_API
    from boc._pinned import pump, pumping, set_pump_watchdog, set_wait_pump_poll
    from boc._report import report, report_text
    from boc._runtime import WORKER_COUNT, backend, quiesce, start, stats, wait
    from boc._scope import scope
    from boc._stalls import set_stall_warning
    from boc._trace import trace
else:
    import sys

    from boc import _inside
    from boc._inside import (
        WORKER_COUNT,
        backend,
        pump,
        pumping,
        quiesce,
        report,
        report_text,
        scope,
        set_pump_watchdog,
        set_stall_warning,
        set_wait_pump_poll,
        start,
        stats,
        trace,
        wait,
    )

    # Functions of the main interpreter are sent by their names.
    sys.modules.update(
        (f"boc.{module}", _inside)
        for module in ("_pinned", "_report", "_runtime", "_scope", "_stalls", "_trace")
    )

__version__: str


def __getattr__(name: str) -> str:
    # Found out when somebody asks, as that takes longer than all else here.
    if name != "__version__":
        raise AttributeError(f"module 'boc' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("boc")
    except PackageNotFoundError:  # a source tree that was never installed
        found = "0.0.0+unknown"
    globals()["__version__"] = found
    return found


__all__ = [
    "REMOVED",
    "TIMEOUT",
    "WORKER_COUNT",
    "AliasWarning",
    "Behaviors",
    "Buffer",
    "Cown",
    "PinnedCown",
    "PumpResult",
    "WaitResult",
    "__version__",
    "atomic",
    "backend",
    "drain",
    "get_include",
    "get_sources",
    "notice_delete",
    "notice_read",
    "notice_seed",
    "notice_update",
    "notice_write",
    "noticeboard",
    "pump",
    "pumping",
    "quiesce",
    "read",
    "receive",
    "report",
    "report_text",
    "scope",
    "send",
    "set_pump_watchdog",
    "set_stall_warning",
    "set_tags",
    "set_wait_pump_poll",
    "start",
    "stats",
    "trace",
    "wait",
    "when",
    "whencall",
]
