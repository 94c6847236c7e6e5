"""Results: cowns that hold what a body returned, and how to wait for them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import boc
from boc import Cown, quiesce, wait, when
from crossing import Gate, arrived


VALUES = [None, 1, 2**70, "text", [1, [2]], {"a": (1, 2)}, {3}, range(4), ValueError("a value"), Cown]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_result_is_or_equals_what_the_body_returned(value: object) -> None:
    result = when()(lambda: value)
    for _ in range(2):
        got = result.result()
        assert type(got) is type(value)
        assert got == value or repr(got) == repr(value)


def test_a_result_with_cowns_in_it() -> None:
    inner, other = Cown(1), Cown(2)
    got = when()(lambda: {"one": inner, "all": [inner, (other,)]}).result()
    assert got == {"one": inner, "all": [inner, (other,)]}
    assert when(got["one"])(lambda cown: cown.value).result() == 1
    made = when()(lambda: [Cown(n) for n in range(3)]).result()
    assert when(made)(lambda made: [cown.value for cown in made]).result() == [0, 1, 2]


@pytest.mark.by_reference("identity")
def test_result_is_what_the_body_returned() -> None:
    value = object()
    result = when()(lambda: value)
    assert result.result() is value
    assert result.result() is value, "as often as one likes"
    assert when()(lambda: None).result() is None


def test_result_waits_for_this_behaviour_alone(gate: Gate) -> None:
    boc.start(2)
    blocked = when()(lambda: gate.wait(60))
    assert when()(lambda: 1).result() == 1
    with pytest.raises(TimeoutError):
        blocked.result(0)


def test_result_times_out_and_can_be_asked_again(gate: Gate) -> None:
    result = when()(lambda: gate.wait(60))
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="has not ended in time"):
        result.result(0.1)
    assert time.monotonic() - started >= 0.1
    for elapsed in 0, -1, 0.0, float("-inf"):
        with pytest.raises(TimeoutError):
            result.result(timeout=elapsed)
    gate.set()
    assert result.result(None) is True
    assert result.result(0) is True


@pytest.mark.parametrize("forever", [None, 1e300, float("inf"), 2**70])
def test_long_timeouts(forever: float | None) -> None:
    assert when()(lambda: time.sleep(0.01)).result(forever) is None


def test_many_threads_wait_for_one_result(gate: Gate) -> None:
    result = when()(lambda: gate.wait(60) and "done")
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(result.result, 60) for _ in range(16)]
        gate.set()
        assert [waiter.result(60) for waiter in waiting] == ["done"] * 16


def test_result_raises_what_the_body_raised() -> None:
    error = ValueError("sorry")

    @when()
    def fails():
        raise error

    for _ in range(3):
        with pytest.raises(ValueError, match="sorry") as caught:
            fails.result()
        assert arrived(caught.value, error)


def test_a_result_is_a_cown() -> None:
    first = when()(lambda: 20)
    second = when(first, Cown(1))(lambda first, one: first.value + one.value)
    third = when([first, second])(lambda both: [r.value for r in both])
    assert third.result() == [20, 21]


def test_a_behaviour_over_a_result_runs_after_it(gate: Gate) -> None:
    boc.start(2)
    first = when()(lambda: gate.wait(60) and "first")
    second = when(first)(lambda first: (first.value, first.exception))
    with pytest.raises(TimeoutError):
        second.result(0.05)
    gate.set()
    assert second.result() == ("first", False)


def test_a_behaviour_over_a_failed_result_sees_the_exception() -> None:
    failed = when()(lambda: 1 / 0)
    seen = when(failed)(lambda failed: (failed.exception, failed.value)).result()
    assert seen[0] is True and isinstance(seen[1], ZeroDivisionError)


def test_a_behaviour_can_change_the_value_of_a_result() -> None:
    failed = when()(lambda: 1 / 0)

    @when(failed)
    def repair(failed):
        failed.value = 5
        return failed.exception

    assert repair.result() is False
    assert when(failed)(lambda failed: failed.value).result() == 5
    with pytest.raises(ZeroDivisionError):
        failed.result()


def test_an_ended_result_inside_of_a_behaviour() -> None:
    ended = when()(lambda: 5)
    ended.result()
    assert when()(lambda: ended.result()).result() == 5
    assert when(ended)(lambda ended: ended.result()).result() == 5


def test_the_exception_flag_waits() -> None:
    assert when()(lambda: time.sleep(0.05)).exception is False
    assert when()(lambda: 1 / 0).exception is True


@pytest.mark.parametrize("waiting", [quiesce, wait])
def test_unwrap_hands_the_value_over(waiting) -> None:
    value = ["value"]
    result = when()(lambda: value)
    waiting()
    assert arrived(result.unwrap(), value)
    assert result.unwrap() is None


def test_unwrap_takes_the_value_out_of_the_result() -> None:
    result = when()(lambda: 5)
    assert result.result() == 5
    quiesce()
    assert result.unwrap() == 5
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"taken by unwrap\(\)"):
            result.result()
    assert when(result)(lambda result: (result.value, result.exception)).result() == (None, False)
    asked = when(result)(lambda result: result.result())
    with pytest.raises(RuntimeError, match=r"taken by unwrap\(\)"):
        asked.result()


def test_unwrap_of_a_result_with_another_value() -> None:
    result = when()(lambda: "first")
    when(result)(lambda result: setattr(result, "value", "second"))
    quiesce()
    assert result.result() == "first"
    assert result.unwrap() == "second"
    with pytest.raises(RuntimeError, match=r"taken by unwrap\(\)"):
        result.result()
    with result:
        result.value = "third"
    assert result.unwrap() == "third"


def test_unwrap_by_many_threads_hands_the_value_over_once() -> None:
    value = ["value"]
    for _ in range(200):
        result = when()(lambda: value)
        quiesce()
        together = threading.Barrier(4)

        def ask(call, together=together):
            together.wait()
            try:
                return call()
            except RuntimeError as error:
                assert "taken by unwrap()" in str(error)
                return error

        with ThreadPoolExecutor(4) as pool:
            taken = [pool.submit(ask, result.unwrap).result for _ in range(2)]
            looked = [pool.submit(ask, result.result).result for _ in range(2)]
        assert [one() for one in taken].count(None) == 1
        assert sum(arrived(one(), value) for one in taken) == 1
        assert all(arrived(one(), value) or isinstance(one(), RuntimeError) for one in looked)


def test_unwrap_raises_what_the_body_raised() -> None:
    failed = when()(lambda: 1 / 0)
    quiesce()
    with pytest.raises(ZeroDivisionError):
        failed.unwrap()
    assert failed.unwrap() is None
    with pytest.raises(ZeroDivisionError):
        failed.result()


def test_unwrap_while_a_behaviour_uses_the_cown_is_refused(gate: Gate) -> None:
    boc.start(2)
    result = when()(lambda: 1)
    result.result()
    when(result)(lambda result: gate.wait(60))
    with pytest.raises(RuntimeError, match=r"call quiesce\(\) or wait\(\) before, or use result"):
        result.unwrap()
    gate.set()
    quiesce()
    assert result.unwrap() == 1


def test_a_result_outlives_its_runtime() -> None:
    result = when()(lambda: 1)
    wait()
    assert result.result() == 1
    assert when(result)(lambda result: result.value).result() == 1


@pytest.mark.by_reference("the list is another one by then")
def test_a_result_that_holds_itself(gate: Gate) -> None:
    made: list[Cown] = []

    @when()
    def mine():
        gate.wait(30)
        return made[0]

    made.append(mine)
    gate.set()
    assert mine.result() is mine


def test_a_result_that_holds_itself_by_another_behaviour(gate: Gate) -> None:
    mine = when()(lambda: gate.wait(30))
    when(mine)(lambda mine: setattr(mine, "value", [mine]))
    gate.set()
    assert when(mine)(lambda mine: mine.value).result() == [mine]


def test_a_result_that_is_never_looked_at() -> None:
    for _ in range(1000):
        when()(lambda: object())
    quiesce()
