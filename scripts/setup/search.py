"""Finding the interpreters a machine has.

`BOC_PYTHON` names the free-threaded one (or, if it is a GIL build, that one);
`BOC_PYTHON_GIL` names the GIL build. What they do not name is looked for on PATH,
with uv, with pyenv, and among the interpreters that these scripts have built.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .interpreter import OLDEST_GIL, Interpreter, Unfit, ask
from .messages import SetupError
from .places import built_interpreters

OVERRIDES = ("BOC_PYTHON", "BOC_PYTHON_GIL")

# Best first. The oldest comes after everything: its sub-interpreters can import fewer modules.
PREFERRED = ((3, 14), (3, 15), (3, 13))
LAST_RESORT = OLDEST_GIL


class Search:
    """One look around: what was found, and what was looked at in vain and why."""

    def __init__(self) -> None:
        self.found: dict[str, Interpreter] = {}
        self.unfit: dict[Path, str] = {}

    def run(self) -> "Search":
        for interpreter in named():
            self.found[interpreter.kind] = interpreter
        if len(self.found) < 2:
            ranked = sorted(self._answers(), key=rank)
            for interpreter in ranked:
                self.found.setdefault(interpreter.kind, interpreter)
        return self

    def oldest(self) -> Interpreter | None:
        """A GIL build of the oldest version that has sub-interpreters; `None` if there is none."""
        fit = [found for found in self._answers() if found.version[:2] == OLDEST_GIL]
        return min((found for found in fit if not found.free_threaded), key=rank, default=None)

    def _answers(self) -> list[Interpreter]:
        def answer(program: Path) -> Interpreter | None:
            try:
                return ask(program)
            except Unfit as why:
                self.unfit[program] = str(why)
                return None

        with ThreadPoolExecutor(max_workers=8) as pool:
            return [found for found in pool.map(answer, candidates()) if found]


def named() -> Iterator[Interpreter]:
    """The interpreters that the environment variables name; raises SetupError."""
    kinds: dict[str, str] = {}
    for variable in OVERRIDES:
        value = os.environ.get(variable)
        if not value:
            continue
        program = shutil.which(os.path.expanduser(value))
        if program is None:
            raise SetupError(f"{variable}={value}: there is no such program")
        try:
            interpreter = ask(Path(program))
        except Unfit as why:
            raise SetupError(f"{variable}={value}: {program} {why}") from None
        if variable == "BOC_PYTHON_GIL" and interpreter.free_threaded:
            raise SetupError(
                f"{variable}={value}: {interpreter} is free-threaded; name it BOC_PYTHON"
            )
        if interpreter.kind in kinds:
            raise SetupError(
                f"{kinds[interpreter.kind]} and {variable} both name a GIL build; "
                "give BOC_PYTHON a free-threaded one"
            )
        kinds[interpreter.kind] = variable
        yield interpreter


def rank(interpreter: Interpreter) -> tuple[bool, int, tuple[int, ...]]:
    """Sorts the interpreter to be taken first to the front."""
    minor = interpreter.version[:2]
    if minor in PREFERRED:
        place = PREFERRED.index(minor)
    else:
        place = len(PREFERRED) + (minor == LAST_RESORT)
    newest_first = tuple(-number for number in interpreter.version)
    return (not interpreter.final, place, newest_first)


def candidates() -> list[Path]:
    """The programs worth asking, without running any of them."""
    programs: dict[Path, Path] = {}
    for program in (*on_path(), *of_uv(), *of_pyenv(), *of_frameworks(), *of_cache()):
        if not os.access(program, os.X_OK) or program.is_dir():
            continue
        # Links to one python are one candidate; links to a version manager's
        # single shim program are not, as that goes by the name it is called.
        real = Path(os.path.realpath(program))
        same = real if real.name.startswith("python") else program
        programs.setdefault(same, program)
    return list(programs.values())


def on_path() -> Iterator[Path]:
    versions = range(15, 11, -1)
    names = [f"python3.{minor}t" for minor in versions if minor >= 13]
    names += [f"python3.{minor}" for minor in versions]
    names += ["python3", "python"]
    for folder in os.get_exec_path():
        for name in names:
            yield Path(folder, name + (".exe" if os.name == "nt" else ""))


def of_uv() -> Iterable[Path]:
    chosen = os.environ.get("UV_PYTHON_INSTALL_DIR")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    folder = Path(chosen) if chosen else Path(data, "uv/python")
    return sorted(folder.glob("cpython-3.*/bin/python3"))


def of_pyenv() -> Iterable[Path]:
    # Not by way of its shims: they answer for activated versions only.
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return sorted(root.glob("versions/3.*/bin/python3"))


def of_frameworks() -> Iterable[Path]:
    if sys.platform != "darwin":
        return ()
    return sorted(Path("/Library/Frameworks").glob("Python*.framework/Versions/3.*/bin/python3.*"))


def of_cache() -> Iterable[Path]:
    return sorted(built_interpreters().glob("cpython-3.*/bin/python3"))


def fingerprint() -> str:
    """Changes when another search might find something else; costs no process."""
    digest = hashlib.sha256()
    for variable in OVERRIDES:
        value = os.environ.get(variable, "")
        program = shutil.which(os.path.expanduser(value)) if value else None
        digest.update(f"{variable}={value}={program}\n".encode())
        if program:
            digest.update(f"{os.stat(program).st_mtime_ns}\n".encode())
    for candidate in candidates():
        digest.update(f"{candidate} {candidate.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()
