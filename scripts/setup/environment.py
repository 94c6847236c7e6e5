"""The virtual environments, one for each interpreter, and what is installed there."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from .command import run_logged
from .interpreter import Interpreter
from .messages import say
from .pip import install_pip
from .places import PACKAGE, VENVS

REQUIREMENTS = {
    "direct": [PACKAGE / "requirements-dev.txt", PACKAGE / "requirements-examples.txt"],
    "subinterpreters": [
        PACKAGE / "requirements-dev.txt",
        PACKAGE / "requirements-types.txt",
        PACKAGE / "requirements-capi.txt",
        PACKAGE / "requirements-docs.txt",
    ],
    "oldest": [PACKAGE / "requirements-dev.txt"],
}
"""By the name of the environment."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment that exists and is made from `interpreter`."""

    interpreter: Interpreter
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def python(self) -> Path:
        return program(self.folder, "python")

    @property
    def log(self) -> Path:
        return VENVS / "logs" / f"{self.name}.log"

    def program(self, name: str) -> Path:
        """A console script that a requirement has installed."""
        return program(self.folder, name)

    def pip(self, *arguments: str | Path) -> None:
        """`pip install` with these arguments; raises SetupError."""
        run_logged(
            [self.python, "-m", "pip", "install", *arguments],
            self.log,
            environment={"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"},
        )

    def noted(self, subject: str) -> str:
        """What was noted last about a subject, or nothing."""
        try:
            return (self.folder / f"boc-{subject}.stamp").read_text()
        except OSError:
            return ""

    def note(self, subject: str, text: str) -> None:
        (self.folder / f"boc-{subject}.stamp").write_text(text)


def program(folder: Path, name: str) -> Path:
    if os.name == "nt":
        return folder / "Scripts" / f"{name}.exe"
    return folder / "bin" / name


def prepare(interpreter: Interpreter, name: str) -> Environment:
    """The environment of this name, made or mended where that is needed."""
    environment = Environment(interpreter, VENVS / name)
    identity = identify(interpreter)
    if environment.noted("interpreter") != identity or not environment.python.exists():
        create(environment)
        environment.note("interpreter", identity)
    require(environment)
    return environment


def identify(interpreter: Interpreter) -> str:
    return json.dumps(
        {
            "executable": str(interpreter.executable),
            "version": interpreter.version,
            "modified": interpreter.executable.stat().st_mtime_ns,
        }
    )


def create(environment: Environment) -> None:
    say(f"making {environment.folder} for {environment.interpreter}")
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.log.unlink(missing_ok=True)
    # Without pip, because Debian keeps ensurepip in a package of its own.
    python = environment.interpreter.executable
    run_logged(
        [python, "-I", "-m", "venv", "--without-pip", environment.folder], environment.log
    )
    install_pip(environment.interpreter, environment.python, environment.log)


def require(environment: Environment) -> None:
    """Installs what development takes, when that has changed."""
    files = REQUIREMENTS[environment.name]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if environment.noted("requirements") == wanted:
        return
    say(f"installing {', '.join(file.name for file in files)} into {environment.folder}")
    environment.pip(*(part for file in files for part in ("--requirement", file)))
    environment.note("requirements", wanted)
