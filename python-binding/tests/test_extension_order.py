"""Behaviours of an extension in C, among those of Python: one order."""

from __future__ import annotations

import threading

import pytest

import boc
from boc import Cown, atomic, quiesce, when

pytestmark = pytest.mark.by_reference("extensions use objects of the main interpreter")


@pytest.mark.parametrize("threads", [1, 4])
def test_behaviours_of_c_and_of_python_run_in_one_order_exactly_once(probe, threads: int) -> None:
    each = 2_000
    boc.start(2)
    number, log = probe.number(0), Cown([])
    shown = probe.object(number, "full")

    def in_python(item: tuple[int, int]) -> None:
        @when(shown, log)
        def append(shown, log):
            log.value.append((shown.value, item))
            shown.value += 1

    def schedule(thread: int) -> None:
        for index in range(each):
            item = (thread, index)
            if (thread + index) % 2:
                in_python(item)
            else:
                probe.append(number, log, item)

    running = [threading.Thread(target=schedule, args=[n]) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    entries = when(log)(lambda log: log.value).result()
    assert [place for place, _ in entries] == list(range(threads * each))
    for thread in range(threads):
        assert [index for _, (by, index) in entries if by == thread] == list(range(each))


def test_behaviours_of_c_that_only_read_come_between_those_that_write(probe) -> None:
    boc.start(2)
    cown, number = Cown(0), probe.number(0)
    shown = probe.object(number, "full")
    read = []
    for n in range(300):

        @when(cown, shown)
        def write(cown, shown):
            cown.value += 1
            shown.value += 1

        read += [(n + 1, probe.when(lambda a, b: (a, b), [cown, number], "rr")) for _ in range(3)]
    assert [probe.take(result) for _, result in read] == [(n, n) for n, _ in read]


def test_python_goes_on_from_results_of_c_and_c_from_those_of_python(probe) -> None:
    cown = Cown([])
    first = probe.python_when(lambda log: log.append("C") or 1, [cown])
    second = when(first, cown)(lambda first, log: log.value.append("Python") or first.value + 1)
    third = probe.when(lambda second, log: log.append("C again") or second + 1, [second, cown])
    fourth = when(probe.object(third), cown)(lambda _, log: log.value.append("at the end"))
    assert (fourth.result(), first.result(), second.result(), probe.take(third)) == (None, 1, 2, 3)
    assert when(cown)(lambda log: log.value).result() == ["C", "Python", "C again", "at the end"]


def test_a_behaviour_of_c_schedules_others(probe) -> None:
    cown = Cown(0)

    def body(value):
        probe.set_value(0, value + 1)
        if value < 99:
            probe.when(body, [cown])

    probe.when(body, [cown])
    quiesce()
    assert cown.unwrap() == 100


def test_many_cowns_in_one_request(probe) -> None:
    cowns = [probe.number(0), Cown(1), probe.number(2), Cown(3), Cown(4), probe.number(5), Cown(6)]
    assert probe.python_when(lambda *values: values, cowns).result() == tuple(range(7))


def test_other_runtimes_and_the_pool_keep_one_order(probe) -> None:
    cown = Cown([])
    for n in range(20):
        when(cown)(lambda cown, n=n: cown.value.append(2 * n))
        probe.when_elsewhere(lambda log, n=n: log.append(2 * n + 1), [cown])
    assert when(cown)(lambda cown: cown.value).result() == list(range(40))


def test_results_of_a_block_are_for_later(probe) -> None:
    cown = Cown(1)
    with atomic():
        result = when(cown)(lambda cown: 5)
        # It would hold the cown, and wait for the result, the behaviour of which comes behind it then.
        with pytest.raises(RuntimeError, match=r"block of atomic\(\).*before the end"):
            probe.python_when(lambda result, value: result + value, [result, cown])
    assert probe.python_when(lambda result, value: result + value, [result, cown]).result(60) == 6
