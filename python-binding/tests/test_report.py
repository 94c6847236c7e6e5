"""report() says who runs, since when, who waits for whom, and what to do to see more."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator

import pytest

import boc
from boc import Cown, PinnedCown, pump, quiesce, report, report_text, start, when
from crossing import Gate, Log

SPAN = r"[\d.]+ (µs|ms|s)"


def lines() -> list[str]:
    return report_text().splitlines()


def is_reported(pattern: str) -> None:
    assert re.search(pattern, report_text(), re.MULTILINE), report_text()


def blocked(*cowns: Cown) -> tuple[Gate, Cown]:
    """A behaviour that is running, and what it waits for."""
    running, gate = Gate(), Gate()

    def block(*_):
        running.set()
        gate.wait()

    result = when(*cowns)(block)
    assert running.wait(60)
    return gate, result


def cown_of(pinned: PinnedCown) -> str:
    """A pattern for how a pinned cown is shown, of which the address alone is known."""
    return rf"<boc\.Cown at {repr(pinned).split()[-1]}"


class TestWhatRuns:
    @pytest.fixture(autouse=True)
    def observed(self, fresh_runtime: None) -> None:
        start(2, observe=True)

    def test_nothing(self) -> None:
        assert lines() == [f"boc: 2 workers ({boc.backend()}); nothing runs, and nothing waits"]
        when(Cown(1))(lambda cown: None)
        quiesce()
        assert lines() == [f"boc: 2 workers ({boc.backend()}); nothing runs, and nothing waits"]

    def test_who_runs_and_what_it_holds(self) -> None:
        a, b = Cown(1), Cown(2)
        gate, _ = blocked(a, b)
        is_reported(rf"^#1 blocked\.<locals>\.block \({re.escape(__file__)}:\d+\): running for {SPAN}, on worker [01]$")
        is_reported(rf"^    holds {re.escape(repr(a))}$")
        is_reported(rf"^    holds {re.escape(repr(b))}$")
        assert lines()[0].endswith("; 1 behaviour not ended")
        gate.set()

    def test_who_waits_for_whom(self) -> None:
        a, b = Cown(1), Cown(2)
        gate, _ = blocked(a)

        def later(a, b):
            pass

        when(a, b)(later)
        when(b)(lambda b: None)
        is_reported(rf"^    in the way of #2 .*\.later, which has been waiting for {SPAN}$")
        is_reported(rf"^#2 .*\.later \(.*:{later.__code__.co_firstlineno}\): waiting for {SPAN}$")
        is_reported(rf"^    for {re.escape(repr(a))}, behind #1 blocked\.<locals>\.block$")
        is_reported(rf"^    holds {re.escape(repr(b))}$")
        is_reported(rf"^    for {re.escape(repr(b))}, behind #2 .*\.later$")
        gate.set()

    def test_who_waits_for_a_result(self) -> None:
        gate, result = blocked()
        when(result)(lambda result: None)
        is_reported(rf"^    for {re.escape(repr(result))} of #1 blocked\.<locals>\.block$")
        is_reported("^    in the way of #2 ")
        gate.set()

    def test_who_waits_for_a_thread(self) -> None:
        cown = Cown(1)
        with cown:
            when(cown)(lambda cown: None)
            is_reported(rf"^    for {re.escape(repr(cown))}, which somebody holds who is not observed, such as a thread")

    def test_who_waits_for_a_worker(self) -> None:
        gates = [blocked()[0] for _ in range(2)]
        when()(lambda: None)
        is_reported(rf"^#3 .*<lambda> \(.*\): waiting for a worker for {SPAN}$")
        for gate in gates:
            gate.set()

    def test_the_one_that_waits_longest_comes_first_and_many_are_counted(self) -> None:
        cown = Cown(0)
        with cown:
            for _ in range(500):
                when(cown)(lambda cown: None)
            told = lines()
            assert "500 behaviours not ended" in told[0]
            waiting = [line for line in told if line.startswith("#")]
            assert [line.split()[0] for line in waiting] == [f"#{number}" for number in range(1, 21)]
            assert told[-1] == "waiting for cowns: 480 more"
            assert "    for " in told[-2] and "behind #1 " in told[-2] and told[-2].endswith("and 18 more")

    def test_many_that_wait_for_one(self) -> None:
        cown = Cown(0)
        gate, _ = blocked(cown)
        for _ in range(30):
            when(cown)(lambda cown: None)
        assert sum("in the way of #" in line for line in lines()) == 5
        assert "    in the way of 25 more" in lines()
        gate.set()

    def test_behaviours_of_a_block_and_of_behaviours(self) -> None:
        cown, made = Cown(0), Gate()

        def outer(cown):
            def inner(cown):
                pass

            when(cown)(inner)
            made.set()
            gate.wait()

        def in_block(cown):
            pass

        gate = Gate()
        with boc.atomic():
            when(cown)(outer)
            when(cown)(in_block)
        assert made.wait(60)
        is_reported(r"^#\d+ .*outer\.<locals>\.inner \(")
        is_reported(r"^#\d+ .*\.in_block \(")
        gate.set()

    def test_who_waits_for_the_main_thread(self) -> None:
        a, pinned = Cown(1), PinnedCown([])
        gate, _ = blocked(a)
        seen: list[str] = []

        def shows(pinned, a):
            seen.append(report_text())

        def follows(pinned):
            pass

        shown = when(pinned, a)(shows)
        when(pinned)(follows)
        where = re.escape(f"{__file__}:{shows.__code__.co_firstlineno}")
        is_reported(rf"^#2 .*\.shows \({where}\): waiting for {SPAN}$")
        is_reported(rf"^    for {re.escape(repr(a))}, behind #1 blocked\.<locals>\.block$")
        is_reported(rf"^    holds {cown_of(pinned)}$")
        is_reported(rf"^    for {cown_of(pinned)}, behind #2 .*\.shows$")
        is_reported(rf"^    in the way of #2 .*\.shows, which has been waiting for {SPAN}$")
        assert "not known by name" not in report_text()

        wait_for_pinned = boc._pinned.wait_for_pinned
        came = wait_for_pinned(-1 % 2**64)
        gate.set()
        is_ready = rf"^#2 .*\.shows \({where}\): waiting for {SPAN} for the main thread to pump$"
        while not re.search(is_ready, report_text(), re.MULTILINE):
            came = wait_for_pinned(came)
        is_reported(rf"^    holds {cown_of(pinned)}$")
        is_reported(rf"^    holds {re.escape(repr(a))}$")
        is_reported(rf"^#3 .*\.follows \(.*\): waiting for {SPAN}$")

        shown.result()
        (text,) = seen
        running = rf"^#2 .*\.shows \({where}\): running for {SPAN}, in the main thread, which pumps$"
        assert re.search(running, text, re.MULTILINE), text
        assert re.search(rf"^    in the way of #3 .*\.follows, which has", text, re.MULTILINE), text
        quiesce()
        assert lines() == [f"boc: 2 workers ({boc.backend()}); nothing runs, and nothing waits"]

    def test_many_that_wait_for_the_main_thread(self) -> None:
        pinned = [PinnedCown(number) for number in range(25)]
        for one in pinned:
            when(one)(lambda pinned: None)
        assert sum(line.endswith("for the main thread to pump") for line in lines()) == 20
        assert lines()[-1] == "waiting for the main thread to pump: 5 more"
        quiesce()

    def test_one_that_is_cancelled_is_gone(self) -> None:
        results = [when(PinnedCown(1))(lambda pinned: None) for _ in range(2)]
        assert results[0].cancel()
        # What is left of it is cleared away when it is its turn.
        assert pump().executed == 1
        assert lines() == [f"boc: 2 workers ({boc.backend()}); nothing runs, and nothing waits"]

    def test_those_of_a_scope_and_a_block(self) -> None:
        def in_scope(pinned):
            pass

        def in_block(pinned):
            pass

        with boc.scope():
            with boc.atomic():
                when(PinnedCown(1))(in_block)
            when(PinnedCown(1))(in_scope)
            is_reported(rf"^#1 .*\.in_block \(.*\): waiting for {SPAN} for the main thread to pump$")
            is_reported(rf"^#2 .*\.in_scope \(.*\): waiting for {SPAN} for the main thread to pump$")
        assert lines() == [f"boc: 2 workers ({boc.backend()}); nothing runs, and nothing waits"]

    def test_it_can_be_switched_off_and_on(self) -> None:
        cown = Cown(0)
        with cown:
            when(cown)(lambda cown: None)
            start(observe=False)
            when(cown)(lambda cown: None)
            assert "2 behaviours not ended" in lines()[0]
            is_reported("^#1 ")
            is_reported(r"^1 behaviour not known by name: call start\(observe=True\), or set BOC_OBSERVE=1")
            start()
            assert "^#3" not in report_text()
            start(observe=True)
            when(cown)(lambda cown: None)
            is_reported("^#2 ")
            is_reported("^1 behaviour not known by name, scheduled before the workers were observed$")
        quiesce()

    def test_the_next_workers_are_not_observed(self) -> None:
        boc.wait()
        cown = Cown(0)
        with cown:
            when(cown)(lambda cown: None)
            is_reported("^1 behaviour not known by name: call")

    def test_where_it_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        report()
        assert capsys.readouterr().out == report_text() + "\n"
        out = io.StringIO()
        report(out)
        assert out.getvalue() == report_text() + "\n"
        assert capsys.readouterr() == ("", "")


class Thing:
    def method(self, cown: Cown) -> None:
        pass

    def __call__(self, cown: Cown) -> None:
        pass


def function(cown: Cown, extra: object = None) -> None:
    pass


def renamed(cown: Cown) -> None:
    pass


renamed.__qualname__ = "something.else"


class TestNames:
    @pytest.fixture(autouse=True)
    def held(self, fresh_runtime: None) -> Iterator[Cown]:
        start(1, observe=True)
        cown = Cown(0)
        with cown:
            self.cown = cown
            yield cown

    def name(self, callable: object) -> str:
        when(self.cown)(callable)  # type: ignore[call-overload]
        (line,) = (line for line in lines() if line.startswith("#"))
        found = re.fullmatch(rf"#1 (.*): waiting for {SPAN}", line)
        assert found is not None, line
        return found[1]

    def where(self, function) -> str:
        return f"({function.__code__.co_filename}:{function.__code__.co_firstlineno})"

    def test_a_function(self) -> None:
        assert self.name(function) == f"function {self.where(function)}"

    def test_a_lambda(self) -> None:
        body = lambda cown: None  # noqa: E731
        assert self.name(body) == f"TestNames.test_a_lambda.<locals>.<lambda> {self.where(body)}"

    def test_a_method(self) -> None:
        assert self.name(Thing().method) == f"Thing.method {self.where(Thing.method)}"

    def test_a_partial(self) -> None:
        partial = functools.partial(functools.partial(function), extra=1)
        assert self.name(partial) == f"function {self.where(function)}"

    def test_an_object(self) -> None:
        assert self.name(Thing()) == "Thing"

    def test_a_builtin(self) -> None:
        assert self.name(repr) == "repr"

    def test_another_name(self) -> None:
        assert self.name(renamed) == f"something.else {self.where(renamed)}"

    def test_wrappers_share_their_code(self) -> None:
        def wrap(inner):
            @functools.wraps(inner)
            def wrapper(cown):
                return inner(cown)

            return wrapper

        for inner in function, renamed:
            boc.whencall(wrap(inner), [self.cown], [])
        is_reported("^#1 function ")
        is_reported(r"^#2 something\.else ")

    def test_more_functions_than_are_remembered(self) -> None:
        for number in range(1100):
            scope: dict[str, object] = {}
            exec(compile(f"\n\ndef f{number}(cown): pass", "made.py", "exec"), scope)
            when(self.cown)(scope[f"f{number}"])  # type: ignore[call-overload]
        is_reported(r"^#1 f0 \(made\.py:3\)")
        assert "waiting for cowns: 1080 more" in lines()


class TestNotObserved:
    def test_no_workers(self) -> None:
        assert lines() == ["boc: no workers; the first behaviour starts them, or start()"]

    def test_what_is_known_all_the_same(self) -> None:
        start(1)
        when(Cown(0))(lambda cown: None)
        quiesce()
        gate, _ = blocked()
        assert lines() == [
            f"boc: 1 worker ({boc.backend()}); 1 behaviour not ended",
            "1 behaviour not known by name: call start(observe=True), or set BOC_OBSERVE=1, to see more",
            "    worker 0 has run 1 behaviour",
        ]
        gate.set()

    def test_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BOC_OBSERVE", "1")
        gate, _ = blocked()
        is_reported("^#1 blocked")
        gate.set()
        boc.wait()
        start(1, observe=False)
        gate, _ = blocked()
        is_reported("^1 behaviour not known by name")
        gate.set()
        boc.wait()
        monkeypatch.setenv("BOC_OBSERVE", "0")
        gate, _ = blocked()
        is_reported("^1 behaviour not known by name")
        gate.set()

    def test_a_bad_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BOC_OBSERVE", "yes")
        with pytest.raises(ValueError, match="BOC_OBSERVE must be 0 or 1, not 'yes'"):
            when(Cown(1))(lambda cown: None)

    @pytest.mark.parametrize("wrong", [1, "yes", 0])
    def test_the_wrong_type(self, wrong: object) -> None:
        with pytest.raises(TypeError, match="observe must be a bool or None, not"):
            start(observe=wrong)  # type: ignore[arg-type]


@pytest.mark.by_reference("workers with interpreters of their own do not know of others")
def test_a_behaviour_can_report() -> None:
    start(1, observe=True)
    assert "running for" in when()(report_text).result()


@pytest.mark.by_value
@pytest.mark.parametrize("name", ["report", "report_text"])
def test_the_interpreter_of_a_worker_cannot(name: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{name}\(\) inside of a worker's interpreter: only the main program"):
        when()(lambda: getattr(boc, name)()).result()


def test_reports_while_much_happens(log: Log) -> None:
    start(2, observe=True)
    cowns = [Cown(0) for _ in range(4)]
    for number in range(400):
        when(cowns[number % 4], cowns[(number * 7 + 1) % 4])(lambda *_: None)
        if number % 10 == 0:
            assert report_text().startswith("boc: 2 workers")
    quiesce()
    assert "nothing runs" in report_text()


def test_a_child_has_no_workers_to_report(program) -> None:
    done = program(
        """
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import boc
        boc.start(1, observe=True)
        boc.when()(lambda: None).result()
        pid = os.fork()
        if pid == 0:
            assert boc.report_text().startswith("boc: no workers")
            boc.start(2, observe=True)
            boc.when()(lambda: None).result()
            boc.quiesce()
            assert "2 workers" in boc.report_text()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert "1 worker" in boc.report_text()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
