"""Measures boc from Python beside bocpy and a thread pool with locks.

What the cases are and how to read the tables: README.md in this folder.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict

from cases import Case, all_cases
from environment import environment, free_threaded, load
from tables import show_case, show_outcomes
from targets import Outcome, backends_of, outcomes


def main() -> int:
    asked = arguments()
    workers: int = asked.workers
    cases = all_cases(workers, asked.rounds or (2 if asked.quick else 7), asked.quick)
    if asked.only:
        cases = [case for case in cases if case.name in asked.only]
    about = environment()
    about["load_before"] = load()
    print(
        f"Python {about['python']}\n"
        f"{'free-threaded' if free_threaded() else 'with the GIL'}, "
        f"{about['cpu_count']} cores, load {about['load_before']}, {about['packages']}"
    )
    for case in cases:
        measure(case)
        show_case(case)
    about["load_after"] = load()
    verdicts = outcomes(cases, workers)
    about["backends"] = backends_of(cases)
    show_outcomes(verdicts, backends_of(cases))
    print(f"load {about['load_before']} before, {about['load_after']} after")
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(as_json(about, workers, cases, verdicts), file, indent=1)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write all rounds here as well")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    names = [case.name for case in all_cases(1, 1, True)]
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=names,
        help=f"one of {', '.join(names)}; may be repeated",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, help="7, or 2 with --quick")
    return parser.parse_args()


def measure(case: Case) -> None:
    """Run the lanes in turn, A B C A B C, so that all meet the same machine."""
    began = time.monotonic()
    for turn in range(1, case.rounds + 1):
        for lane in case.lanes:
            progress(
                f"{case.name}: round {turn} of {case.rounds}, {lane.label}, "
                f"{time.monotonic() - began:.0f} s"
            )
            lane.run()
    progress("")
    compare_outcomes(case)


def compare_outcomes(case: Case) -> None:
    """Speed does not count where lanes that do the same came to other results."""
    digests = {lane.about["digest"] for lane in case.lanes if "digest" in lane.about}
    if len(digests) > 1:
        for lane in case.lanes:
            lane.absent = lane.absent or "the lanes' results differ"


def progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def as_json(
    about: dict[str, object], workers: int, cases: list[Case], verdicts: list[Outcome]
) -> dict[str, object]:
    return {
        "environment": about,
        "workers": workers,
        "cases": [
            {
                "name": case.name,
                "title": case.title,
                "lanes": [
                    {
                        "label": lane.label,
                        "absent": lane.absent,
                        "about": lane.about,
                        "rounds": lane.rounds,
                    }
                    for lane in case.lanes
                ],
            }
            for case in cases
        ],
        "targets": [asdict(verdict) for verdict in verdicts],
    }


if __name__ == "__main__":
    sys.exit(main())
