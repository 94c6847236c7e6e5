"""What the project set out to reach, and whether this run reached it.

There are targets for the direct backend on free-threaded builds, and for
sub-interpreters on builds with the GIL. If boc was made to run with another
backend, the numbers stand without a verdict.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from cases import ALL_DONE, CPU, EMPTY, FIRST, MEMORY, WALL, Case, Column
from environment import judged_backend


@dataclass
class Outcome:
    what: str
    wanted: str
    measured: str
    reached: bool | None


def outcomes(cases: list[Case], workers: int) -> list[Outcome]:
    wanted = judged_backend()
    judge = {"direct": direct, "subinterpreters": subinterpreters}[wanted]
    found = list(judge({case.name: case for case in cases}, workers))
    if backends_of(cases) != [wanted]:
        for outcome in found:
            outcome.reached = None
    return found


def backends_of(cases: list[Case]) -> list[str]:
    """Those that boc has run with in these cases; usually one."""
    lanes = (lane for case in cases for lane in case.lanes)
    return sorted({str(lane.about["backend"]) for lane in lanes if "backend" in lane.about})


def beside_cowns(cases: dict[str, Case], workers: int) -> Iterator[Outcome]:
    """On both backends."""
    # With the GIL, threads take turns, as do those of the queue.
    one, all_of_them = "boc, 1 worker", f"boc, {workers} workers"
    yield from faster(cases.get("notices"), ALL_DONE, one, all_of_them, 1.8)
    streaming = ("queue.SimpleQueue, streaming", "boc, streaming")
    free_threaded = judged_backend() == "direct"
    yield from faster(cases.get("messages"), ALL_DONE, *streaming, 2 if free_threaded else None)
    yield from faster(cases.get("awaiting"), ALL_DONE, "run_in_executor", "boc", 1 / 3)
    yield from faster(cases.get("tracing"), CPU, "boc, not traced", "boc, traced", 1 / 1.2)


def subinterpreters(cases: dict[str, Case], workers: int) -> Iterator[Outcome]:
    for name in ("one-cown", "pairs", "independent"):
        yield from faster(cases.get(name), ALL_DONE, "bocpy", "boc", 3)
    yield from faster(cases.get("dict-passed"), ALL_DONE, "bocpy", "boc", 100)
    for way, times in (("workers alternate", 2), ("one worker", 10)):
        changed = cases.get("dict-changed")
        yield from faster(changed, ALL_DONE, f"bocpy, {way}", f"boc, {way}", times)
    yield from under(cases.get("buffer"), ALL_DONE, "boc", 100, or_equal=True)
    # What bocpy makes of the second core says how much of it was to be had.
    for name in ("boc", "bocpy"):
        yield from second_worker(cases.get("arithmetic"), name, workers)
    yield from faster(cases.get("start"), FIRST, "bocpy", "boc", 1)
    yield from beside_cowns(cases, workers)


def second_worker(case: Case | None, name: str, workers: int) -> Iterator[Outcome]:
    one, all_of_them = f"{name}, 1 worker", f"{name}, {workers} workers"
    yield from faster(case, WALL, one, all_of_them, 1.8 if name == "boc" else None)


def direct(cases: dict[str, Case], workers: int) -> Iterator[Outcome]:
    for name in ("one-cown", "pairs", "independent"):
        for other, times in (("bocpy", 5), ("executor", 10)):
            yield from faster(cases.get(name), ALL_DONE, other, "boc", times)
    yield from faster(cases.get("big-list"), ALL_DONE, "bocpy", "boc", 1000)
    for body in ("no cown", "one cown", "one cown, body defined once"):
        yield from under(cases.get("scheduling"), EMPTY, f"boc, {body}", 600)
    # What the executor's threads make of the second core says how much of it was to be had.
    for name in ("boc", "executor"):
        yield from second_worker(cases.get("arithmetic"), name, workers)
    yield from faster(
        cases.get("scan"),
        WALL,
        f"threads, {workers}, files split by hand",
        f"boc, {workers} workers",
        1,
    )
    yield from under(cases.get("memory"), MEMORY, "boc", 700, or_equal=True)
    yield from beside_cowns(cases, workers)


def faster(
    case: Case | None, column: Column, other: str, ours: str, times: float | None
) -> Iterator[Outcome]:
    """`ours` should be at least so many times as fast as `other`; `None` just compares."""
    if case is None:
        return
    what = f"{case.name}: {ours} against {other}"
    if times is None:
        wanted = ""
    elif times == 1:
        wanted = "at least as fast"
    else:
        wanted = f"at least {times:,.3g} times as fast"
    slow, fast = values(case, column, other), values(case, column, ours)
    if not slow or not fast:
        yield Outcome(what, wanted, "not measured", None)
    else:
        # Round by round: what the machine does lasts longer than a round, and so
        # is the same for both.
        ratios = [theirs / mine for theirs, mine in zip(slow, fast, strict=True)]
        ratio = median(ratios)
        best = min(slow) / min(fast)
        least, most = min(ratios), max(ratios)
        measured = f"{ratio:,.2f} times ({least:,.2f} to {most:,.2f}), by the best rounds {best:,.2f}"
        yield Outcome(what, wanted, measured, None if times is None else ratio >= times)


def under(
    case: Case | None, column: Column, lane: str, limit: float, or_equal: bool = False
) -> Iterator[Outcome]:
    if case is None:
        return
    what = f"{case.name}: {lane}"
    wanted = f"{'at most' if or_equal else 'less than'} {limit} {column.unit}"
    found = values(case, column, lane)
    if not found:
        yield Outcome(what, wanted, "not measured", None)
    else:
        value = median(found)
        reached = value <= limit if or_equal else value < limit
        measured = f"{value:,.0f} {column.unit}, the best round {min(found):,.0f}"
        yield Outcome(what, wanted, measured, reached)


def values(case: Case, column: Column, label: str) -> list[float]:
    return [
        column.of(numbers)
        for lane in case.lanes
        if lane.label == label and lane.absent is None
        for numbers in lane.rounds
    ]
