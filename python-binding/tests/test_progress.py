"""wait(progress=True) shows on a terminal how far the workers have come, and waits as it does without."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from pathlib import Path

import pytest

import boc
from boc import Cown, quiesce, start, wait, when
from crossing import Gate

pty = pytest.importorskip("pty", reason="a terminal to look at")

HERE = Path(__file__).resolve().parent

LONG = 60.0

TQDM = """
class tqdm:
    def __init__(self, desc, unit, file):
        self.file, self.desc = file, desc

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.write("tqdm has ended\\n")

    def refresh(self):
        self.file.write(f"{self.desc} by tqdm: {self.n}/{self.total}\\n")
        self.file.flush()
"""

WITHOUT_RICH = "import sys; sys.modules['rich'] = None\n"
PLAIN = WITHOUT_RICH + "sys.modules['tqdm'] = None\n"


class Terminal:
    """What a program writes to its standard error, which is a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = ""

    def read_until(self, pattern: str) -> None:
        deadline = time.monotonic() + LONG
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), f"the program has ended:\n{self.text}"

    def read_all(self) -> str:
        while self._read():
            pass
        return self.text

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], LONG)[0]:
            return False
        try:
            read = os.read(self._descriptor, 4096)
        except OSError:  # nobody has it open any more
            return False
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read.decode(errors="replace"))
        return bool(read)


Run = Callable[..., AbstractContextManager[tuple[Terminal, "subprocess.Popen[bytes]"]]]


@pytest.fixture
def on_a_terminal(tmp_path: Path) -> Run:
    """Runs a program whose standard error is a terminal. It can import what the tests can, and a made-up tqdm."""
    (tmp_path / "tqdm.py").write_text(TQDM)

    @contextmanager
    def run(source: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
        ours, theirs = pty.openpty()
        path = [str(tmp_path), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": "100", "TERM": "xterm"},
        )
        os.close(theirs)
        try:
            yield Terminal(ours), process
        finally:
            process.kill()
            process.communicate()
            os.close(ours)

    return run


# The last behaviour waits for a line on standard input, which only this test writes.
SOURCE = """
import os
import boc
boc.start(1)
for _ in range(4):
    boc.when(boc.Cown(0))(lambda cown: None)
@boc.when(boc.Cown(0))
def last(cown):
    assert os.read(0, 1) == b"!"
boc.{wait}(progress=True)
print("waited")
"""

LIBRARIES = {
    "rich": ("", r"behaviours[ ━╸╺]+4/5", r"behaviours[ ━╸╺]+5/5"),
    "tqdm": (WITHOUT_RICH, r"behaviours by tqdm: 4/5", r"behaviours by tqdm: 5/5\r\ntqdm has ended"),
    "neither": (PLAIN, r"\rbehaviours: 4 of 5", r"\rbehaviours: 5 of 5\r\n$"),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("function", ["wait", "quiesce"])
def test_how_far_it_has_come(on_a_terminal: Run, library: str, function: str) -> None:
    head, meanwhile, at_the_end = LIBRARIES[library]
    if library == "rich":
        pytest.importorskip("rich")
    with on_a_terminal(head + SOURCE.format(wait=function)) as (terminal, process):
        terminal.read_until(meanwhile)
        out, _ = process.communicate(b"!", timeout=LONG)
        assert (out, process.returncode) == (b"waited\n", 0)
        assert re.search(at_the_end, terminal.read_all()), terminal.text
        assert "Traceback" not in terminal.text


@pytest.mark.parametrize("library", LIBRARIES)
def test_control_c(on_a_terminal: Run, library: str) -> None:
    head, meanwhile, _ = LIBRARIES[library]
    if library == "rich":
        pytest.importorskip("rich")
    source = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)
    """
    caught = SOURCE.format(wait="wait").replace(
        "boc.wait(progress=True)", "try:\n    boc.wait(progress=True)\nexcept KeyboardInterrupt:\n    print('interrupted')"
    )
    with on_a_terminal(head + textwrap.dedent(source) + caught) as (terminal, process):
        terminal.read_until(meanwhile)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(b"!", timeout=LONG)
        assert out.startswith(b"interrupted\n") and process.returncode == 0
        assert "Traceback" not in terminal.read_all()


def test_nothing_is_shown_of_short_waits(on_a_terminal: Run) -> None:
    source = """
    import boc
    boc.wait(progress=True)
    boc.start(1)
    boc.quiesce(progress=True)
    boc.wait(progress=True)
    """
    with on_a_terminal(source) as (terminal, process):
        process.communicate(timeout=LONG)
        assert terminal.read_all() == ""
        assert process.returncode == 0


def test_nothing_is_shown_where_there_is_no_terminal(program) -> None:
    done = program(
        """
        import boc, crossing, sys
        gate = crossing.Gate()
        boc.when()(lambda: gate.wait(0.3) and None)
        boc.wait(progress=True)
        sys.stderr = None
        boc.when()(lambda: gate.wait(0.3) and None)
        boc.wait(progress=True)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """With nothing installed that could show it nicely."""
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    return FakeTerminal()


def test_the_time_runs_out(terminal: FakeTerminal, gate: Gate) -> None:
    when()(gate.wait)
    with redirect_stderr(terminal):
        for wait_for, timeout in (wait, 0.5), (quiesce, 0.5), (wait, 0), (quiesce, -1):
            with pytest.raises(TimeoutError, match="still running or waiting when the time ran out: 1"):
                wait_for(timeout, progress=True)
    shown = terminal.getvalue().splitlines()
    assert shown and all(line in ("", "behaviours: 0 of 1") for line in shown)


def test_what_has_ended_before_does_not_count(terminal: FakeTerminal, gate: Gate) -> None:
    start(1)
    for _ in range(3):
        when()(lambda: None)
    quiesce()
    result = when()(gate.wait)
    when(result)(lambda result: None)
    with redirect_stderr(terminal), pytest.raises(TimeoutError):
        quiesce(0.5, progress=True)
    assert terminal.getvalue().splitlines()[-1] == "behaviours: 0 of 2"
    gate.set()
    quiesce()


@pytest.mark.parametrize("timeout", [None, 1e300, float("inf"), 10**400, LONG])
def test_all_timeouts(terminal: FakeTerminal, timeout: float | None) -> None:
    when(Cown(1))(lambda cown: None)
    with redirect_stderr(terminal):
        quiesce(timeout, progress=True)
        assert len(wait(timeout, stats=True, progress=True)) > 0


@pytest.mark.parametrize("wrong", ["1", [], float("nan")])
def test_the_same_errors(terminal: FakeTerminal, wrong: object) -> None:
    for wait_for in wait, quiesce:
        with redirect_stderr(terminal), pytest.raises((TypeError, ValueError), match="timeout must be a number of seconds or None"):
            wait_for(wrong, progress=True)  # type: ignore[call-overload]


def test_not_inside_of_behaviours() -> None:
    with pytest.raises(RuntimeError, match=r"wait\(\) inside of a behaviour"):
        when()(lambda: boc.wait(progress=True)).result()
