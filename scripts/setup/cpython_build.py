"""Building a CPython into the cache folder, where a machine has none that serves."""

import os
import shutil
import tarfile
from pathlib import Path

from . import apt
from .command import run_logged
from .cpython_source import Source, fetch
from .interpreter import Interpreter, Unfit, ask
from .libraries import settings
from .lock import locked
from .messages import SetupError, say
from .places import built_interpreters, cache
from .progress import Progress
from .search import of_cache

def build(free_threaded: bool) -> Interpreter:
    """Builds the kind that is wanted, unless another process just has."""
    what = "a free-threaded CPython" if free_threaded else "a CPython with GIL"
    check_tools(what)
    with locked(cache() / "build.lock", "building an interpreter"):
        log = cache() / "logs" / f"cpython{'t' if free_threaded else ''}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        built_meanwhile = already_built(free_threaded)
        if built_meanwhile is not None:
            return built_meanwhile
        source = fetch(log)
        home = built_interpreters() / f"cpython-{source.version}{'t' if free_threaded else ''}"
        say(f"building {what}, {source.version}, in {home}")
        say(f"this takes a few minutes, once for this machine; the log is {log}")
        make(source, free_threaded, home, log)
        for downloads in ("apt", "sources"):
            shutil.rmtree(cache() / downloads, ignore_errors=True)
        return ask(home / "bin/python3")


def already_built(free_threaded: bool) -> Interpreter | None:
    for program in of_cache():
        try:
            found = ask(program)
        except Unfit:
            continue
        if found.free_threaded == free_threaded:
            return found
    return None


def check_tools(what: str) -> None:
    if not apt.available():
        raise SetupError(f"{what} was not found, and without apt its source cannot be fetched")
    for tool in ("make", "cc"):
        if shutil.which(tool) is None:
            raise SetupError(f"{what} was not found, and to build one takes `{tool}`")


def make(source: Source, free_threaded: bool, home: Path, log: Path) -> None:
    """Builds `source` so that `home` appears at once and complete, or not at all."""
    # Whoever holds the lock is alone, so what lies here was left by the dead.
    folder = cache() / "build"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        staged = compile_in(folder, source, free_threaded, home, log)
        ask_before_use(staged)
        # What stood here did not work: it would have been found.
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compile_in(
    folder: Path, source: Source, free_threaded: bool, home: Path, log: Path
) -> Path:
    """Builds for `home`, but installs below `folder`; returns where."""
    with tarfile.open(source.archive) as archive:
        # Early 3.10 and 3.11 releases have no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(folder / "source")
    (tree,) = (folder / "source").iterdir()
    staging = folder / "staging"
    configure = [
        "./configure",
        f"--prefix={home}",
        # Environments get pip in their own way, and CPython's tests are not run.
        "--with-ensurepip=no",
        "--disable-test-modules",
        *(["--disable-gil"] if free_threaded else []),
        *settings(log),
    ]
    jobs = f"-j{os.cpu_count() or 1}"
    with Progress(f"CPython {source.version}") as progress:
        progress.phase("checking", 770, end=0.25)
        run_logged(configure, log, progress=progress, folder=tree)
        progress.phase(" -c ", 300, end=0.9)
        run_logged(["nice", "make", jobs], log, progress=progress, folder=tree)
        progress.phase("", 1900, end=1.0)
        install = ["nice", "make", "install", f"DESTDIR={staging}"]
        run_logged(install, log, progress=progress, folder=tree)
    return staging / home.relative_to("/")


def ask_before_use(staged: Path) -> None:
    """An interpreter without ssl or zlib would be of no use: nothing installs on it."""
    try:
        ask(staged / "bin/python3")
    except Unfit as why:
        raise SetupError(
            f"the CPython just built {why}\n"
            "install the development files of OpenSSL, zlib and libffi "
            "(libssl-dev, zlib1g-dev, libffi-dev) and try again"
        ) from None
