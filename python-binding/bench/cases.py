"""What is measured: for each case its lanes, and what a round of them yields."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lanes import Lane, Round, command, peer

EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass
class Column:
    """A quantity of a round, and the unit it is shown in."""

    title: str
    unit: str
    of: Callable[[Round], float]
    best: Callable[[list[float]], float] = min


@dataclass
class Case:
    name: str
    title: str
    columns: list[Column]
    lanes: list[Lane]
    rounds: int


def seconds_each(key: str, scale: float) -> Callable[[Round], float]:
    return lambda numbers: numbers[key] / numbers["count"] * scale


ALL_DONE = Column("until all done", "µs", seconds_each("total_s", 1e6))
SCHEDULED = Column("scheduling alone", "µs", seconds_each("schedule_s", 1e6))
RATE = Column("per second", "", lambda numbers: numbers["count"] / numbers["total_s"], best=max)
EMPTY = Column("scheduling", "ns", seconds_each("schedule_s", 1e9))
DRAINED = Column("then run", "ns", seconds_each("drain_s", 1e9))
WALL = Column("time", "s", lambda numbers: numbers["total_s"])
CPU = Column("processor time", "s", lambda numbers: numbers["cpu_s"])
MEMORY = Column("queued", "bytes", seconds_each("queue_bytes", 1))

PEER_NAMES = ("boc", "bocpy", "executor")
# The executor is given a function that exists in any case.
ONCE = ("boc", "bocpy")


def running(name: str, title: str, count: int, workers: int, rounds: int) -> Case:
    lanes = [peer(label, name, count, workers) for label in PEER_NAMES]
    title = f"{count:,} behaviours {title}, {workers} workers, each"
    return Case(name, title, [ALL_DONE, SCHEDULED, RATE], lanes, rounds)


def scheduling(count: int, workers: int, rounds: int) -> Case:
    at_once = 1_000
    rows = [
        *((f"{name}, no cown", "empty-no-cown") for name in PEER_NAMES),
        *((f"{name}, one cown", "empty-one-cown") for name in PEER_NAMES),
        *((f"{name}, one cown, body defined once", "empty-defined-once") for name in ONCE),
        ("functions, made and kept", "keep"),
    ]
    lanes = [peer(label, case, count, workers, at_once) for label, case in rows]
    title = f"empty behaviours while every worker is held, {at_once:,} queued at once, each"
    return Case("scheduling", title, [EMPTY, DRAINED], lanes, rounds)


def arithmetic(count: int, workers: int, rounds: int) -> Case:
    lanes = [
        peer(f"{p}, {n} worker{'s' * (n > 1)}", "arithmetic", count, n)
        for n in (1, workers)
        for p in PEER_NAMES
    ]
    title = f"{count} CPU-bound behaviours in pure Python, in all"
    return Case("arithmetic", title, [WALL, CPU], lanes, rounds)


def with_examples() -> str:
    given = os.environ.get("PYTHONPATH")
    return f"{EXAMPLES}{os.pathsep}{given}" if given else str(EXAMPLES)


def scan(count: int, workers: int, rounds: int) -> Case:
    ways = {
        f"boc, {workers} workers": "behaviours",
        f"threads, {workers}, files split by hand": "threads",
        "threads, 1": "one",
    }
    lanes = [
        Lane(
            label,
            command("scan.py", way, count, workers),
            {"PYTHONPATH": with_examples()},
        )
        for label, way in ways.items()
    ]
    title = f"the code scan of the examples over {count} files, in all"
    return Case("scan", title, [WALL, CPU], lanes, rounds)


def memory(count: int, workers: int, rounds: int) -> Case:
    rows = [
        *((name, "queue") for name in PEER_NAMES),
        *((f"{name}, body defined once", "queue-defined-once") for name in ONCE),
        ("functions, made and kept", "keep"),
    ]
    lanes = [peer(label, case, count, workers) for label, case in rows]
    title = f"{count:,} behaviours queued on one cown, each"
    return Case("memory", title, [MEMORY, EMPTY, DRAINED], lanes, rounds)


def all_cases(workers: int, rounds: int, quick: bool) -> list[Case]:
    many = 2_000 if quick else 20_000
    return [
        running("one-cown", "on one cown", many, workers, rounds),
        running("pairs", "over two random cowns of 1,000", many, workers, rounds),
        running("independent", "on a cown of their own", many, workers, rounds),
        running(
            "big-list",
            "that append to a list of 100,000 in one cown",
            100 if quick else 200,
            workers,
            rounds,
        ),
        scheduling(many * 5, workers, rounds),
        arithmetic(10 if quick else 40, workers, rounds),
        scan(100 if quick else 400, workers, min(rounds, 5)),
        # The queue is so long that a round says what the next would say.
        memory(100_000 if quick else 1_000_000, workers, 1 if quick else 2),
    ]
