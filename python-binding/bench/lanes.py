"""A lane: one peer doing one piece of work, in a process of its own.

bocpy starts sub-interpreters, boc and the executor start threads; none of it
should be in the process of another. So a lane is a command that measures once
and prints one JSON object, and an environment for it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeGuard

PEERS = Path(__file__).parent / "peers"
PROGRAMS = {
    "boc": "behaviours.py",
    "bocpy": "behaviours.py",
    "executor": "executor.py",
    "functions": "functions.py",
}
STARTING = "starting.py"
BESIDE = "beside.py"
LIBRARIES = ("boc", "bocpy")
LIMIT_S = 300
Round = dict[str, float]


class Failed(Exception):
    """Why a lane gave no numbers, in a line."""


@dataclass
class Lane:
    """`absent` tells why it has no numbers, once a round has failed."""

    label: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    about: dict[str, object] = field(default_factory=dict)
    absent: str | None = None
    # Whether it does the same work as the lane of boc above it.
    comparable: bool = True

    def run(self) -> None:
        """Measure once more, unless a round has failed before."""
        if self.absent is not None:
            return
        try:
            answer = ask(self.command, self.environment)
        except Failed as failure:
            self.absent = str(failure)
            return
        self.about.update((key, value) for key, value in answer.items() if not is_number(value))
        self.rounds.append({key: value for key, value in answer.items() if is_number(value)})


def command(program: str, case: str, count: int, workers: int, **options: int) -> list[str]:
    more = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items()]
    return [
        *(sys.executable, str(PEERS / program), case),
        *("--count", str(count), "--workers", str(workers)),
        *chain.from_iterable(more),
    ]


def peer(label: str, case: str, count: int, workers: int, **options: int) -> Lane:
    """The lane of a peer, named by the start of the label, for a case of its program."""
    name = label.split(",")[0]
    program = STARTING if case == "start" else PROGRAMS[name]
    environment = {"BENCH_LIBRARY": name} if name in LIBRARIES else {}
    if case == "start":
        # Both packages as pip leaves them, which is compiled; at the latest after the first round.
        environment["PYTHONDONTWRITEBYTECODE"] = ""
    return Lane(
        label,
        command(program, case, count, workers, **options),
        environment,
        comparable=name != "functions",
    )


def beside(label: str, case: str, count: int, workers: int) -> Lane:
    """The lane of a library, or of Python itself, for what there is beside cowns."""
    name = label.split(",")[0]
    environment = {"BENCH_LIBRARY": name} if name in LIBRARIES else {}
    return Lane(label, command(BESIDE, case, count, workers), environment)


def ask(command: list[str], environment: dict[str, str]) -> dict[str, object]:
    try:
        done = subprocess.run(
            command,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"did not end within {LIMIT_S} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Failed(said[-1] if said else f"ended with code {done.returncode}")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
