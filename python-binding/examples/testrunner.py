"""A parallel test runner: the tests of `unittest` in behaviours.

Classes of tests run in parallel, the tests of one class one after the other,
so that `setUpClass` works as ever.  Each class is a behaviour that shares
nothing; when it has ended, a second one adds what came out to a report, which
is in a cown.  Nothing is printed by two at a time, since that happens there,
too.

Where workers have interpreters of their own, each of them imports the modules
that it runs tests of, so tests cannot disturb each other by their globals.

    python testrunner.py                    the tests in examples/suite
    python testrunner.py FOLDER --pattern 'test_*.py'
"""

import argparse
import os
import sys
import unittest
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from traceback import format_exception
from typing import Any

import boc
from boc import Cown, when

SIGNS = {"passed": ".", "failed": "F", "broken": "E", "skipped": "s", "expected": "x", "surprise": "u"}
BAD = "failed", "broken", "surprise"


@dataclass
class Outcome:
    """How one test has ended; plain data, which can go from one interpreter to another."""

    test: str
    kind: str
    text: str = ""


@dataclass
class Report:
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, outcomes: list[Outcome], seconds: float) -> None:
        self.outcomes += outcomes
        self.seconds += seconds
        sys.stdout.write("".join(SIGNS[outcome.kind] for outcome in outcomes))
        sys.stdout.flush()


def told(error: Any) -> str:
    """An exception with its traceback, without the frames of `unittest` around it."""
    kind, value, traceback = error
    while traceback is not None and "__unittest" in traceback.tb_frame.f_globals:
        traceback = traceback.tb_next
    return "".join(format_exception(kind, value, traceback))


class Recorder(unittest.TestResult):
    """Notes how each test has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []

    def note(self, test: unittest.TestCase, kind: str, text: str = "") -> None:
        self.outcomes.append(Outcome(test.id(), kind, text))

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.note(test, "passed")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note(test, "failed", told(err))

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self.note(test, "broken", told(err))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.note(subtest, "failed", told(err))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note(test, "expected")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.note(test, "surprise", "it was expected to fail\n")


def run_class(names: list[str], report: Cown[Report]) -> None:
    """Run tests of one class, in a behaviour, and add what comes out to the report."""

    @when()
    def ran() -> tuple[list[Outcome], float]:
        recorder, began = Recorder(), perf_counter()
        unittest.defaultTestLoader.loadTestsFromNames(names).run(recorder)
        return recorder.outcomes, perf_counter() - began

    @when(report, ran)
    def _(report: Cown[Report], ran: Cown[tuple[list[Outcome], float]]) -> None:
        try:
            report.value.add(*ran.result())
        except BaseException as error:  # whatever has ended the body
            failed = [Outcome(name, "broken", f"{type(error).__name__}: {error}\n") for name in names]
            report.value.add(failed, 0.0)


def discover(folder: Path, pattern: str) -> Iterator[list[str]]:
    """The names of the tests in a folder, those of each class together."""
    classes: dict[type, list[str]] = {}
    left: list[unittest.TestSuite | unittest.TestCase]
    left = [unittest.defaultTestLoader.discover(str(folder), pattern)]
    while left:
        part = left.pop()
        if isinstance(part, unittest.TestSuite):
            left.extend(reversed(list(part)))
        elif not part.id().startswith("unittest.loader."):  # stands for a module that cannot be imported
            classes.setdefault(type(part), []).append(part.id())
    yield from classes.values()


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers)
    began = perf_counter()
    classes = list(discover(options.folder, options.pattern))
    errors = [
        Outcome("import", "broken", str(text)) for text in unittest.defaultTestLoader.errors
    ]
    report = Cown(Report(errors))
    for _ in range(options.repeat):
        for names in classes:
            run_class(names, report)
    boc.wait()
    seconds = perf_counter() - began

    done = report.unwrap()
    print()
    bad = [outcome for outcome in done.outcomes if outcome.kind in BAD]
    for outcome in bad:
        print(f"\n{outcome.kind}: {outcome.test}\n{outcome.text}", end="")
    counts = Counter(outcome.kind for outcome in done.outcomes)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{told or 'no tests'} in {len(classes)} classes")
    print(f"{seconds:.2f} s, for {done.seconds:.2f} s of tests, {options.workers} workers")
    tests = {outcome.test.partition(" (")[0] for outcome in done.outcomes}
    missing = {name for names in classes for name in names} - tests
    if missing and not bad:
        print(f"WRONG: not heard of {', '.join(sorted(missing))}")
    return 0 if counts and not bad and not missing else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs unittest's tests in parallel.")
    suite = Path(__file__).resolve().parent / "suite"
    parser.add_argument("folder", type=Path, nargs="?", default=suite, help="(%(default)s)")
    parser.add_argument("--pattern", default="test*.py", help="of files (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="each class so often (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"no folder: {options.folder}")
    if options.repeat < 1 or options.workers < 1:
        parser.error("needs at least 1 round and 1 worker")
    return options


if __name__ == "__main__":
    sys.exit(main())
