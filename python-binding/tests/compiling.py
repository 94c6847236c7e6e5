"""Extension modules for the tests, compiled by the compiler of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import boc

SOURCES = Path(__file__).with_name("extension")
C11 = "-std=c11"
CXX17 = "-std=c++17"

_LIBRARY = ["-shared", "-fPIC", "-pthread"]
if sysconfig.get_config_var("LDSHARED") and "dynamic_lookup" in sysconfig.get_config_var("LDSHARED"):
    _LIBRARY += ["-undefined", "dynamic_lookup"]


def compiler(standard: str = C11) -> str | None:
    """The compiler for a language, if there is one."""
    cxx = "++" in standard
    chosen = os.environ.get("CXX" if cxx else "CC")
    return chosen or shutil.which("c++" if cxx else "cc")


def run_compiler(standard: str, *arguments: str | Path) -> None:
    """Compiles with the headers of Python and of boc; all that the compiler has to say is an error."""
    program = compiler(standard)
    assert program is not None, f"there is no compiler for {standard}"
    command = [
        program,
        standard,
        *("-Wall", "-Wextra", "-Werror"),
        f"-I{boc.get_include()}",
        # Python's own headers need not be as clean as ours.
        *("-isystem", sysconfig.get_path("include")),
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def extension(folder: Path, source: str, name: str, standard: str = C11, *flags: str) -> Path:
    """Compiles a module `name` into the folder."""
    module = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    arguments = [*flags, f"-DPROBE={name}", SOURCES / source, "-o", module]
    run_compiler(standard, "-O1", "-g", *_LIBRARY, *arguments)
    return module
