"""Which files are scanned, and in which order."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from typing import NamedTuple

TOP_LEVEL = "(top level)"

# Installed packages and compiled files are not the sources somebody asked for.
SKIPPED_FOLDERS = frozenset({"__pycache__", "site-packages", "dist-packages", "node_modules"})


@dataclass(frozen=True, slots=True)
class Source:
    """One file: how to open it, and how the report calls it."""

    path: str
    name: str
    package: str
    size: int


class Failure(NamedTuple):
    """A file or folder that could not be scanned, and why."""

    name: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The files to scan, and what already failed while looking for them."""

    root: str
    sources: tuple[Source, ...]
    failures: tuple[Failure, ...]

    @property
    def size(self) -> int:
        return sum(source.size for source in self.sources)


def standard_library() -> str:
    """The folder of the running interpreter's own library."""
    return sysconfig.get_path("stdlib")


def printable(path: str) -> str:
    """``path`` in a form that every terminal and every JSON reader takes.

    File names are bytes: they may hold control characters, or be no UTF-8.
    """
    path = os.fsencode(path).decode("utf-8", "backslashreplace").replace(os.sep, "/")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def select(root: str, limit: int | None = None) -> Selection:
    """Find the Python files under ``root``, which may also be a single file.

    ``limit`` keeps the first files in the order of their names.  The result is
    ordered by size, the biggest first: a big file that is started last would
    leave all other workers waiting for the one that got it.
    """
    failures: list[Failure] = []
    if os.path.isdir(root):
        paths = _python_files(root, failures)
        folder = root
    else:
        paths = [root]
        folder = os.path.dirname(root) or os.curdir
    chosen = [_source(path, folder) for path in sorted(paths)[:limit]]
    chosen.sort(key=lambda source: (-source.size, source.name))
    return Selection(root, tuple(chosen), tuple(failures))


def _python_files(root: str, failures: list[Failure]) -> list[str]:
    def unlisted(error: OSError) -> None:
        name = printable(os.path.relpath(error.filename or root, root))
        failures.append(Failure(name, "folder cannot be listed", error.strerror or str(error)))

    paths = []
    for folder, folders, files in os.walk(root, onerror=unlisted):
        folders[:] = [name for name in folders if not _skipped(folder, name)]
        paths += [os.path.join(folder, name) for name in files if name.endswith(".py")]
    return paths


def _skipped(folder: str, name: str) -> bool:
    if name in SKIPPED_FOLDERS or name.startswith("."):
        return True
    return os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))


def _source(path: str, folder: str) -> Source:
    name = printable(os.path.relpath(path, folder))
    package = name.rpartition("/")[0].replace("/", ".") or TOP_LEVEL
    try:
        size = os.stat(path).st_size
    except OSError:
        # The file stays in the list: opening it says properly what is wrong.
        size = 0
    return Source(path, name, package, size)
