"""Whether type checkers find the mistakes in `behaviours.py`, all of them, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = HERE / "behaviours.py"
SOURCES = HERE.parents[1] / "src"


def found_by_mypy() -> set[int]:
    command = ["mypy", "--strict", "--no-incremental", "--output=json", str(FILE)]
    answers = map(json.loads, run(command).splitlines())
    return {answer["line"] for answer in answers if answer["severity"] == "error"}


def found_by_pyright() -> set[int]:
    command = ["basedpyright", "--level=error", "--outputjson", "--pythonpath", sys.executable, str(FILE)]
    answers = json.loads(run(command))["generalDiagnostics"]
    return {answer["range"]["start"]["line"] + 1 for answer in answers}


def run(command: list[str]) -> str:
    environment = {**os.environ, "MYPYPATH": str(SOURCES), "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, env=environment, cwd=HERE
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed: {done.stderr or done.stdout}")
    return done.stdout


def main() -> None:
    lines = FILE.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    for name, found in ("mypy", found_by_mypy()), ("pyright", found_by_pyright()):
        print(f"{name} finds {len(found & wrong)} of {len(wrong)} mistakes")
        for number in sorted(wrong - found):
            print(f"{FILE}:{number}: {name} does not find this mistake")
        for number in sorted(found - wrong):
            print(f"{FILE}:{number}: {name} is wrong about this line")
        if found != wrong:
            sys.exit(1)


if __name__ == "__main__":
    main()
