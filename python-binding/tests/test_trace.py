"""trace() writes what happens to a file that Perfetto reads."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import boc
from boc import Cown, PinnedCown, quiesce, trace, wait, when
from crossing import Gate

Event = dict[str, Any]


class Traced:
    """A file, and whether all in it is as the format wants it."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        assert set(content) == {"displayTimeUnit", "traceEvents", "otherData"}
        self.about: dict[str, str] = content["otherData"]
        self.events: list[Event] = content["traceEvents"]
        for event in self.events:
            assert {"name", "ph", "ts", "pid", "tid"} <= set(event)
            assert event["ts"] >= 0
            assert isinstance(event["args"], dict) if event["ph"] not in "sf" else "id" in event
            assert event["ph"] in {"M", "X", "s", "f", "i", "C"}
        names = [event for event in self.of("M") if event["name"] == "thread_name"]
        self.tracks = {event["tid"]: event["args"]["name"] for event in names}
        assert len(self.tracks) == len(names), "a track has one name"
        assert {event["tid"] for event in self.of("X", "s", "f", "i")} <= set(self.tracks)
        assert len({event["pid"] for event in self.events}) == 1
        self._check_slices()
        self._check_arrows()

    def of(self, *phases: str) -> list[Event]:
        return [event for event in self.events if event["ph"] in phases]

    @property
    def slices(self) -> list[Event]:
        """The behaviours, in the order in which they started."""
        slices = [event for event in self.of("X") if event["cat"] == "behaviour"]
        return sorted(slices, key=lambda event: event["ts"])

    @property
    def names(self) -> list[str]:
        return [event["name"].rpartition(".")[2] for event in self.slices]

    def track(self, event: Event) -> str:
        return self.tracks[event["tid"]]

    def _check_slices(self) -> None:
        self._by_track: dict[int, list[Event]] = {track: [] for track in self.tracks}
        for event in sorted(self.of("X"), key=lambda event: event["ts"]):
            self._by_track[event["tid"]].append(event)
        for slices in self._by_track.values():
            end = 0.0
            for event in slices:
                # A microsecond has three decimals.
                assert event["ts"] > end - 0.0005, "on a track, one comes behind the other"
                assert event["dur"] >= 0
                end = event["ts"] + event["dur"]

    def _at(self, event: Event) -> Event:
        """The slice that it lies in."""
        slices = self._by_track[event["tid"]]
        found = slices[bisect_right(slices, event["ts"], key=lambda slice: slice["ts"]) - 1]
        assert found["ts"] <= event["ts"] <= found["ts"] + found["dur"]
        return found

    def _check_arrows(self) -> None:
        starts = {event["id"]: event for event in self.of("s")}
        ends = {event["id"]: event for event in self.of("f")}
        assert len(starts) == len(self.of("s")) and len(ends) == len(self.of("f"))
        assert set(starts) == set(ends)
        # From what to what, by name.
        self.arrows = []
        for number, start in starts.items():
            end = ends[number]
            assert start["ts"] <= end["ts"] and end["bp"] == "e"
            assert (start["name"], start["cat"]) == (end["name"], end["cat"])
            target = self._at(end)
            assert target["ts"] == end["ts"] and target["cat"] == "behaviour"
            source = self._at(start)
            origin = self.track(source) if source["cat"] == "schedule" else source["name"].rpartition(".")[2]
            self.arrows.append((origin, target["name"].rpartition(".")[2]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def test_behaviours_are_slices_of_their_workers(path: Path) -> None:
    boc.start(2)
    a, b = Cown(1), Cown(2)

    def first(a):
        pass

    def second(a, b):
        pass

    with trace(path):
        when(a)(first)
        when(a, b)(second)
        wait()
    traced = Traced(path)
    assert traced.names == ["first", "second"]
    one, two = traced.slices
    assert traced.track(one) in {"worker 0", "worker 1"}
    assert one["args"]["behaviour"] == "#1"
    assert one["args"]["code"] == f"{__file__}:{first.__code__.co_firstlineno}"
    assert one["args"]["cowns"] == [repr(a)]
    assert sorted(two["args"]["cowns"]) == sorted([repr(a), repr(b)])
    assert set(traced.tracks.values()) == {"outside of behaviours", "worker 0", "worker 1"}
    assert traced.about["behaviours"] == "2" and traced.about["events lost"] == "0"
    (process,) = [event for event in traced.of("M") if event["name"] == "process_name"]
    assert process["args"]["name"].startswith("python ")


def test_arrows_come_from_who_has_scheduled(path: Path) -> None:
    cown = Cown(0)

    def outer(cown):
        def inner(cown):
            pass

        when(cown)(inner)

    with trace(path):
        when(cown)(outer)
        wait()
    assert Traced(path).arrows == [("outside of behaviours", "outer"), ("outer", "inner")]


MAIN = "main thread (pump)"


def test_the_main_thread_is_a_track(path: Path) -> None:
    cown, pinned = Cown(0), PinnedCown([])

    def before(cown):
        def inner(pinned):
            pass

        when(pinned)(inner)

    def shows(pinned, cown):
        def later(cown):
            pass

        when(cown)(later)

    def gone(pinned):
        pass

    boc.start(1)
    with trace(path):
        when(cown)(before)
        quiesce()
        when(pinned, cown)(shows)
        assert when(pinned)(gone).cancel()
        wait()
    traced = Traced(path)
    assert traced.names == ["before", "inner", "shows", "later"]
    assert [traced.track(one) for one in traced.slices] == ["worker 0", MAIN, MAIN, "worker 0"]
    assert sorted(traced.arrows) == [
        ("before", "inner"),
        ("outside of behaviours", "before"),
        ("outside of behaviours", "shows"),
        ("shows", "later"),
    ]
    shown = traced.slices[2]
    assert shown["args"]["behaviour"] == "#3"
    assert shown["args"]["code"] == f"{__file__}:{shows.__code__.co_firstlineno}"
    assert len(shown["args"]["cowns"]) == 2 and repr(cown) in shown["args"]["cowns"]
    assert shown["args"]["waited for the main thread (us)"] > 0
    assert "waited for a worker (us)" not in shown["args"]
    assert "waited for the main thread (us)" not in traced.slices[3]["args"]
    (cancelled,) = traced.of("i")
    assert cancelled["name"].endswith("gone (cancelled)")


def test_what_the_main_thread_has_not_ended(path: Path) -> None:
    pinned = PinnedCown([])

    def outer(pinned):
        def left(pinned):
            pass

        when(pinned)(left)
        block.__exit__(None, None, None)

    boc.start(1)
    block = trace(path)
    block.__enter__()
    when(pinned)(outer)
    wait()
    traced = Traced(path)
    (running,) = traced.slices
    assert running["name"].endswith("outer (unfinished)") and traced.track(running) == MAIN
    (left,) = traced.of("i")
    assert left["name"].endswith("left (not started)") and traced.track(left) == MAIN


def test_what_the_main_thread_was_at_before(path: Path) -> None:
    block = trace(path)

    def outer(pinned):
        block.__enter__()

    boc.start(1, observe=True)
    when(PinnedCown([]))(outer)
    quiesce()
    block.__exit__(None, None, None)
    wait()
    (only,) = Traced(path).slices
    assert only["name"].endswith("outer") and only["ts"] == 0
    assert Traced(path).track(only) == MAIN


def test_how_long_a_behaviour_waits(path: Path, gate: Gate) -> None:
    a, b, other_cown = Cown(1), Cown(2), Cown(3)
    running = Gate()

    def holds(a):
        running.set()
        gate.wait()

    def waits(a, b):
        pass

    boc.start(1)
    with trace(path):
        result = when(a)(holds)
        assert running.wait(60)
        when(a, b)(waits)
        when(result)(lambda result: None)
        when(other_cown)(lambda cown: None)
        gate.set()
        wait()
    traced = Traced(path)
    by_name = dict(zip(traced.names, traced.slices))
    held, waiting = by_name["holds"], by_name["waits"]
    assert "waited for cowns (us)" not in held["args"]
    ((cown, waited),) = waiting["args"]["waited for cowns (us)"].items()
    (scheduled,) = [event["ts"] for event in traced.of("s") if traced._at(event)["name"].endswith("waits")]
    assert cown == repr(a)
    # Until it was given up.
    assert scheduled + waited == pytest.approx(held["ts"] + held["dur"], abs=0.01)
    of_result = f"<boc.Cown at {repr(result).split()[-1]}"
    (over_result,) = (event["args"] for event in traced.slices if event["args"]["cowns"] == [of_result])
    assert set(over_result["waited for cowns (us)"]) == {of_result}
    # That of another cown had it at once, and waited for the only worker.
    (other,) = (event["args"] for event in traced.slices if event["args"]["cowns"] == [repr(other_cown)])
    assert "waited for cowns (us)" not in other and other["waited for a worker (us)"] > 0


def test_what_has_not_ended_is_marked(path: Path, gate: Gate) -> None:
    cown, running = Cown(1), Gate()

    def runs(cown):
        running.set()
        gate.wait()

    def comes_next(cown):
        pass

    def cancelled(cown):
        pass

    with trace(path):
        when(cown)(runs)
        when(cown)(comes_next)
        assert running.wait(60)
    traced = Traced(path)
    assert traced.names == ["runs (unfinished)"]
    (event,) = traced.slices
    assert event["args"]["unfinished"] is True and event["dur"] > 0
    (instant,) = traced.of("i")
    assert instant["name"].endswith("comes_next (not started)") and instant["s"] == "t"
    gate.set()
    quiesce()
    with trace(path), cown:
        result = when(cown)(cancelled)
        assert result.cancel()
    with trace(path):
        with cown:
            assert when(cown)(cancelled).cancel()
        quiesce()
    (instant,) = Traced(path).of("i")
    assert instant["name"].endswith("cancelled (cancelled)")


def test_what_was_observed_before_is_in_it(path: Path, gate: Gate) -> None:
    boc.start(1, observe=True)
    cown, running = Cown(1), Gate()

    def runs(cown):
        running.set()
        gate.wait()

    def comes_next(cown):
        pass

    when(cown)(runs)
    when(cown)(comes_next)
    assert running.wait(60)
    with trace(path):
        gate.set()
        wait()
    traced = Traced(path)
    assert traced.names == ["runs", "comes_next"]
    assert traced.slices[0]["ts"] == 0
    assert traced.arrows == []


def test_what_was_not_observed_before_is_not_in_it(path: Path, gate: Gate) -> None:
    cown = Cown(1)

    @when(cown)
    def unknown(cown):
        gate.wait()

    with trace(path):
        when(cown)(lambda cown: None)
        gate.set()
        quiesce()
    when(cown)(lambda cown: None).result()
    assert Traced(path).names == ["<lambda>"]
    # It is as it was.
    assert boc._observation._state.wanted == set()


def test_workers_that_come_and_go(path: Path) -> None:
    def body():
        pass

    with trace(path):
        for workers in 1, 2:
            boc.start(workers)
            when()(body)
            wait()
    traced = Traced(path)
    assert traced.names == ["body", "body"]
    assert [name for name in traced.tracks.values() if "pool 2" in name] == [
        "outside of behaviours (pool 2)",
        "worker 0 (pool 2)",
        "worker 1 (pool 2)",
    ]
    assert traced.track(traced.slices[1]).endswith("(pool 2)")


def test_an_empty_block(path: Path) -> None:
    with trace(path):
        pass
    assert Traced(path).slices == []


def test_counts(path: Path) -> None:
    cown = Cown(1)
    with trace(path):
        with cown:
            for _ in range(5):
                when(cown)(lambda cown: None)
        wait()
    for event in Traced(path).of("C"):
        assert set(event["args"]) == {"waiting", "ready", "running"}
        assert 0 <= sum(event["args"].values()) <= 5


def test_many(path: Path) -> None:
    cowns = [Cown(0) for _ in range(8)]
    with trace(path):
        for number in range(5_000):
            when(cowns[number % 8])(lambda cown: None)
        wait()
    traced = Traced(path)
    assert traced.about["events lost"] == "0"
    assert len(traced.slices) == len(traced.arrows) == 5_000


def test_what_is_lost_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = boc._observation.Trace
    monkeypatch.setattr(boc._observation, "Trace", lambda *given: made(*given, 8))
    boc.start(1)
    cown = Cown(0)
    with trace(path):
        # Some of this comes between two looks at it.
        for _ in range(50):
            with boc.atomic():
                for _ in range(200):
                    when(cown)(lambda cown: None)
        quiesce()
    traced = Traced(path)
    assert int(traced.about["events lost"]) > 0
    assert len(traced.slices) < 10_000
    (record,) = [record for record in caplog.records if record.name == "boc"]
    assert record.getMessage() == (
        f"more happened than could be written: {path} lacks {traced.about['events lost']} events"
    )
    # The next one is whole.
    monkeypatch.undo()
    with trace(path):
        when(cown)(lambda cown: None)
        quiesce()
    assert Traced(path).about["events lost"] == "0"


@pytest.mark.parametrize("kind", [str, Path, os.fsencode], ids=["str", "Path", "bytes"])
def test_kinds_of_paths(path: Path, kind) -> None:
    path = path.with_name("Ω trace.json")
    with trace(kind(path)):
        when()(lambda: None)
        wait()
    assert Traced(path).names == ["<lambda>"]


def test_what_is_there_is_overwritten(path: Path) -> None:
    path.write_text("x" * 1_000_000)
    opened = trace(path)
    for _ in range(2):
        with opened:
            when()(lambda: None)
            wait()
        assert Traced(path).names == ["<lambda>"]


class TestErrors:
    @pytest.fixture
    def pipe(self, tmp_path: Path) -> Iterator[Path]:
        """A file whose reader goes away when something was written."""
        if not hasattr(os, "mkfifo"):
            pytest.skip("os.mkfifo")
        path = tmp_path / "pipe"
        os.mkfifo(path)

        def read() -> None:
            with open(path, "rb", buffering=0) as file:
                file.read(1)

        reader = threading.Thread(target=read)
        reader.start()
        yield path
        reader.join()

    @pytest.mark.parametrize("wrong", [1, None, object()])
    def test_no_path(self, wrong: object) -> None:
        with pytest.raises(TypeError):
            trace(wrong)  # type: ignore[arg-type]

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere" / "out.json"
        with pytest.raises(FileNotFoundError) as caught, trace(path):
            raise AssertionError("the block is not entered")
        assert caught.value.filename == str(path)
        assert caught.value.strerror == os.strerror(caught.value.errno)
        with trace(tmp_path / "out.json"):
            pass

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError), trace(tmp_path):
            pass

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full")
    def test_no_space(self, caplog: pytest.LogCaptureFixture, path: Path) -> None:
        with pytest.raises(OSError) as caught, trace("/dev/full"):
            raise AssertionError("the block is not entered")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")
        assert caplog.records == []
        with trace(path):
            pass

    def test_nobody_reads_any_more(self, pipe: Path) -> None:
        with pytest.raises(BrokenPipeError) as caught, trace(pipe):
            when()(lambda: None)
            wait()
        assert caught.value.filename == str(pipe)

    def test_nobody_reads_any_more_and_the_block_raises(
        self, pipe: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(KeyError, match="mine"), trace(pipe):
            for _ in range(200):
                when()(lambda: None)
            wait()
            raise KeyError("mine")
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith("a trace could not be written: [Errno ")

    def test_a_block_that_raises(self, path: Path) -> None:
        with pytest.raises(KeyError, match="mine"), trace(path):
            when()(lambda: None)
            wait()
            raise KeyError("mine")
        assert Traced(path).names == ["<lambda>"]

    def test_a_behaviour_that_raises(self, path: Path) -> None:
        with trace(path):
            result = when()(lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                result.result()
            wait()
        assert Traced(path).names == ["<lambda>"]

    def test_one_at_a_time(self, path: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.json"
        with trace(path) as outer:
            for again in outer, trace(other), trace(path):
                with pytest.raises(RuntimeError, match=f"is being written already, to '{path}'"), again:
                    raise AssertionError("the block is not entered")
            raised = []

            def in_a_thread():
                try:
                    trace(other).__enter__()
                except RuntimeError as error:
                    raised.append(error)

            thread = threading.Thread(target=in_a_thread)
            thread.start()
            thread.join()
            assert len(raised) == 1
            when()(lambda: None)
            wait()
        assert Traced(path).names == ["<lambda>"]
        assert not other.exists()


@pytest.mark.by_value
def test_the_interpreter_of_a_worker_cannot(path: Path) -> None:
    def body():
        with boc.trace(path):
            pass

    with pytest.raises(RuntimeError, match="only the main program"):
        when()(body).result()


ENDS = {
    "sys.exit": ("with boc.trace(path):\n    use()\n    sys.exit(3)", 3),
    "exception": ("with boc.trace(path):\n    use()\n    raise SystemExit(4)", 4),
    "the block goes on": ("kept = boc.trace(path)\nkept.__enter__()\nuse()", 0),
    "a generator": (
        "def generate():\n    with boc.trace(path):\n        use()\n        yield\ngenerated = generate()\nnext(generated)",
        0,
    ),
    "a thread": (
        "def block():\n    with boc.trace(path):\n        use()\n        inside.set()\n        threading.Event().wait()\n"
        "inside = threading.Event()\nthreading.Thread(target=block, daemon=True).start()\ninside.wait()",
        0,
    ),
}


@pytest.mark.parametrize("way", ENDS)
def test_the_end_of_the_program_inside_of_a_block(program, path: Path, way: str) -> None:
    source, status = ENDS[way]
    head = f"import boc, sys, threading\npath = {str(path)!r}\ndef use(): boc.when()(lambda: None).result()\n"
    done = program(head + source)
    assert (done.returncode, done.stderr) == (status, "")
    assert Traced(path).names == ["<lambda>"]


def test_what_still_runs_at_the_end_of_the_program(program, path: Path) -> None:
    done = program(
        f"""
        import boc, crossing
        gate, running = crossing.Gate(), crossing.Gate()
        kept = boc.trace({str(path)!r})
        kept.__enter__()
        @boc.when(boc.Cown(1))
        def body(cown):
            running.set()
            gate.wait(0.2)
        running.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Traced(path).names == ["body"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_a_child_writes_nothing_of_it(program, path: Path) -> None:
    other = path.with_name("other.json")
    done = program(
        f"""
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import boc
        def of_the_parent(): pass
        def of_the_child(): pass
        with boc.trace({str(path)!r}):
            boc.when()(of_the_parent).result()
            pid = os.fork()
            if pid == 0:
                boc.when()(of_the_child).result()
                boc.wait()
                with boc.trace({str(other)!r}):
                    boc.when()(of_the_child).result()
                    boc.wait()
            else:
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
                boc.when()(of_the_parent).result()
                boc.wait()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Traced(path).names == ["of_the_parent"] * 2
    assert Traced(other).names == ["of_the_child"]


def test_names_that_json_has_to_escape(path: Path) -> None:
    def body():
        pass

    body.__qualname__ = 'quotes " and \\ and\nlines and Ω'
    with trace(path):
        boc.whencall(body, [], [])
        wait()
    assert [event["name"] for event in Traced(path).slices] == ['quotes " and \\ and\nlines and Ω']


def test_a_scope_and_a_block_of_atomic(path: Path) -> None:
    cown = Cown(1)

    def in_scope(cown):
        pass

    def in_atomic(cown):
        pass

    with trace(path):
        with boc.scope():
            when(cown)(in_scope)
        with boc.atomic():
            when(cown)(in_atomic)
        wait()
    assert Traced(path).names == ["in_scope", "in_atomic"]
