"""What every test gets: a fresh runtime before and after, and an end if it hangs."""

from __future__ import annotations

import faulthandler
import functools
import importlib
import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

import boc
import compiling
import crossing
from crossing import Gate, Log

LIMIT = 180.0
"""Seconds after which a test counts as hanging; far more than any needs on a busy machine."""

HERE = Path(__file__).resolve().parent

BY_VALUE_IS_POSSIBLE = sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED")

BACKENDS = [
    name
    for name in boc._runtime._BACKENDS
    if name == "direct" or (name == "subinterpreters" and BY_VALUE_IS_POSSIBLE)
]
"""The backends that this interpreter has. Each test runs on all of them, unless a marker says else."""

_true_stderr: int | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _true_stderr
    # Who is started in the background of a shell ignores Ctrl-C, and so would all programs of the tests.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        _true_stderr = os.dup(2)
    else:
        with capture.global_and_fixture_disabled():
            _true_stderr = os.dup(2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("once") is None:
        metafunc.parametrize("backend", BACKENDS, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = filter(_belongs, items)
    for item in items:
        if item.get_closest_marker("by_value") and "subinterpreters" not in BACKENDS:
            item.add_marker(pytest.mark.skip(reason="no backend here that works by value"))


def _belongs(item: pytest.Item) -> bool:
    """Whether the test is for the backend that it was generated for."""
    backend = item.callspec.params.get("backend") if hasattr(item, "callspec") else None
    if item.get_closest_marker("by_reference"):
        return backend != "subinterpreters"
    if item.get_closest_marker("by_value") and "subinterpreters" in BACKENDS:
        return backend != "direct"
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("by_reference")
    if marker is not None and not marker.args:
        pytest.fail("by_reference needs a reason", pytrace=False)


@pytest.fixture(autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The backend that the test, and the programs that it runs, get if they do not choose one."""
    if not hasattr(request, "param"):
        yield boc.backend()
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOC_BACKEND", request.param)
        yield request.param


@pytest.fixture(autouse=True)
def end_of_hangs() -> Iterator[None]:
    """Shows where all threads are, and ends the process, if a test takes too long."""
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=_true_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def fresh_runtime(backend: str, end_of_hangs: None) -> Iterator[None]:
    """Whatever a test started has ended when the next one begins."""
    assert boc.stats() == [], "the test before has left workers"
    yield
    boc.wait(LIMIT / 2)
    crossing.close_all()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Something for bodies to wait for; open at the end, whatever happens."""
    gate = Gate()
    yield gate
    gate.set()


@pytest.fixture
def log() -> Log:
    """Something for bodies to append to."""
    return Log()


Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs a program of its own with this interpreter, and returns how it went.

    It can import what tests can, and uses the backend of the test. `how` says where the interpreter
    finds the source: in its arguments, in a file, or on its standard input.
    """

    def run(
        source: str,
        *options: str,
        environment: dict[str, str] | None = None,
        timeout: float = 60.0,
        folder: Path | None = None,
        how: Literal["argument", "file", "stdin"] = "argument",
    ) -> subprocess.CompletedProcess[str]:
        developing = ["-X", "dev"] if sys.flags.dev_mode else []
        source = textwrap.dedent(source)
        place, given = ["-c", source], ""
        if how == "file":
            file = tmp_path / "program.py"
            file.write_text(source)
            place = [str(file)]
        elif how == "stdin":
            place, given = ["-"], source
        path = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [sys.executable, *developing, *options, *place],
            capture_output=True,
            text=True,
            timeout=timeout,
            input=given,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **(environment or {})},
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
    path = [str(extensions), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return functools.partial(program, environment={"PYTHONPATH": os.pathsep.join(path)})
