"""Exceptions of bodies: kept with their traceback, and logged once if nobody looks."""

from __future__ import annotations

import gc
import logging
import sys
import traceback

import pytest

import boc
from boc import Cown, quiesce, wait, when
from crossing import Gate, arrived, shown


class Odd(BaseException):
    pass


def fails():
    def deeper():
        raise ValueError("sorry")

    deeper()


def logged(caplog: pytest.LogCaptureFixture) -> list[BaseException]:
    """The exceptions that were logged to the logger `boc` as errors."""
    records = [r for r in caplog.records if r.name == "boc" and r.levelno == logging.ERROR]
    return [record.exc_info[1] for record in records]


def settle() -> None:
    """Lets everything end that nobody refers to."""
    wait()
    gc.collect()


def frames(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_the_traceback_leads_to_the_line_of_the_body() -> None:
    result = when()(fails)
    with pytest.raises(ValueError) as caught:
        result.result()
    quiesce()
    with pytest.raises(ValueError) as again:
        result.unwrap()
    for error in caught.value, again.value:
        assert str(error) == "sorry"
        text = shown(error)
        assert "in fails\n" in text and "in deeper\n" in text
        assert 'raise ValueError("sorry")' in text
        assert __file__ in text


@pytest.mark.by_reference("a copy has its traceback as text")
def test_the_traceback_is_that_of_the_body() -> None:
    with pytest.raises(ValueError) as caught:
        when()(fails).result()
    assert frames(caught.value)[-2:] == ["fails", "deeper"]
    with pytest.raises(ValueError) as caught:
        result = when()(fails)
        quiesce()
        result.unwrap()
    assert frames(caught.value)[-2:] == ["fails", "deeper"]


def fails_by_another():
    try:
        fails()
    except ValueError as error:
        raise KeyError("other") from error


def test_the_cause_is_shown() -> None:
    with pytest.raises(KeyError) as caught:
        when()(fails_by_another).result()
    text = shown(caught.value)
    for part in "in deeper\n", "ValueError: sorry", "in fails_by_another\n", "KeyError: 'other'":
        assert part in text


@pytest.mark.by_reference("a copy has its traceback, and its cause, as text")
def test_the_cause_is_kept() -> None:
    with pytest.raises(KeyError) as caught:
        when()(fails_by_another).result()
    assert isinstance(caught.value.__cause__, ValueError)
    assert frames(caught.value.__cause__)[-2:] == ["fails", "deeper"]


def test_others_go_on() -> None:
    cown = Cown(0)

    def body(cown, n):
        cown.value += 1
        if n % 2:
            raise ValueError

    results = [boc.whencall(body, [cown], [n]) for n in range(100)]
    assert [result.exception for result in results] == [False, True] * 50
    assert when(cown)(lambda cown: cown.value).result() == 100


def test_what_the_body_did_before_stays_done() -> None:
    cown = Cown([])

    @when(cown)
    def body(cown):
        cown.value.append(1)
        fails()

    assert body.exception
    assert when(cown)(lambda cown: cown.value).result() == [1]


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), SystemExit(), KeyboardInterrupt(), GeneratorExit(), Odd("odd"), MemoryError()],
    ids=repr,
)
def test_no_exception_ends_a_worker(error: BaseException) -> None:
    boc.start(1)

    @when()
    def body():
        raise error

    with pytest.raises(type(error)) as caught:
        body.result()
    assert arrived(caught.value, error)
    assert when()(lambda: 1).result() == 1


def test_sys_exit_in_a_body_does_not_end_the_program() -> None:
    with pytest.raises(SystemExit) as caught:
        when()(lambda: sys.exit("over")).result()
    assert caught.value.code == "over"


def test_one_exception_of_two_behaviours() -> None:
    error = ValueError("one")

    def body():
        raise error

    first, second = when()(body), when()(body)
    for result in first, second:
        with pytest.raises(ValueError) as caught:
            result.result()
        assert arrived(caught.value, error)


class TestLogging:
    def test_when_the_result_is_dropped(self, caplog: pytest.LogCaptureFixture) -> None:
        when()(fails)
        settle()
        (error,) = logged(caplog)
        assert isinstance(error, ValueError)
        (record,) = [r for r in caplog.records if r.name == "boc"]
        assert "nobody looked at" in record.getMessage()
        assert "in deeper" in caplog.text and "ValueError: sorry" in caplog.text

    def test_when_the_result_is_dropped_before_the_behaviour_runs(
        self, caplog: pytest.LogCaptureFixture, gate: Gate
    ) -> None:
        def body():
            gate.wait(30)
            fails()

        when()(body)
        gc.collect()
        assert logged(caplog) == []
        gate.set()
        settle()
        assert len(logged(caplog)) == 1

    def test_when_the_name_is_bound_anew(self, caplog: pytest.LogCaptureFixture) -> None:
        result = when()(fails)
        quiesce()
        assert logged(caplog) == []
        result = None  # noqa: F841
        settle()
        assert len(logged(caplog)) == 1

    def test_in_a_loop_each_once(self, caplog: pytest.LogCaptureFixture) -> None:
        for n in range(20):

            @when()
            def body(n=n):
                raise ValueError(n)

        del body
        settle()
        assert sorted(error.args[0] for error in logged(caplog)) == list(range(20))
        gc.collect()
        assert len(logged(caplog)) == 20

    def test_when_the_result_is_in_a_cycle(self, caplog: pytest.LogCaptureFixture) -> None:
        def schedule():
            results = []

            def body():
                results  # noqa: B018
                fails()

            results.append(when()(body))

        schedule()
        settle()
        assert len(logged(caplog)) == 1

    @pytest.mark.parametrize("look", ["result", "unwrap", "exception", "flag in a body"])
    def test_not_when_somebody_looked(
        self, caplog: pytest.LogCaptureFixture, look: str
    ) -> None:
        result = when()(fails)
        quiesce()
        if look == "result":
            with pytest.raises(ValueError):
                result.result()
        elif look == "unwrap":
            with pytest.raises(ValueError):
                result.unwrap()
        elif look == "exception":
            assert result.exception
        else:
            assert when(result)(lambda result: result.exception).result()
        del result
        settle()
        assert logged(caplog) == []

    def test_when_a_body_takes_it_for_a_value(self, caplog: pytest.LogCaptureFixture) -> None:
        result = when()(fails)
        doubled = when(result)(lambda result: result.value * 2)
        with pytest.raises(TypeError):
            doubled.result()
        del result, doubled
        settle()
        assert len(logged(caplog)) == 1

    def test_waiting_for_all_is_not_looking(self, caplog: pytest.LogCaptureFixture) -> None:
        result = when()(fails)
        when(result)(lambda result: None).result()
        quiesce()
        repr(result), hash(result), result == result, result.acquired
        del result
        settle()
        assert len(logged(caplog)) == 1

    def test_on_the_worker_with_what_is_pending_there(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The end of a result must not disturb the exception that is just being raised."""
        holder = Cown(when()(fails))
        quiesce()

        @when(holder)
        def body(holder):
            try:
                raise KeyError("mine")
            finally:
                holder.value = None

        with pytest.raises(KeyError, match="mine"):
            body.result()
        settle()
        assert len(logged(caplog)) == 1

    def test_a_handler_may_schedule(self) -> None:
        seen = Cown([])

        class Handler(logging.Handler):
            def emit(self, record):
                error = record.exc_info[1]
                when(seen)(lambda seen: seen.value.append(error))

        handler = Handler()
        logging.getLogger("boc").addHandler(handler)
        try:
            for _ in range(10):
                when()(fails)
            quiesce()
        finally:
            logging.getLogger("boc").removeHandler(handler)
        assert len(when(seen)(lambda seen: seen.value).result()) == 10

    def test_a_handler_that_raises_is_no_harm(self, caplog: pytest.LogCaptureFixture) -> None:
        class Handler(logging.Handler):
            def emit(self, record):
                raise RuntimeError("broken handler")

        broken = Handler()
        logging.getLogger("boc").addHandler(broken)
        raised = []
        hook, sys.unraisablehook = sys.unraisablehook, raised.append
        try:
            when()(fails)
            settle()
        finally:
            sys.unraisablehook = hook
            logging.getLogger("boc").removeHandler(broken)
        assert [str(entry.exc_value) for entry in raised] == ["broken handler"]
        assert when()(lambda: 1).result() == 1

    def test_at_exit_for_results_that_are_still_alive(self, program) -> None:
        done = program(
            """
            from boc import wait, when

            @when()
            def kept():
                raise ValueError("kept")

            @when()
            def dropped():
                raise ValueError("dropped")
            del dropped

            @when()
            def looked():
                raise ValueError("looked")

            assert looked.exception
            wait()
            """
        )
        assert done.returncode == 0
        assert "ValueError: kept" in done.stderr
        assert "ValueError: dropped" in done.stderr
        assert done.stderr.count("nobody looked at") == 2
        assert "looked" not in done.stderr.replace("nobody looked", "")

    def test_at_exit_without_wait(self, program) -> None:
        done = program(
            """
            from boc import when
            from crossing import Gate

            running = Gate()

            @when()
            def kept():
                running.set()
                raise ValueError("kept")

            running.wait(30)
            """
        )
        assert done.returncode == 0
        assert "ValueError: kept" in done.stderr
        assert done.stderr.count("nobody looked at") == 1
