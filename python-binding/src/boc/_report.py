"""Who waits for whom, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from boc import _observation
from boc._boc import Pool

_LIMIT = 20
"""So many behaviours that wait are told one by one."""


def report(file: TextIO | None = None) -> None:
    """Print which behaviours run and since when, which cowns they hold, and which wait for these.

    Behaviours are known by name if they are *observed*, that is if they were scheduled after
    ``start(observe=True)``, with ``BOC_OBSERVE=1`` in the environment, after :func:`set_stall_warning`, or in a
    block of :class:`trace`. Cowns are shown as ``repr`` shows them. Those over a :class:`PinnedCown` wait for the main
    thread to pump where others wait for a worker.

    It can be called on any thread, also inside of a behaviour where the workers are threads.

    :param file: Where to print; ``sys.stdout`` by default.
    """
    print(report_text(), file=file)


def report_text() -> str:
    """What :func:`report` prints, as text of several lines."""
    pool, backend = _observation.current()
    if pool is None:
        return "boc: no workers; the first behaviour starts them, or start()"
    return "\n".join(_lines(pool, backend))


def _lines(pool: Pool, backend: str) -> Iterator[str]:
    told: dict[str, Any] = pool.report(_LIMIT)
    workers = _count(told["workers"], "worker")
    if told["in_flight"] == 0 and told["known"] == 0:
        yield f"boc: {workers} ({backend}); nothing runs, and nothing waits"
        return
    left = _count(max(told["in_flight"], told["known"]), "behaviour")
    yield f"boc: {workers} ({backend}); {left} not ended"
    for one in told["running"]:
        yield from _running(one)
    yield from _waiting(told)
    unknown = told["in_flight"] - told["known"]
    if unknown > 0:
        yield from _unknown(unknown, told["observed"], pool)


def _running(one: dict[str, Any]) -> Iterator[str]:
    where = "in the main thread, which pumps" if one["worker"] is None else f"on worker {one['worker']}"
    yield f"{_full(one['name'])}: running for {_span(one['seconds'])}, {where}"
    for cown in one["holds"]:
        yield f"    holds {_cown(cown)}"
    for name, seconds in one["waiting"]:
        yield f"    in the way of {_short(name)}, which has been waiting for {_span(seconds)}"
    yield from _more(one["waiting_count"] - len(one["waiting"]), "    in the way of")


def _waiting(told: dict[str, Any]) -> Iterator[str]:
    for one in told["ready"]:
        yield f"{_full(one['name'])}: waiting for a worker for {_span(one['seconds'])}"
    yield from _more(told["ready_count"] - len(told["ready"]), "waiting for a worker:")
    for one in told["pinned"]:
        yield f"{_full(one['name'])}: waiting for {_span(one['seconds'])} for the main thread to pump"
        for cown in one["holds"]:
            yield f"    holds {_cown(cown)}"
    yield from _more(told["pinned_count"] - len(told["pinned"]), "waiting for the main thread to pump:")
    for one in told["waiting"]:
        yield f"{_full(one['name'])}: waiting for {_span(one['seconds'])}"
        for cown, before, count in one["waits_for"]:
            yield f"    for {_cown(cown)}{_before(cown, before, count)}"
        for cown in one["holds"]:
            yield f"    holds {_cown(cown)}"
    yield from _more(told["waiting_count"] - len(told["waiting"]), "waiting for cowns:")


def _before(cown: dict[str, Any], names: list[dict[str, Any]], count: int) -> str:
    if count == 0:
        return ", which somebody holds who is not observed, such as a thread by acquire()"
    if cown["result_of"] is not None and cown["result_of"] == names[0]:
        names, count = names[1:], count - 1
        return "" if count == 0 else f", behind {count} more"
    behind = f", behind {_short(names[0])}"
    return behind if count == 1 else f"{behind} and {count - 1} more"


def _unknown(count: int, observed: bool, pool: Pool) -> Iterator[str]:
    if observed:
        yield f"{_count(count, 'behaviour')} not known by name, scheduled before the workers were observed"
        return
    yield f"{_count(count, 'behaviour')} not known by name: call start(observe=True), or set BOC_OBSERVE=1, to see more"
    for worker in pool.stats():
        yield f"    worker {worker['worker_index']} has run {_count(worker['run'], 'behaviour')}"


def _more(count: int, where: str) -> Iterator[str]:
    if count > 0:
        yield f"{where} {count} more"


def _full(name: dict[str, Any]) -> str:
    return f"#{name['number']} {name['label']}"


def _short(name: dict[str, Any]) -> str:
    """Without where the function is."""
    return f"#{name['number']} {name['label'].partition(' (')[0]}"


def _cown(cown: dict[str, Any]) -> str:
    """As `repr` shows it."""
    result = cown["result_of"]
    if result is None:
        return f"<boc.Cown at {cown['address']:#x}>"
    return f"<boc.Cown pending result at {cown['address']:#x}> of {_short(result)}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _span(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
