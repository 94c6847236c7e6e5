"""What the programs of all peers share: arguments, clocks, the answer.

A program measures one case once and prints one JSON object. A case prepares
`Work`: a function that schedules everything, and one that tells, when all is
done, whether the outcome is right. Numbers of a wrong outcome are not printed.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Mapping
from time import perf_counter, process_time
from typing import Any

from resident import resident

Work = tuple[Callable[[], None], Callable[[], bool]]
Prepare = Callable[[int], Work]
Numbers = dict[str, float]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--at-once", type=int, help="queued at once; all, if not said")
    parser.add_argument("--passes", type=int, default=5, help="so often in this process")
    asked = parser.parse_args()
    asked.at_once = asked.at_once or asked.count
    return asked


def timed(prepare: Prepare, count: int, finish: Callable[[], None], passes: int) -> Numbers:
    """Schedule while the workers run; `finish` returns when all is done.

    The median of the passes, of which the first ones still fetch memory from the system.
    """
    schedule, right = prepare(max(1, count // 20))
    schedule()
    finish()
    insist(right())
    measured = sorted(
        (timed_pass(prepare, count, finish) for _ in range(passes)),
        key=lambda numbers: numbers["total_s"],
    )
    return measured[passes // 2]


def timed_pass(prepare: Prepare, count: int, finish: Callable[[], None]) -> Numbers:
    schedule, right = prepare(count)
    gc.collect()
    cpu = process_time()
    began = perf_counter()
    schedule()
    scheduled = perf_counter()
    finish()
    done = perf_counter()
    cpu = process_time() - cpu
    insist(right())
    return {"schedule_s": scheduled - began, "total_s": done - began, "cpu_s": cpu}


def queued(
    prepare: Prepare,
    count: int,
    at_once: int,
    hold: Callable[[], Callable[[], None]],
    finish: Callable[[], None],
) -> Numbers:
    """Schedule while every worker is held, so that nothing runs meanwhile.

    The workers are let go each time that `at_once` behaviours are queued.
    """
    schedule_s = drain_s = 0.0
    queue_bytes = 0
    bursts = count // at_once
    for burst in range(-max(1, bursts // 20), bursts):
        warming_up = burst < 0
        schedule, right = prepare(max(1, at_once // 20) if bursts == 1 and warming_up else at_once)
        release = hold()
        if bursts == 1:
            gc.collect()
        before = resident()
        began = perf_counter()
        schedule()
        scheduled = perf_counter()
        grown = resident() - before
        released = perf_counter()
        release()
        finish()
        done = perf_counter()
        insist(right())
        if not warming_up:
            schedule_s += scheduled - began
            drain_s += done - released
            queue_bytes += grown
    return {"schedule_s": schedule_s, "drain_s": drain_s, "queue_bytes": queue_bytes}


def insist(right: bool) -> None:
    if not right:
        sys.exit("the work came out wrong")


def backend_of(library: Any) -> dict[str, str]:
    """How the library runs behaviours, if it has a choice."""
    return {"backend": library.backend()} if hasattr(library, "backend") else {}


def report(count: int, numbers: Numbers, about: Mapping[str, object]) -> None:
    # Asked at the end: an extension that was imported meanwhile may have
    # turned the GIL on.
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(json.dumps({"count": count, **numbers, "gil": gil, **about}), flush=True)
