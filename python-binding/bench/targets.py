"""What the project set out to reach, and whether this run reached it.

The targets are for free-threaded builds. Elsewhere the same numbers are shown
without a verdict.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from cases import ALL_DONE, EMPTY, MEMORY, WALL, Case, Column
from environment import free_threaded


@dataclass
class Outcome:
    what: str
    wanted: str
    measured: str
    reached: bool | None


def outcomes(cases: list[Case], workers: int) -> list[Outcome]:
    found = list(judged({case.name: case for case in cases}, workers))
    if not free_threaded():
        for outcome in found:
            outcome.reached = None
    return found


def judged(cases: dict[str, Case], workers: int) -> Iterator[Outcome]:
    for name in ("one-cown", "pairs", "independent"):
        for other, times in (("bocpy", 5), ("executor", 10)):
            yield from faster(cases.get(name), ALL_DONE, other, "boc", times)
    yield from faster(cases.get("big-list"), ALL_DONE, "bocpy", "boc", 1000)
    for body in ("no cown", "one cown", "one cown, body defined once"):
        yield from under(cases.get("scheduling"), EMPTY, f"boc, {body}", 600)
    # What the executor's threads make of the second core says how much of it was to be had.
    arithmetic = cases.get("arithmetic")
    for name in ("boc", "executor"):
        yield from faster(
            arithmetic,
            WALL,
            f"{name}, 1 worker",
            f"{name}, {workers} workers",
            1.8 if name == "boc" else None,
        )
    yield from faster(
        cases.get("scan"),
        WALL,
        f"threads, {workers}, files split by hand",
        f"boc, {workers} workers",
        1,
    )
    yield from under(cases.get("memory"), MEMORY, "boc", 700, or_equal=True)


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
        wanted = f"at least {times:,} times as fast"
    slow, fast = values(case, column, other), values(case, column, ours)
    if not slow or not fast:
        yield Outcome(what, wanted, "not measured", None)
    else:
        # Round by round: what the machine does lasts longer than a round, and so
        # is the same for both.
        ratio = median(theirs / mine for theirs, mine in zip(slow, fast, strict=True))
        best = min(slow) / min(fast)
        measured = f"{ratio:,.2f} times, by the best rounds {best:,.2f}"
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
