"""Building boc from this clone and installing it, as a user's wheel would be."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from .command import run_logged
from .environment import Environment
from .interpreter import Interpreter
from .messages import SetupError
from .places import PACKAGE, REPOSITORY, TARGET
from .progress import Progress

SOURCES = (
    "Cargo.toml",
    "Cargo.lock",
    "crates",
    "include",
    "python-binding/pyproject.toml",
    "python-binding/README.md",
    "python-binding/src",
)
# No wheel holds them.
NOT_IN_WHEEL = {"tests", "benches", "examples", "__pycache__", "target"}

# How many crates there are to compile, more or less.
CRATES = 30


def check_tools() -> None:
    """Raises SetupError early, before minutes go into interpreters."""
    if shutil.which("cargo") is None:
        raise SetupError("`cargo` was not found; install Rust (rustup gives it)")


def install(environment: Environment) -> None:
    """Installs boc into the environment, when its sources have changed."""
    state = fingerprint(environment.interpreter)
    if environment.noted("package") == state:
        return
    # A target folder for each interpreter, or every change of it would build
    # PyO3 anew.
    target = TARGET / f"py-{environment.name}"
    wheels = target / "boc-wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    environment.log.unlink(missing_ok=True)
    with Progress(f"boc for {environment.name}") as progress:
        progress.phase("Compiling", CRATES, end=0.9)
        run_logged(
            [
                environment.program("maturin"),
                "build",
                "--release",
                f"--interpreter={environment.python}",
                f"--out={wheels}",
                # This machine alone will use it.
                "--compatibility=linux",
                "--auditwheel=skip",
            ],
            environment.log,
            progress=progress,
            folder=PACKAGE,
            environment={"CARGO_TARGET_DIR": str(target), **pyo3_settings(environment.interpreter)},
        )
        (wheel,) = wheels.glob("*.whl")
        # First the package itself, whose version has not changed; then what it
        # has come to depend on.
        environment.pip("--force-reinstall", "--no-deps", wheel)
        environment.pip(wheel)
    environment.note("package", state)


def pyo3_settings(interpreter: Interpreter) -> dict[str, str]:
    """What PyO3 must be told to build for the interpreter."""
    if interpreter.free_threaded and interpreter.version < (3, 14):
        # PyO3 supports free-threaded builds from 3.14 on. It works on 3.13 well
        # enough for development, so users never get to see this.
        return {"UNSAFE_PYO3_SKIP_VERSION_CHECK": "1"}
    return {}


def fingerprint(interpreter: Interpreter) -> str:
    """Changes when the wheel would."""
    digest = hashlib.sha256(str(interpreter).encode())
    for file in files():
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(REPOSITORY)} {content}\n".encode())
    return digest.hexdigest()


def files() -> Iterator[Path]:
    for source in SOURCES:
        place = REPOSITORY / source
        if place.is_file():
            yield place
        for file in sorted(place.rglob("*")):
            if file.is_file() and NOT_IN_WHEEL.isdisjoint(file.relative_to(REPOSITORY).parts):
                yield file
