"""The fixture `boc_runtime`: nothing is left of a test when the next one begins, and nothing fails unseen."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

HEAD = """\
import threading, time
import boc, pytest
from boc import *
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Runs a module of tests in a process of its own."""

    def run(source: str, *options: str, ini: str = "") -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + textwrap.dedent(source))
        pytester.makeini(f"[pytest]\n{ini}")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)

    return run


def test_a_test_that_leaves_nothing(run) -> None:
    done = run(
        """
    ended = Cown(0)
    def test_first(boc_runtime):
        assert boc_runtime is None
        start(3)
        notice_write("key", 1)
        set_tags(["tag"], limit=1)
        send("tag", 1)
        @when(ended)
        def later(ended):
            time.sleep(0.1)
            @when(ended)
            def even_later(ended):
                ended.value += 1
    def test_second(boc_runtime):
        assert stats() == []
        with ended as value:
            assert value == 1
        assert noticeboard() == {}
        assert receive("tag", 0) == (TIMEOUT, None)
        send("tag", 1)
        send("tag", 2)
    """
    )
    done.assert_outcomes(passed=2)
    assert "boc" not in done.stderr.str()


def test_exceptions_that_nobody_looked_at(run) -> None:
    done = run(
        """
    kept = []
    def test_kept(boc_runtime):
        @when()
        def fails():
            raise ValueError("kept")
        kept.append(fails)
    def test_dropped(boc_runtime):
        @when()
        def fails():
            raise ValueError("dropped")
        del fails
    def test_two_from_inside(boc_runtime):
        @when(Cown([1]))
        def outer(cown):
            @when(cown)
            def inner(cown):
                cown.append(2)
            raise ValueError("outer")
    def test_looked_at(boc_runtime):
        @when()
        def fails():
            raise ValueError("looked at")
        with pytest.raises(ValueError):
            fails.result()
    def test_next(boc_runtime):
        pass
    """
    )
    done.assert_outcomes(passed=5, errors=3)
    text = done.stdout.str()
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_kept*",
            "1 behaviour has raised what nobody looked at (see result(), unwrap(), exception):",
            "Traceback (most recent call last):",
            '  File "*test_it.py", line *, in fails',
            "ValueError: kept",
            "*ERROR at teardown of test_dropped*",
            "ValueError: dropped",
            "*ERROR at teardown of test_two_from_inside*",
            "2 behaviours have raised what nobody looked at (see result(), unwrap(), exception):",
        ]
    )
    assert "ValueError: outer" in text
    assert "AttributeError: 'boc.Cown' object has no attribute 'append'" in text
    assert "looked at\n" not in text.replace("nobody looked at", "")
    assert "_testing.py" not in text and "_unseen.py" not in text
    # They are shown, so they are not logged as well.
    assert "nobody looked at" not in done.stderr.str()


def test_asserts_of_bodies_say_what_was_compared(run) -> None:
    done = run(
        """
    def test_it(boc_runtime):
        @when(Cown([1, 2]))
        def check(cown):
            assert cown.value == [1, 3]
    """
    )
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["AssertionError: assert ?1, 2? == ?1, 3?"])


WAITS = """
    @pytest.mark.boc(timeout=0.2)
    def test_does_not_end(boc_runtime):
        start(2)
        cown = Cown(0)
        @when(cown)
        def runs_on(cown):
            send("running", None)
            {body}
        @when(cown)
        def waits(cown):
            raise ValueError("did not wait")
        receive("running", 60)
    def test_next(boc_runtime):
        assert stats() == []
        assert when(Cown(2))(lambda cown: cown.value).result() == 2
"""


def test_what_does_not_end_in_time(run, backend: str) -> None:
    done = run(WAITS.format(body="while True: time.sleep(0.01)"))
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_does_not_end*",
            "behaviours still running or waiting when the time ran out: 2 (0.2 s after the test)",
            "what the workers have done:",
            "  worker_index 0, run *",
            "  worker_index 1, run *",
            "what other threads are doing:",
            "behaviours were interrupted here:",
            '  File "*test_it.py", line *, in runs_on',
            "SystemExit",
        ]
    )
    stacks = done.stdout.str().partition("what other threads are doing:")[2].partition("interrupted here")[0]
    assert ("in runs_on" in stacks) is (backend == "direct")
    assert ("interpreters of their own" in stacks) is (backend == "subinterpreters")
    assert "did not wait" not in done.stdout.str().replace('ValueError("did not wait")', "")
    assert done.ret == 1


def test_what_cannot_be_interrupted_is_left_behind(run, backend: str) -> None:
    done = run(WAITS.format(body="time.sleep(60)"))
    done.assert_outcomes(passed=2, errors=1)
    assert done.ret == 1
    stuck = "the process ends here, with status 1" in done.stderr.str()
    assert stuck is (backend == "subinterpreters")
    for bad in "Fatal", "panicked", "Segmentation":
        assert bad not in done.stderr.str()


def test_callbacks_of_results_are_waited_for(run) -> None:
    done = run(
        """
    called, gate = [], threading.Event()
    def test_slow(boc_runtime):
        def callback(result):
            time.sleep(0.2)
            called.append(result.result())
        when()(lambda: 1).add_done_callback(callback)
    def test_next(boc_runtime):
        assert called == [1]
    @pytest.mark.boc(timeout=0.2)
    def test_endless(boc_runtime):
        when()(lambda: 1).add_done_callback(lambda _: gate.wait(30))
    def test_last():
        gate.set()
    """
    )
    done.assert_outcomes(passed=4, errors=1)
    done.stdout.fnmatch_lines(["callbacks of results were still running 0.2 s after the test"])


def test_what_others_have_left(run) -> None:
    done = run(
        """
    kept, gate = [], Cown(0)
    def test_without():
        kept.append(when()(lambda: 1 / 0))
        when(gate)(lambda gate: time.sleep(0.2))
    def test_with(boc_runtime):
        assert stats() == []
    """,
        "-rA",
    )
    done.assert_outcomes(passed=2)
    # It is not the fault of this test, but not lost either.
    done.stdout.fnmatch_lines(["*ZeroDivisionError: division by zero*"])


def test_what_others_have_left_that_does_not_end(run) -> None:
    done = run(
        """
    def test_without():
        @when()
        def endless():
            send("running", None)
            while True: time.sleep(0.01)
        receive("running", 60)
    @pytest.mark.boc(timeout=0.1)
    def test_with(boc_runtime):
        pass
    def test_next(boc_runtime):
        assert when()(lambda: 1).result() == 1
    """
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*ERROR at setup of test_with*", "left by somebody else, before this test:"])


def test_exceptions_can_be_left_to_the_log(run) -> None:
    done = run(
        """
    @pytest.mark.boc(unseen="log")
    def test_it(boc_runtime, caplog):
        when()(lambda: 1 / 0)
        wait()
        assert "ZeroDivisionError" in caplog.text
    """
    )
    done.assert_outcomes(passed=1)


ALL = """
    left = []
    def test_first():
        left.append(when()(lambda: time.sleep(0.1)))
    def test_second():
        assert stats() == [] and left[0].done()
    class TestClass:
        def test_method(self):
            left.append(when()(lambda: 1 / 0))
    import unittest
    class Case(unittest.TestCase):
        def test_case(self):
            self.assertEqual(stats(), [])
            left.append(when()(lambda: 1 / 0))
"""


def test_for_all_tests(run) -> None:
    done = run(ALL, ini="boc_autouse = true")
    done.assert_outcomes(passed=4, errors=2)


def test_for_none_but_who_asks(run) -> None:
    done = run(ALL.replace("assert stats() == [] and left[0].done()", "assert len(stats()) > 0"))
    done.assert_outcomes(passed=3, failed=1)
    assert "test_case" in done.stdout.str()


def test_the_timeout_can_be_configured(run) -> None:
    source = WAITS.format(body="while True: time.sleep(0.01)").replace("@pytest.mark.boc(timeout=0.2)", "")
    done = run(source, ini="boc_timeout = 0.3")
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*2 (0.3 s after the test)"])


@pytest.mark.once
@pytest.mark.parametrize("given", ["soon", "-1", "nan"])
def test_no_timeout(run, given: str) -> None:
    done = run("def test_it(): pass", ini=f"boc_timeout = {given}")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    said = f"boc_timeout in the configuration of pytest must be a number of seconds, not '{given}'"
    assert said in done.stderr.str()


@pytest.mark.once
@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("timeout='soon'", "timeout of the marker boc must be a number of seconds, not 'soon'"),
        ("timeout=-1", "timeout of the marker boc must be a number of seconds, not -1"),
        ("5", "the marker boc has timeout= and unseen=, not 5"),
        ("time=5", "the marker boc has timeout= and unseen=, not time"),
        ("unseen=False", "unseen of the marker boc must be 'fail' or 'log', not False"),
    ],
)
def test_a_wrong_marker(run, marker: str, message: str) -> None:
    done = run(f"@pytest.mark.boc({marker})\ndef test_it(boc_runtime): pass", "--strict-markers")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([message])


def test_ctrl_c_at_the_end_of_a_test(run) -> None:
    done = run(
        """
    import os, signal
    def test_it(boc_runtime):
        @when()
        def interrupts():
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    def test_never(boc_runtime):
        assert False
    """
    )
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in done.stdout.str()


@pytest.mark.by_reference("an interpreter of its own that cannot be ended ends the process")
def test_what_was_given_up_does_not_fail_others(run) -> None:
    done = run(
        """
        @pytest.mark.boc(timeout=0.1)
        def test_leaves(boc_runtime):
            when(Cown(1))(lambda cown: time.sleep(1))

        def test_innocent(boc_runtime):
            time.sleep(2)
            assert when()(lambda: 1).result() == 1
        """
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*ERROR at teardown of test_leaves*"])


@pytest.mark.once
def test_who_does_not_use_pytest_does_not_import_it(program) -> None:
    done = program("import sys, boc; print('pytest' in sys.modules, 'boc_pytest' in sys.modules)")
    assert done.stdout == "False False\n"


@pytest.mark.once
def test_tests_that_do_not_use_boc_do_not_import_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import sys\ndef test_it(): assert 'boc_pytest' in sys.modules and 'boc' not in sys.modules")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.once
def test_pytest_can_do_without(run) -> None:
    done = run("def test_it(boc_runtime): pass", "-p", "no:boc")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'boc_runtime' not found*"])


@pytest.mark.once
def test_it_says_what_it_has(run) -> None:
    done = run("", "--markers")
    done.stdout.fnmatch_lines(["@pytest.mark.boc(timeout=None, unseen='fail'): *"])
    done = run("", "--fixtures")
    done.stdout.fnmatch_lines(["boc_runtime*", "*A runtime of boc for this test alone, which ends with it."])


def test_the_example_of_the_documentation(run) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "python-testing.md"
    example = page.read_text().partition("```python\n")[2].partition("```")[0]
    done = run(example)
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*ERROR at teardown of test_nothing_is_deposited*", "AssertionError: assert 0 > 0"])
