"""Pinned cowns: values that stay in the main thread."""

from __future__ import annotations

import gc
import importlib
import queue
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import boc
from boc import Cown, PinnedCown, PumpResult, atomic, pump, quiesce, scope, wait, when
from crossing import Log

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

MAIN = threading.main_thread().ident


class Widget:
    """What no other interpreter can have."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def __reduce__(self) -> Any:
        raise TypeError("a widget stays where it is")


def ready(count: int, timeout: float = 60.0) -> PumpResult:
    """Pumps until so many have run."""
    executed = raised = 0
    end = time.monotonic() + timeout
    while executed < count:
        assert time.monotonic() < end, f"{executed} of {count} have run"
        result = pump()
        executed, raised = executed + result.executed, raised + result.raised
    return PumpResult(executed, False, raised)


# What a pinned cown is.


@pytest.mark.once
def test_it_is_a_cown() -> None:
    cown: PinnedCown[int] = PinnedCown(1)
    assert isinstance(cown, Cown) and type(cown) is PinnedCown
    assert repr(cown).startswith("<boc.PinnedCown at 0x")
    assert cown == cown and cown != PinnedCown(1) and hash(cown) == hash(cown)
    assert PinnedCown[int].__origin__ is PinnedCown
    assert not cown.acquired


@pytest.mark.once
@pytest.mark.parametrize("base", [Cown, PinnedCown])
def test_nobody_derives_from_it(base: Any) -> None:
    with pytest.raises(TypeError, match=f"type 'boc.{base.__name__}' is not an acceptable base type"):
        type("Derived", (base,), {})


@pytest.mark.once
def test_what_it_is_made_of() -> None:
    assert PinnedCown(value=[1]).unwrap() == [1]
    with pytest.raises(TypeError, match="PinnedCown\\(\\) is missing its argument 'value'"):
        PinnedCown()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="pickled"):
        importlib.import_module("pickle").dumps(PinnedCown(1))


def test_a_body_gets_the_object_itself_in_the_main_thread() -> None:
    widget = Widget()
    cown = PinnedCown(widget)
    seen: list[Any] = []

    @when(cown)
    def body(cown: PinnedCown[Widget]) -> str:
        assert cown.acquired and type(cown) is PinnedCown
        cown.value.shown.append(threading.get_ident())
        seen.append(cown.value)
        return "done"

    assert pump() == PumpResult(1, False, 0)
    assert body.result() == "done"
    assert widget.shown == [MAIN]
    assert seen[0] is widget


def test_its_value_can_be_set_to_anything() -> None:
    cown: PinnedCown[Any] = PinnedCown(None)
    widget = Widget()

    @when(cown)
    def body(cown: PinnedCown[Any]) -> None:
        cown.value = widget

    body.result()
    with cown as value:
        assert value is widget
    assert cown.unwrap() is widget
    assert cown.unwrap() is None


def test_its_value_is_not_for_those_who_do_not_hold_it() -> None:
    with pytest.raises(RuntimeError, match="only by the behaviour that holds it"):
        PinnedCown(1).value  # noqa: B018


def test_captures_and_closures_are_the_objects_themselves() -> None:
    cown, widget, other = PinnedCown(1), Widget(), Widget()

    @when(cown)
    def body(cown: PinnedCown[int], captured: Widget = widget) -> None:
        captured.shown.append(1)
        other.shown.append(2)

    body.result()
    assert (widget.shown, other.shown) == ([1], [2])


def test_lists_of_cowns_may_have_pinned_ones() -> None:
    cowns: list[Cown[Any]] = [Cown(1), PinnedCown(Widget()), Cown(3)]

    @when(cowns)
    def body(cowns: list[Cown[Any]]) -> tuple[list[str], int | None]:
        return [type(cown.value).__name__ for cown in cowns], threading.get_ident()

    assert body.result() == (["int", "Widget", "int"], MAIN)


def test_its_value_ends_with_it() -> None:
    widget = Widget()
    end = weakref.ref(widget)
    cown = PinnedCown(widget)
    del widget
    when(cown)(lambda cown: cown.value.shown.append(1)).result()
    wait()
    del cown
    gc.collect()
    assert end() is None


def test_cycles_are_collected() -> None:
    widget = Widget()
    end = weakref.ref(widget)
    widget.shown.append(PinnedCown(widget))
    del widget
    gc.collect()
    assert end() is None


# Other cowns beside it.


def test_other_cowns_go_to_the_main_thread_and_back() -> None:
    pinned, cown = PinnedCown(Widget()), Cown([0])

    @when(cown)
    def before(cown: Cown[list[int]]) -> int | None:
        cown.value.append(1)
        return threading.get_ident()

    @when(pinned, cown)
    def both(pinned: PinnedCown[Widget], cown: Cown[list[int]]) -> int | None:
        pinned.value.shown += cown.value
        cown.value.append(2)
        return threading.get_ident()

    @when(cown)
    def after(cown: Cown[list[int]]) -> list[int]:
        cown.value.append(3)
        return list(cown.value)

    assert after.result() == [0, 1, 2, 3]
    assert both.result() == MAIN != before.result()
    with pinned as widget:
        assert widget.shown == [0, 1]


def test_many_rounds_between_workers_and_the_main_thread() -> None:
    pinned, cown = PinnedCown([0]), Cown({"count": 0})

    def work(cown: Cown[dict[str, int]]) -> None:
        cown.value["count"] += 1

    def show(pinned: PinnedCown[list[int]], cown: Cown[dict[str, int]]) -> None:
        pinned.value.append(cown.value["count"])
        cown.value["count"] += 1

    for _ in range(200):
        when(cown)(work)
        when(pinned, cown)(show)
    wait()
    assert pinned.unwrap() == [0, *range(1, 400, 2)]
    assert cown.unwrap() == {"count": 400}


@pytest.mark.by_value
def test_other_cowns_cannot_take_what_cannot_leave() -> None:
    pinned, cown = PinnedCown(Widget()), Cown[Any](1)

    @when(pinned, cown)
    def body(pinned: PinnedCown[Widget], cown: Cown[Any]) -> None:
        cown.value = pinned.value

    with pytest.raises(TypeError, match="a widget stays where it is"):
        body.result()
    with pinned as widget:
        assert isinstance(widget, Widget)


@pytest.mark.by_value
def test_results_are_copies_as_always() -> None:
    with pytest.raises(TypeError, match="a widget stays where it is"):
        when(PinnedCown(Widget()))(lambda cown: cown.value).result()


@pytest.mark.by_reference("results are copies where interpreters differ")
def test_results_are_the_objects_themselves() -> None:
    widget = Widget()
    assert when(PinnedCown(widget))(lambda cown: cown.value).result() is widget


def test_over_the_result_of_one_that_is_pinned() -> None:
    one = when(PinnedCown(20))(lambda cown: cown.value + 1)
    two = when(one)(lambda one: (one.value * 2, threading.get_ident()))
    doubled, ident = two.result()
    assert doubled == 42
    assert ident != MAIN


# Scheduling from elsewhere.


def test_workers_schedule_over_it() -> None:
    pinned = PinnedCown(Widget())

    @when(Cown(pinned), Cown({"pinned": [pinned]}))
    def body(one: Cown[Any], other: Cown[Any], captured: PinnedCown[Widget] = pinned) -> tuple[Any, Any]:
        assert type(captured) is PinnedCown and one.value == captured == other.value["pinned"][0]
        assert not captured.acquired
        told = []
        for use in (lambda: captured.value, captured.acquire, captured.unwrap):
            try:
                use()
            except RuntimeError as error:
                told.append(str(error))

        @when(captured)
        def inner(pinned: PinnedCown[Widget], number: int = 5) -> int | None:
            pinned.value.shown.append(number)
            return threading.get_ident()

        return told, inner

    told, inner = body.result()
    assert len(told) == 3
    assert inner.result() == MAIN
    with pinned as widget:
        assert widget.shown == [5]


def test_it_goes_through_messages_and_the_noticeboard() -> None:
    pinned = PinnedCown(Widget())
    boc.start()
    boc.notice_seed("pinned", pinned)
    boc.send("pinned", [pinned])

    @when()
    def body() -> list[Any]:
        _, (received,) = boc.receive("pinned", 60)
        noticed = boc.notice_read("pinned")
        return [when(cown)(lambda cown: cown.value.shown.append(1)) for cown in (received, noticed)]

    for result in body.result():
        result.result()
    with pinned as widget:
        assert widget.shown == [1, 1]


def test_it_can_be_made_by_any_thread_of_the_main_interpreter() -> None:
    made: list[PinnedCown[int]] = []
    thread = threading.Thread(target=lambda: made.append(PinnedCown(3)))
    thread.start()
    thread.join()
    assert when(made[0])(lambda cown: (cown.value, threading.get_ident())).result() == (3, MAIN)


@pytest.mark.by_value
def test_workers_cannot_make_one() -> None:
    with pytest.raises(RuntimeError, match="a PinnedCown can be made in the main interpreter alone"):
        when()(lambda: PinnedCown(1)).result()


@pytest.mark.by_reference("workers have an interpreter of their own otherwise")
def test_workers_can_make_one() -> None:
    assert when()(lambda: PinnedCown(1)).result().unwrap() == 1


def test_at_the_top_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    module = tmp_path / f"module_with_a_pinned_cown_{backend}.py"
    module.write_text(
        "import threading\n"
        "from boc import PinnedCown, when\n"
        "pinned = PinnedCown([threading.Lock()])\n"
        "many = {'one': pinned}\n"
        "def work(cown):\n"
        "    cown.value = 1\n"
        "    return when(pinned, many['one'])(show)\n"
        "def show(pinned, same):\n"
        "    pinned.value.append('shown')\n"
        "    return pinned is same or pinned == same\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    imported = importlib.import_module(module.stem)
    assert when(Cown(0))(imported.work).result().result()
    assert imported.pinned.unwrap()[1:] == ["shown"]


def test_from_another_thread() -> None:
    boc.start()
    pinned, results = PinnedCown(0), queue.SimpleQueue[Any]()

    def work() -> None:
        @when(pinned)
        def body(pinned: PinnedCown[int]) -> int | None:
            return threading.get_ident()

        results.put(body.result())

    thread = threading.Thread(target=work)
    thread.start()
    ready(1)
    thread.join()
    assert results.get() == MAIN


# Cancelling, blocks, scopes.


def test_cancelling() -> None:
    cown = PinnedCown[list[int]]([])
    results = [when(cown)(lambda cown, n=n: cown.value.append(n)) for n in range(3)]
    assert results[0].cancel() and results[1].cancel()
    assert pump() == PumpResult(1, False, 0)
    assert not results[2].cancel()
    assert cown.unwrap() == [2]
    with pytest.raises(CancelledError):
        results[0].result()


def test_what_runs_in_a_block_is_no_part_of_it() -> None:
    """A block of the main thread, which pumps in the middle of it."""
    pinned, log = PinnedCown[list[Any]]([]), Cown[list[int]]([])

    def schedules(pinned: PinnedCown[list[Any]]) -> None:
        first = when()(lambda: 1)
        pinned.value.append(when(first)(lambda first: first.value + 1))

    when(pinned)(schedules)
    with pytest.raises(ValueError, match="left"), atomic():
        when(log)(lambda log: log.value.append(1))
        assert pump().executed == 1
        with pinned as made:
            assert made[0].result(60) == 2
        raise ValueError("left")
    assert when(log)(lambda log: log.value).result() == []


def test_a_scope_that_is_left_by_an_exception() -> None:
    cown = PinnedCown[list[int]]([])
    with pytest.raises(ValueError, match="left"), scope():
        when(cown)(lambda cown: cown.value.append(1))
        raise ValueError("left")
    quiesce()
    assert cown.unwrap() == []


def test_failures_of_a_scope() -> None:
    with pytest.raises(ExceptionGroup) as caught, scope():
        when(PinnedCown(0))(lambda cown: 1 / 0)
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


def test_what_a_body_schedules_is_part_of_the_scope() -> None:
    pinned, cown = PinnedCown(0), Cown(0)

    def work(cown: Cown[int]) -> None:
        time.sleep(0.01)
        cown.value = 1

    with scope():

        @when(pinned)
        def body(pinned: PinnedCown[int]) -> None:
            when(cown)(work)

    assert when(cown)(lambda cown: cown.value).result() == 1


def test_a_block_with_pinned_and_other_behaviours() -> None:
    pinned, cown = PinnedCown(Widget()), Cown(0)
    with atomic():
        first = when(cown)(lambda cown: threading.get_ident())
        both = when(pinned, cown)(lambda pinned, cown: threading.get_ident())
        last = when(cown)(lambda cown: threading.get_ident())
    assert both.result() == MAIN
    assert first.result() != MAIN and last.result() != MAIN
    with pytest.raises(ValueError, match="left"), atomic():
        dropped = when(pinned)(lambda pinned: None)
        raise ValueError("left")
    with pytest.raises(CancelledError):
        dropped.result()


def test_a_body_has_a_block(log: Log) -> None:
    pinned, cown = PinnedCown(0), Cown(0)

    @when(pinned)
    def body(pinned: PinnedCown[int]) -> None:
        with atomic():
            when(cown)(lambda cown: log.append(1))
            when(pinned)(lambda pinned: log.append(0))
            when(cown)(lambda cown: log.append(2))

    wait()
    assert [entry for entry in log if entry] == [1, 2]


# Extensions.


def test_extensions_do_not_get_one(probe: Any) -> None:
    with pytest.raises(TypeError, match="a PinnedCown is for the main thread"):
        probe.handle(PinnedCown(0))
