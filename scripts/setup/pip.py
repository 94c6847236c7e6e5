"""Getting pip into an environment, also where the interpreter comes without."""

from collections.abc import Iterator
from pathlib import Path

from . import apt
from .command import run_logged
from .interpreter import Interpreter
from .messages import SetupError
from .places import built_interpreters, cache


def install_pip(interpreter: Interpreter, python: Path, log: Path) -> None:
    """Makes `python -m pip` work; raises SetupError."""
    if has_ensurepip(interpreter):
        run_logged([python, "-I", "-m", "ensurepip", "--default-pip"], log)
        return
    for wheel in wheels(interpreter, log):
        # A wheel is a zip file that Python can run the pip in.
        run_logged([python, f"{wheel}/pip", "install", "--no-index", wheel], log)
        return
    raise SetupError(
        f"{interpreter} comes without ensurepip, and no wheel of pip was found\n"
        "install it (on Debian and Ubuntu: python3-venv) and try again"
    )


def standard_library(interpreter: Interpreter) -> Path:
    major, minor, _ = interpreter.version
    name = f"python{major}.{minor}"
    libraries = interpreter.executable.parent.parent / "lib"
    threaded = libraries / f"{name}t"
    return threaded if interpreter.free_threaded and threaded.exists() else libraries / name


def has_ensurepip(interpreter: Interpreter) -> bool:
    bundled = standard_library(interpreter) / "ensurepip/_bundled"
    return any(bundled.glob("pip-*.whl"))


def wheels(interpreter: Interpreter, log: Path) -> Iterator[Path]:
    """Wheels of pip on this machine: any serves, as pip is pure Python."""
    for home in sorted(built_interpreters().glob("cpython-3.*")):
        yield from home.glob("lib/python3.*/ensurepip/_bundled/pip-*.whl")
    yield from Path("/usr/share/python-wheels").glob("pip-*.whl")
    if apt.available():
        yield from unpacked_wheels(log)


def unpacked_wheels(log: Path) -> Iterator[Path]:
    """The wheel in the distribution's package of it, which is not installed for that."""
    folder = cache() / "pip"
    try:
        private = apt.PrivateApt(cache() / "apt/machine", log)
        private.update()
        folder.mkdir(parents=True, exist_ok=True)
        private.get("download", "python3-pip-whl", folder=folder)
        for package in sorted(folder.glob("python3-pip-whl_*.deb")):
            run_logged(["dpkg-deb", "--extract", package, folder], log)
    except SetupError:
        return
    yield from folder.glob("usr/share/python-wheels/pip-*.whl")
