"""What a stage is: commands that run one after the other, and must all succeed."""

import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from setup.command import clean_environment, stop
from setup.environment import Environment
from setup.places import REPOSITORY
from setup.pythons import oldest, ready


@dataclass(frozen=True)
class Command:
    """A program to run, with what it needs besides our own environment."""

    words: tuple[str | Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = REPOSITORY


def cargo(*words: str | Path, **environment: str) -> Command:
    return Command(("cargo", *words), environment)


class Machine:
    """What stages may ask for; made ready when the first one does."""

    @cached_property
    def pythons(self) -> dict[str, Environment]:
        """The environments by backend, with boc installed."""
        return ready()

    @cached_property
    def bare_pythons(self) -> dict[str, Environment]:
        """The same, without building boc, for what only compiles against them."""
        return ready(with_boc=False)

    @cached_property
    def oldest_python(self) -> Environment | None:
        """The oldest version that has sub-interpreters, with boc installed, if `pythons` lacks it."""
        return oldest()

    @cached_property
    def triple(self) -> str:
        """The name of the platform that the compiler builds for by default."""
        answer = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True)
        return next(
            line.removeprefix("host: ")
            for line in answer.stdout.splitlines()
            if line.startswith("host: ")
        )


@dataclass(frozen=True)
class Stage:
    name: str
    about: str
    commands: Callable[[Machine], Iterable[Command]]
    # A hang must become a failure, on the slowest machine that is still of use.
    limit_minutes: int = 20


class Failure(Exception):
    """What in a stage did not succeed, and how it ended."""


class Skipped(Exception):
    """Why a stage cannot be run on this machine, and need not be."""


def run(stage: Stage, machine: Machine) -> None:
    """Runs a stage; raises Failure, or Skipped."""
    for command in stage.commands(machine):
        print("+", shown(command), flush=True)
        status = execute(command, stage.limit_minutes * 60)
        if status is None:
            raise Failure(f"did not end within {stage.limit_minutes} minutes: {shown(command)}")
        if status < 0:
            raise Failure(f"killed by {signal.Signals(-status).name}: {shown(command)}")
        if status > 0:
            raise Failure(f"status {status}: {shown(command)}")


def execute(command: Command, seconds: float) -> int | None:
    """The command's status, or None when it took too long and was killed."""
    process = subprocess.Popen(
        [str(word) for word in command.words],
        stdin=subprocess.DEVNULL,
        cwd=command.folder,
        env=clean_environment(command.environment),
        text=True,
        # A group of its own, so that what it has started ends with it.
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            stop(process)


def shown(command: Command) -> str:
    """The command as one could type it in a shell."""
    settings = [f"{key}='{value}'" for key, value in command.environment.items()]
    words = [str(word).replace(f"{REPOSITORY}/", "") for word in command.words]
    inside = [] if command.folder == REPOSITORY else [f"cd {command.folder.name} &&"]
    return " ".join([*inside, *settings, *words])
