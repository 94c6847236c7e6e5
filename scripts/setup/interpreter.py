"""What an interpreter is, found out by running it."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .command import clean_environment

QUESTION = """
import importlib, json, os, sys, sysconfig
def lacks(module):
    try:
        importlib.import_module(module)
    except Exception:
        return True
    return False
print(json.dumps({
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "version": sys.version_info[:3],
    "final": sys.version_info.releaselevel == "final",
    "implementation": sys.implementation.name,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
    "headers": os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "missing": [m for m in ("ssl", "zlib", "venv") if lacks(m)],
}))
"""

OLDEST_FREE_THREADED = (3, 13)
OLDEST_GIL = (3, 12)
ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Interpreter:
    """A CPython that boc can be built for."""

    executable: Path
    version: tuple[int, int, int]
    final: bool
    free_threaded: bool

    @property
    def kind(self) -> str:
        """The backend that boc has on it, which is also its environment's name."""
        return "direct" if self.free_threaded else "subinterpreters"

    def __str__(self) -> str:
        number = ".".join(map(str, self.version))
        return f"CPython {number}{'t' if self.free_threaded else ''} ({self.executable})"


class Unfit(Exception):
    """Why a program is not an interpreter that boc can be built for."""


def ask(program: Path) -> Interpreter:
    """Runs `program` and returns what it says it is; raises Unfit."""
    # -I -S: neither the environment nor installed packages shall have a say.
    try:
        answer = subprocess.run(
            [program, "-I", "-S", "-c", QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            env=clean_environment(),
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"gave no answer within {ANSWER_SECONDS} s") from None
    except OSError as error:
        raise Unfit(f"does not run: {error.strerror}") from None
    try:
        found = json.loads(answer.stdout)
        version = tuple(found["version"])
        executable = Path(found["executable"])
    except (ValueError, KeyError, TypeError):
        words = (answer.stderr or answer.stdout).strip().splitlines() or ["no answer"]
        raise Unfit(f"is not a Python that works: {words[0][:80]}") from None

    free_threaded = found["free_threaded"]
    oldest = OLDEST_FREE_THREADED if free_threaded else OLDEST_GIL
    if found["implementation"] != "cpython":
        raise Unfit(f"is {found['implementation']}; boc needs CPython")
    if version < oldest:
        raise Unfit(
            f"is {'.'.join(map(str, version))}; boc needs a free-threaded build "
            f">= {'.'.join(map(str, OLDEST_FREE_THREADED))} or another >= "
            f"{'.'.join(map(str, OLDEST_GIL))}"
        )
    if not found["headers"]:
        raise Unfit("has no Python.h to build against (on Debian and Ubuntu: python3-dev)")
    if found["missing"]:
        raise Unfit(f"was built without the modules {', '.join(found['missing'])}")
    if found["debug"]:
        raise Unfit("is a debug build")
    return Interpreter(executable, version, found["final"], free_threaded)
