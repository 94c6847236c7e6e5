"""Runs stages and says how each went; the first failure ends the run."""

import argparse
import time

from setup.messages import SetupError, say

from .stage import Failure, Machine, Skipped, Stage, run
from .table import STAGES


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.list:
        for stage in STAGES:
            print(f"{stage.name:<15} {stage.about}")
        return 0
    stages = [stage for stage in STAGES if not options.stage or stage.name in options.stage]
    results: dict[str, tuple[str, float]] = {}
    failure = None
    machine = Machine()
    for stage in stages:
        print(f"=== {stage.name}: {stage.about}", flush=True)
        started = time.monotonic()
        result, why = "passed", ""
        try:
            run(stage, machine)
        except Skipped as reason:
            result, why = "skipped", f": {reason}"
        except (Failure, SetupError, OSError) as error:
            result, failure = "failed", f"{stage.name} failed: {error}"
        seconds = time.monotonic() - started
        results[stage.name] = (result, seconds)
        if failure:
            break
        print(f"=== {stage.name}: {result} after {seconds:.0f} s{why}\n", flush=True)
    summarise(stages, results)
    if failure:
        say(f"error: {failure}")
        return 1
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    names = [stage.name for stage in STAGES]
    parser = argparse.ArgumentParser(
        prog="scripts/test", description="Runs all stages, or those named, in their order."
    )
    # argparse before 3.14 holds an empty list against `choices`.
    parser.add_argument("stage", nargs="*", help=", ".join(names))
    parser.add_argument("--list", action="store_true", help="say what the stages are")
    options = parser.parse_args(arguments)
    for name in options.stage:
        if name not in names:
            parser.error(f"there is no stage {name!r}; there are {', '.join(names)}")
    return options


def summarise(stages: list[Stage], results: dict[str, tuple[str, float]]) -> None:
    print(f"\n{'stage':<15} {'result':<8} {'seconds':>8}")
    for stage in stages:
        result, seconds = results.get(stage.name, ("not run", 0.0))
        print(f"{stage.name:<15} {result:<8} {seconds:8.1f}")
    print(flush=True)
