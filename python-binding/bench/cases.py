"""What is measured: for each case its lanes, and what a round of them yields."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lanes import LIBRARIES, Lane, Round, beside, command, peer

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
FIRST = Column("until the first result", "ms", seconds_each("total_s", 1e3))
STARTED = Column("start alone", "ms", seconds_each("start_s", 1e3))
STOPPED = Column("then stop", "ms", seconds_each("stop_s", 1e3))
IMPORTED = Column("import before", "ms", seconds_each("import_s", 1e3))
CPU = Column("processor time", "s", lambda numbers: numbers["cpu_s"])
MEMORY = Column("queued", "bytes", seconds_each("queue_bytes", 1))

PEER_NAMES = ("boc", "bocpy", "executor")
# The executor is given a function that exists in any case.
ONCE = LIBRARIES


def running(name: str, title: str, count: int, workers: int, rounds: int) -> Case:
    lanes = [peer(label, name, count, workers) for label in PEER_NAMES]
    title = f"{count:,} behaviours {title}, {workers} workers, each"
    return Case(name, title, [ALL_DONE, SCHEDULED, RATE], lanes, rounds)


def dict_passed(count: int, workers: int, rounds: int) -> Case:
    lanes = [peer(label, "dict-passed", count, workers, passes=1) for label in LIBRARIES]
    title = f"{count:,} behaviours on a dict of 1 MB, which do not read it, {workers} workers, each"
    return Case("dict-passed", title, [ALL_DONE, SCHEDULED, RATE], lanes, rounds)


def dict_changed(count: int, rounds: int) -> Case:
    ways = (("one worker", "dict-changed", 1), ("workers alternate", "dict-alternating", 2))
    lanes = [
        peer(f"{library}, {way}", case, count, workers, passes=1)
        for way, case, workers in ways
        for library in LIBRARIES
    ]
    title = f"{count:,} behaviours that change one key of a dict of 1 MB, each"
    return Case("dict-changed", title, [ALL_DONE, RATE], lanes, rounds)


def buffer(count: int, workers: int, rounds: int) -> Case:
    lanes = [
        peer("boc", "buffer", count, workers),
        peer("bocpy, Matrix", "buffer-matrix", count, workers),
        peer("bocpy, bytearray", "buffer-bytearray", 1, workers, passes=1),
    ]
    title = "64 MB to a behaviour that changes one byte, and back, each"
    return Case("buffer", title, [ALL_DONE], lanes, rounds)


def start(workers: int, rounds: int) -> Case:
    lanes = [peer(label, "start", 1, workers) for label in LIBRARIES]
    title = f"start of {workers} workers in a fresh process"
    return Case("start", title, [FIRST, STARTED, STOPPED, IMPORTED, CPU], lanes, rounds)


def scheduling(count: int, workers: int, rounds: int) -> Case:
    at_once = 1_000
    rows = [
        *((f"{name}, no cown", "empty-no-cown") for name in PEER_NAMES),
        *((f"{name}, one cown", "empty-one-cown") for name in PEER_NAMES),
        *((f"{name}, one cown, body defined once", "empty-defined-once") for name in ONCE),
        ("functions, made and kept", "keep"),
    ]
    lanes = [peer(label, case, count, workers, at_once=at_once) for label, case in rows]
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


def notices(count: int, workers: int, rounds: int) -> Case:
    ways = [
        (f"{library}, {n} worker{'s' * (n > 1)}", n) for n in (1, workers) for library in LIBRARIES
    ]
    lanes = [beside(label, "notices", count, n) for label, n in ways]
    title = f"{count:,} reads of one key of the noticeboard, dealt out to the workers, each"
    return Case("notices", title, [ALL_DONE, RATE], lanes, rounds)


def messages(count: int, rounds: int) -> Case:
    names = (*LIBRARIES, "queue.SimpleQueue")
    ways = (("streaming", count), ("ping-pong", count // 20))
    lanes = [beside(f"{name}, {way}", way, n, 1) for way, n in ways for name in names]
    title = f"{count:,} messages from one thread to another, or {count // 20:,} there and back, each"
    return Case("messages", title, [ALL_DONE, RATE], lanes, rounds)


def awaiting(count: int, rounds: int) -> Case:
    lanes = [beside(name, "awaiting", count, 1) for name in ("boc", "run_in_executor")]
    title = f"{count:,} times an event loop starts something that does nothing, and awaits it, each"
    return Case("awaiting", title, [ALL_DONE, RATE], lanes, rounds)


def tracing(count: int, workers: int, rounds: int) -> Case:
    ways = (("boc, not traced", "untraced"), ("boc, traced", "traced"))
    lanes = [beside(label, case, count, workers) for label, case in ways]
    title = f"{count:,} CPU-bound behaviours of some tens of microseconds, {workers} workers, each"
    return Case("tracing", title, [ALL_DONE, CPU], lanes, rounds)


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
        dict_passed(100 if quick else 1_000, workers, rounds),
        dict_changed(20 if quick else 200, rounds),
        buffer(20 if quick else 200, workers, rounds),
        # A process that does nothing else is soon measured.
        start(2, rounds * 3),
        scheduling(many * 5, workers, rounds),
        arithmetic(10 if quick else 40, workers, rounds),
        notices(many * 20, workers, rounds),
        # As many as one queue holds, if nobody says else.
        messages(1_600 if quick else 16_000, rounds),
        awaiting(many // 2, rounds),
        tracing(many // 2, workers, rounds),
        scan(100 if quick else 400, workers, min(rounds, 5)),
        # The queue is so long that a round says what the next would say.
        memory(100_000 if quick else 1_000_000, workers, 1 if quick else 2),
    ]
