"""A warning tells of behaviours that do not get on."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator

import pytest

import boc
from boc import Cown, PinnedCown, pump, set_stall_warning, when
from crossing import Gate

LONG = 60.0
"""Seconds in which everything happens that is going to."""


@pytest.fixture(autouse=True)
def no_warning_afterwards(fresh_runtime: None) -> Iterator[None]:
    yield
    set_stall_warning(None)
    boc._stalls._state.asked = False


@pytest.fixture
def told() -> queue.Queue[str]:
    return queue.Queue()


@pytest.fixture
def records() -> Iterator[queue.Queue[logging.LogRecord]]:
    """What is logged, by whomever."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = logging.Handler()
    handler.emit = records.put  # type: ignore[method-assign]
    logging.getLogger("boc").addHandler(handler)
    yield records
    logging.getLogger("boc").removeHandler(handler)


RUNNING = "a behaviour has been running for longer than 0.01 s"
WAITING = "behaviours have been waiting for longer than 0.01 s, and nothing gets on"


def next_of(kind: str, told: queue.Queue[str]) -> list[str]:
    """The lines of the next text of that kind. On a busy machine there can be others before."""
    while True:
        lines = told.get(timeout=LONG).splitlines()
        if lines[0] == kind:
            return lines


def left_of(kind: str, told: queue.Queue[str]) -> int:
    """How many more there are."""
    return sum(told.get().startswith(kind) for _ in range(told.qsize()))


def stall(cown: Cown, gate: Gate) -> None:
    def stalling(cown):
        gate.wait()

    when(cown)(stalling)


def test_one_that_runs_for_too_long(gate: Gate, records: queue.Queue[logging.LogRecord]) -> None:
    set_stall_warning(0.01)
    cown = Cown(1)
    stall(cown, gate)
    while True:
        record = records.get(timeout=LONG)
        assert (record.levelno, record.threadName) == (logging.WARNING, "boc-stalls")
        first, _, *rest = record.getMessage().splitlines()
        if first == RUNNING:
            break
    running, holds = rest
    assert running.startswith("#1 stall.<locals>.stalling (") and ": running for " in running
    assert holds == f"    holds {cown!r}"


def test_each_is_told_of_once(told: queue.Queue[str]) -> None:
    set_stall_warning(0.01, told.put)
    for number in range(1, 4):
        gate = Gate()
        stall(Cown(1), gate)
        assert next_of(RUNNING, told)[2].startswith(f"#{number} stall")
        gate.set()
        boc.quiesce()
    # Whoever was told of twice would come before the next one, or be left.
    assert left_of(RUNNING, told) == 0


def test_those_that_wait_while_nothing_runs(told: queue.Queue[str]) -> None:
    cown = Cown(1)
    set_stall_warning(0.01, told.put)
    for _ in range(2):
        with cown:
            when(cown)(lambda cown: None)
            _, _, waiting, what_for = next_of(WAITING, told)
            assert ": waiting for " in waiting
            assert what_for.startswith(f"    for {cown!r}, which somebody holds who is not observed")
        boc.quiesce()
    assert left_of(WAITING, told) == 0


def test_nobody_pumps(told: queue.Queue[str]) -> None:
    set_stall_warning(0.01, told.put)
    when(PinnedCown(1))(lambda pinned: None)
    _, _, waiting, _ = next_of(WAITING, told)
    assert waiting.startswith("#1 test_nobody_pumps") and waiting.endswith(" for the main thread to pump")
    assert pump().executed == 1


def test_the_main_thread_runs_one_for_too_long(told: queue.Queue[str]) -> None:
    set_stall_warning(0.01, told.put)
    for number in range(1, 4):
        lines: list[str] = []
        when(PinnedCown(1))(lambda pinned: lines.extend(next_of(RUNNING, told)))
        assert pump().executed == 1
        assert lines[2].startswith(f"#{number} test_the_main_thread")
        assert lines[2].endswith(", in the main thread, which pumps")
    boc.quiesce()
    assert left_of(RUNNING, told) == 0


def test_nothing_stands_still_while_the_main_thread_runs_one() -> None:
    boc.start(observe=True)
    whys: list[str | None] = []

    def long(pinned):
        pool, _ = boc._observation.current()
        assert pool is not None
        watched = boc._stalls._Watched(pool, 0.0)
        whys.extend(watched.look() for _ in range(3))

    when(PinnedCown(1))(long)
    assert pump().executed == 1
    assert whys == ["a behaviour has been running for longer than 0 s", None, None]


def test_those_that_are_not_known_are_counted(told: queue.Queue[str]) -> None:
    cown = Cown(1)
    with cown:
        when(cown)(lambda cown: None)
        set_stall_warning(0.01, told.put)
        assert "1 behaviour not known by name, scheduled before" in told.get(timeout=LONG)


def test_the_next_workers_are_watched_too(gate: Gate, told: queue.Queue[str]) -> None:
    set_stall_warning(0.01, told.put)
    boc.start(1)
    boc.wait()
    stall(Cown(1), gate)
    assert next_of(RUNNING, told)[1].endswith("1 behaviour not ended")


def test_a_function_that_fails_is_logged(gate: Gate, records: queue.Queue[logging.LogRecord]) -> None:
    def fail(text):
        raise ValueError("told")

    set_stall_warning(0.01, fail)
    stall(Cown(1), gate)
    record = records.get(timeout=LONG)
    assert record.getMessage() == "the function that was to hear of a stall has failed"
    assert record.exc_info is not None and str(record.exc_info[1]) == "told"
    # It goes on.
    told: queue.Queue[str] = queue.Queue()
    set_stall_warning(0.01, told.put)
    assert told.get(timeout=LONG)


def test_it_can_be_ended(gate: Gate, told: queue.Queue[str]) -> None:
    set_stall_warning(0.01, told.put)
    stall(Cown(1), gate)
    told.get(timeout=LONG)
    watcher = boc._stalls._state.watcher
    assert watcher is not None and watcher._thread is not None
    set_stall_warning(None)
    watcher._thread.join(LONG)
    assert not watcher._thread.is_alive()
    assert "stall warning" not in boc._observation._state.wanted


@pytest.mark.once
class TestMisuse:
    @pytest.mark.parametrize("wrong", ["1", True, [1.0]])
    def test_the_wrong_type(self, wrong: object) -> None:
        with pytest.raises(TypeError, match="seconds must be a number or None, not"):
            set_stall_warning(wrong)  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrong", [0, -1.5, float("nan")])
    def test_the_wrong_number(self, wrong: float) -> None:
        with pytest.raises(ValueError, match="seconds must be more than 0, not"):
            set_stall_warning(wrong)

    def test_the_wrong_function(self) -> None:
        with pytest.raises(TypeError, match="on_stall must be callable or None, not str"):
            set_stall_warning(1, "print")  # type: ignore[arg-type]

    @pytest.mark.parametrize("forever", [float("inf"), 10**400, 1e300])
    def test_longer_than_anybody_waits(self, forever: float) -> None:
        set_stall_warning(forever)
        assert boc._stalls._state.watcher is not None


STALLS = """
import crossing, boc
gate = crossing.Gate()
@boc.when(boc.Cown(1))
def stalling(cown):
    gate.wait()
import logging
class Opens(logging.Handler):
    def emit(self, record):
        print(record.getMessage())
        if "running for" in record.getMessage():
            gate.set()
logging.getLogger("boc").addHandler(Opens())
boc.wait()
"""


def test_the_environment(program) -> None:
    done = program(STALLS, environment={"BOC_STALL_WARNING": "0.01"})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{RUNNING}\n" in done.stdout
    assert "stalling (<string>:4): running for" in done.stdout


@pytest.mark.parametrize("wrong", ["soon", "-1", "nan"])
def test_a_bad_environment(program, wrong: str) -> None:
    done = program("import boc; boc.start(1)", environment={"BOC_STALL_WARNING": wrong})
    assert done.returncode == 1
    assert "ValueError: the environment variable BOC_STALL_WARNING must be" in done.stderr


@pytest.mark.by_value
def test_the_interpreter_of_a_worker_cannot_ask_for_it() -> None:
    with pytest.raises(RuntimeError, match="only the main program"):
        when()(lambda: boc.set_stall_warning(1)).result()


def test_a_child_is_watched_when_it_has_workers(program) -> None:
    done = program(
        """
        import os, queue, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import boc, crossing
        told = queue.Queue()
        boc.set_stall_warning(0.01, told.put)
        boc.when()(lambda: None).result()
        pid = os.fork()
        if pid == 0:
            gate = crossing.Gate()
            boc.when()(gate.wait)
            while "running" not in told.get(timeout=60):
                pass
            gate.set()
            boc.wait()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        gate = crossing.Gate()
        boc.when()(gate.wait)
        while "Gate.wait" not in told.get(timeout=60):
            pass
        gate.set()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("left", ["", "boc.when()(lambda: None).result()", "boc.start(1)"])
def test_a_program_ends_with_it(program, left: str) -> None:
    done = program(f"import boc\nboc.set_stall_warning(100)\n{left}")
    assert (done.returncode, done.stderr) == (0, "")
