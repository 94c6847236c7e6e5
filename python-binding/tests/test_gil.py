"""The GIL: importing boc never turns it on, and with it boc is as correct."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

import compiling

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

free_threaded = pytest.mark.skipif(not FREE_THREADED, reason="free-threaded builds")

WORK = """
import sys, threading, boc
from boc import Cown, wait, when

cowns = [Cown(0) for _ in range(5)]

def work(a, b):
    a.value += 1
    b.value -= 1
    if a.value % 100 == 0:
        when(a)(lambda a: None)

def schedule():
    for n in range(1000):
        when(cowns[n % 5], cowns[(n * 3 + 1) % 5])(work)

boc.start(3)
threads = [threading.Thread(target=schedule) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert when(cowns)(lambda cowns: sum(cown.value for cown in cowns)).result() == 0
wait()
boc.start()
wait()
print(sys._is_gil_enabled() if hasattr(sys, "_is_gil_enabled") else True)
"""


@free_threaded
def test_importing_does_not_turn_it_on(program) -> None:
    done = program(WORK, "-W", "error", environment={"PYTHON_GIL": ""})
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


@free_threaded
@pytest.mark.parametrize("how", ["environment", "option"])
def test_a_warning_once_if_it_is_on(program, how: str) -> None:
    if how == "environment":
        done = program(WORK, environment={"PYTHON_GIL": "1"})
    else:
        done = program(WORK, "-X", "gil=1")
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert "behaviours run one at a time" in done.stderr


@free_threaded
def test_the_warning_points_at_the_program(program) -> None:
    for code in "import boc\nboc.start()\nboc.wait()", "import boc\nboc.when()(print)\nboc.wait()":
        done = program(code, "-X", "gil=1")
        assert "<string>:2: RuntimeWarning" in done.stderr


@free_threaded
@pytest.mark.parametrize("before", ["boc.start(2)", "pass"])
def test_the_warning_names_the_module(program, extensions: Path, before: str) -> None:
    compiling.extension(extensions, "needs_gil.c", "needs_gil")
    path = os.pathsep.join([str(extensions), os.environ.get("PYTHONPATH", "")])
    done = program(
        f"import boc\n{before}\nimport needs_gil\nassert boc.when()(lambda: 1).result() == 1\nboc.wait()",
        environment={"PYTHONPATH": path.rstrip(os.pathsep), "PYTHON_GIL": ""},
    )
    assert done.returncode == 0
    assert done.stderr.count("RuntimeWarning: this free-threaded Python") == 1
    assert "by the extension module 'needs_gil'" in done.stderr


@free_threaded
def test_the_warning_as_an_error(program) -> None:
    done = program("import boc\nboc.start()", "-X", "gil=1", "-W", "error")
    assert done.returncode == 1 and "RuntimeWarning" in done.stderr
    assert "Fatal" not in done.stderr


@free_threaded
@pytest.mark.once
def test_this_process_runs_without_it() -> None:
    assert not sys._is_gil_enabled()


@pytest.mark.skipif(FREE_THREADED, reason="builds with a GIL")
def test_no_warning_where_there_is_no_choice(program) -> None:
    done = program(WORK, "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
