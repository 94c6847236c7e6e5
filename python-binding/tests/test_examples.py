"""The examples when something is wrong; that they do what they should is a stage of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_the_test_runner_shows_what_fails(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        """
import unittest

class Mixed(unittest.TestCase):
    def test_right(self): pass
    def test_wrong(self): self.assertEqual(1, 2)
    def test_broken(self): undefined
    def test_parts(self):
        for n in range(3):
            with self.subTest(n=n): self.assertNotEqual(n, 1)
    @unittest.expectedFailure
    def test_surprise(self): pass

class Unready(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("unready")
    def test_never(self): pass

class Exits(unittest.TestCase):
    def test_exit(self): raise SystemExit(3)
"""
    )
    (tmp_path / "test_unimportable.py").write_text("import no_such_module\n")
    done = run("testrunner.py", tmp_path)
    assert done.returncode == 1, done.stderr
    for line in (
        "failed: test_wrong.Mixed.test_wrong",
        "AssertionError: 1 != 2",
        "broken: test_wrong.Mixed.test_broken",
        "NameError: name 'undefined' is not defined",
        "failed: test_wrong.Mixed.test_parts (n=1)",
        "surprise: test_wrong.Mixed.test_surprise",
        "OSError: unready",
        "SystemExit: 3",
        "ModuleNotFoundError: No module named 'no_such_module'",
    ):
        assert line in done.stdout, done.stdout
    assert "1 passed" in done.stdout


def test_the_test_runner_finds_nothing(tmp_path: Path) -> None:
    done = run("testrunner.py", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "no tests" in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("philosophers.py", ["--philosophers", 1]),
        ("testrunner.py", ["/no/such/folder"]),
        ("server.py", ["--accounts", 1]),
        ("pipeline.py", ["/no/such/folder"]),
        ("factors.py", [0]),
        ("factors.py", [10**30]),
    ],
)
@pytest.mark.once
def test_options_that_make_no_sense(name: str, arguments: list[object]) -> None:
    done = run(name, *arguments)
    assert done.returncode == 2
    assert f"{name}: error: " in done.stderr
