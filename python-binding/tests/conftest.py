"""What every test gets: a fresh runtime before and after, and an end if it hangs."""

from __future__ import annotations

import faulthandler
import functools
import importlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import boc
import compiling

LIMIT = 180.0
"""Seconds after which a test counts as hanging; far more than any needs on a busy machine."""

_true_stderr: int | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _true_stderr
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        _true_stderr = os.dup(2)
    else:
        with capture.global_and_fixture_disabled():
            _true_stderr = os.dup(2)


@pytest.fixture(autouse=True)
def end_of_hangs() -> Iterator[None]:
    """Shows where all threads are, and ends the process, if a test takes too long."""
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=_true_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def fresh_runtime(end_of_hangs: None) -> Iterator[None]:
    """Whatever a test started has ended when the next one begins."""
    assert boc.stats() == [], "the test before has left workers"
    yield
    boc.wait(LIMIT / 2)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Something for bodies to wait for; open at the end, whatever happens."""
    event = threading.Event()
    yield event
    event.set()


Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program() -> Program:
    """Runs a program of its own with this interpreter, and returns how it went."""

    def run(
        source: str,
        *options: str,
        environment: dict[str, str] | None = None,
        timeout: float = 60.0,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        developing = ["-X", "dev"] if sys.flags.dev_mode else []
        return subprocess.run(
            [sys.executable, *developing, *options, "-c", textwrap.dedent(source)],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )

    return run



@pytest.fixture(scope="session")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder, on the path, for the extension modules that the tests compile."""
    folder = tmp_path_factory.mktemp("extensions")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def probe(extensions: Path) -> ModuleType:
    """The functions of boc_python.h, to be called from Python."""
    compiling.extension(extensions, "probe.c", "probe")
    importlib.invalidate_caches()
    return importlib.import_module("probe")


@pytest.fixture
def extension_program(probe: ModuleType, extensions: Path, program: Program) -> Program:
    """As `program`, where `import probe` works."""
    path = os.pathsep.join([str(extensions), os.environ.get("PYTHONPATH", "")])
    return functools.partial(program, environment={"PYTHONPATH": path.rstrip(os.pathsep)})
