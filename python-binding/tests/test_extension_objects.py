"""Cowns that go to an extension in C and come back, and cowns that C has made."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

import boc
from boc import Cown, quiesce, when
from crossing import Gate

pytestmark = pytest.mark.by_reference("extensions use objects of the main interpreter")


class Value:
    """Something that can be seen to end."""


def in_behaviour(cown: Cown, function):
    """What `function` returns, called by a behaviour with the cown."""
    return when(cown)(lambda cown: function(cown)).result()


# One object for each cown.


def test_what_comes_back_is_the_same_object(probe) -> None:
    for cown in Cown(1), when()(lambda: 2), probe.python_cown(3):
        handle = probe.handle(cown)
        assert probe.object(handle) is cown
        assert probe.object(handle) is cown
        assert probe.same(handle, probe.handle(cown))
        assert not probe.same(handle, probe.handle(Cown(1)))


def test_a_cown_of_c_has_one_object_at_a_time(probe) -> None:
    handle = probe.number(1)
    first = probe.object(handle, "full")
    assert probe.object(handle) is first
    assert probe.object(probe.handle(first)) is first
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    # The next one has the view that it is made with.
    second = probe.object(handle, "get")
    assert probe.object(handle, "full") is second
    with pytest.raises(RuntimeError, match="cannot be set"):
        in_behaviour(second, lambda cown: setattr(cown, "value", 3))


def test_a_cown_of_python_that_only_c_has_gets_an_object_again(probe) -> None:
    value = Value()
    handle = probe.handle(Cown(value))
    gc.collect()
    again = probe.object(handle)
    assert type(again) is Cown
    assert in_behaviour(again, lambda cown: cown.value) is value
    assert probe.object(handle) is again


@pytest.mark.parametrize("made_by", ["C", "Python"])
def test_threads_that_ask_at_the_same_time_get_the_same_object(probe, made_by: str) -> None:
    count = 4
    barrier = threading.Barrier(count)
    for _ in range(500):
        handle = probe.number(1) if made_by == "C" else probe.handle(Cown(1))
        found = [None] * count

        def ask(n: int, found=found, handle=handle) -> None:
            barrier.wait()
            found[n] = probe.object(handle, "full")

        threads = [threading.Thread(target=ask, args=[n]) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0] is not None and all(one is found[0] for one in found)


def test_threads_that_drop_and_ask_again_never_have_two(probe) -> None:
    handle = probe.number(1)
    barrier = threading.Barrier(2)
    wrong = []

    def ask() -> None:
        barrier.wait()
        for _ in range(5_000):
            one = probe.object(handle, "full")
            if probe.object(handle) is not one:
                wrong.append(one)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_that_hand_over_the_same_object_at_the_same_time(probe) -> None:
    count = 4
    barrier = threading.Barrier(count)
    for _ in range(500):
        cown = Cown(1)
        same = []

        def hand_over(cown=cown, same=same) -> None:
            barrier.wait()
            same.append(probe.object(probe.handle(cown)) is cown)

        threads = [threading.Thread(target=hand_over) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert same == [True] * count


def test_equality_and_hash_are_those_of_the_cown(probe) -> None:
    handle, other = probe.number(1), probe.number(1)
    one, two = probe.object(handle), probe.object(other)
    assert one == one and one != two and len({one, two, probe.object(handle)}) == 2
    seen = hash(one)
    del one
    assert hash(probe.object(handle)) == seen


def test_cowns_of_c_and_of_python_stand_in_one_request(probe) -> None:
    cowns = [probe.object(probe.number(n), "full") for n in range(3)] + [Cown(3)]
    assert when(cowns)(lambda cowns: [cown.value for cown in cowns]).result() == [0, 1, 2, 3]
    # The same one twice is the same one, as with those of Python.
    assert when(cowns[0], cowns[0])(lambda a, b: a is b).result() is True


def test_what_is_no_cown_is_a_type_error(probe) -> None:
    for wrong in 1, None, "cown", Cown:
        with pytest.raises(TypeError, match=r"expected a boc\.Cown, not "):
            probe.handle(wrong)


def test_an_extension_gets_values_of_the_kind_that_it_asks_for(probe) -> None:
    mine, other = probe.object(probe.number(1), "full"), probe.object(probe.number(1), "get")
    unseen, python = probe.object(probe.number(1)), Cown(1)
    assert probe.object(probe.handle_of(mine, "full")) is mine
    assert probe.object(probe.handle_of(python)) is python
    for wrong in other, unseen, python:
        with pytest.raises(TypeError, match="with a value of this extension"):
            probe.handle_of(wrong, "full")
    for wrong in mine, other, unseen:
        with pytest.raises(TypeError, match="with a value of Python"):
            probe.handle_of(wrong)
    with pytest.raises(TypeError, match=r"expected a boc\.Cown, not int"):
        probe.handle_of(1)


def test_null_is_an_error(probe) -> None:
    with pytest.raises(ValueError, match="NULL"):
        probe.object(None)
    with pytest.raises(ValueError, match="NULL"):
        probe.python_cown()


# Results.


def test_a_result_that_only_c_had_is_a_result(probe, gate: Gate) -> None:
    value = Value()
    boc.start(2)

    def body():
        gate.wait()
        return value

    handle = probe.handle(when()(body))
    gc.collect()
    pending = probe.object(handle)
    assert "pending result" in repr(pending)
    with pytest.raises(TimeoutError):
        pending.result(0)
    gate.set()
    assert pending.result() is value
    del pending
    gc.collect()
    ended = probe.object(handle)
    assert "<boc.Cown result" in repr(ended)
    assert ended.result() is value and ended.unwrap() is value


def test_an_exception_that_only_c_had_is_raised(probe) -> None:
    error = KeyError("gone")

    def body():
        raise error

    handle = probe.handle(when()(body))
    quiesce()
    gc.collect()
    with pytest.raises(KeyError) as caught:
        probe.object(handle).result()
    assert caught.value is error


def test_the_result_of_a_behaviour_of_c_can_be_scheduled_over(probe) -> None:
    result = probe.when(lambda: 41, [])
    cown = probe.object(result)
    assert probe.object(result) is cown
    ran = when(cown)(lambda cown: "after it").result()
    assert (ran, probe.status(result)) == ("after it", "BOC_OK")
    with pytest.raises(RuntimeError, match="not the result of a behaviour"):
        cown.result()
    assert probe.take(result) == 41


# The value of a cown of C.


def test_a_view_shows_and_sets_the_value(probe) -> None:
    cown = probe.object(probe.number(20), "full")

    def change(cown) -> int:
        cown.value += 1
        return cown.value

    assert in_behaviour(cown, change) == 21
    with cown as value:
        assert value == 21
        cown.value = 5
    cown.acquire()
    assert (cown.acquired, cown.value) == (True, 5)
    cown.release()
    assert not cown.acquired


NOT_SEEN = {
    "none": (RuntimeError, "is not shown to Python"),
    "set": (RuntimeError, "is not shown to Python"),
    "short": (RuntimeError, "is not shown to Python"),
    "raising": (LookupError, "not to be seen"),
    "silent": (SystemError, "without setting an exception"),
}
NOT_CHANGED = {
    "none": (RuntimeError, "cannot be set from Python"),
    "get": (RuntimeError, "cannot be set from Python"),
    "short": (RuntimeError, "cannot be set from Python"),
    "raising": (LookupError, "not to be changed"),
    "silent": (SystemError, "without setting an exception"),
}


@pytest.mark.parametrize("view", NOT_SEEN)
def test_why_a_value_cannot_be_seen(probe, view: str) -> None:
    kind, message = NOT_SEEN[view]
    handle = probe.number(1)
    cown = probe.object(handle, view)
    with pytest.raises(kind, match=message):
        in_behaviour(cown, lambda cown: cown.value)
    # Nothing has happened to the cown.
    assert probe.take(probe.when(lambda number: number, [handle])) == 1


@pytest.mark.parametrize("view", NOT_CHANGED)
def test_why_a_value_cannot_be_changed(probe, view: str) -> None:
    kind, message = NOT_CHANGED[view]
    handle = probe.number(1)
    cown = probe.object(handle, view)
    with pytest.raises(kind, match=message):
        in_behaviour(cown, lambda cown: setattr(cown, "value", 2))
    assert probe.take(probe.when(lambda number: number, [handle])) == 1


def test_a_setter_can_refuse_a_value(probe) -> None:
    cown = probe.object(probe.number(1), "full")
    with pytest.raises(TypeError):
        in_behaviour(cown, lambda cown: setattr(cown, "value", "a text"))
    with pytest.raises(AttributeError):
        in_behaviour(cown, lambda cown: delattr(cown, "value"))
    assert in_behaviour(cown, lambda cown: cown.value) == 1


def test_the_value_is_for_the_holder_alone(probe) -> None:
    cown = probe.object(probe.number(1), "full")
    with pytest.raises(RuntimeError, match="only by the behaviour that holds it"):
        print(cown.value)
    with pytest.raises(RuntimeError, match="only by the behaviour that holds it"):
        cown.value = 2

    def other(mine) -> str:
        with pytest.raises(RuntimeError, match="only by the behaviour that holds it"):
            print(cown.value)
        return "checked"

    assert when(Cown(1))(other).result() == "checked"


@pytest.mark.parametrize("held", [False, True])
def test_what_a_cown_of_c_does_not_have(probe, held: bool) -> None:
    cown = probe.object(probe.number(1), "full")
    if held:
        cown.acquire()
    for use in (lambda: cown.exception, cown.unwrap):
        with pytest.raises(RuntimeError, match="belongs to the extension"):
            use()
    with pytest.raises(RuntimeError, match="not the result of a behaviour"):
        cown.result()
    if held:
        with pytest.raises(RuntimeError, match="belongs to the extension"):
            cown.exception = False
        cown.release()
    with pytest.raises(RuntimeError, match="only the thread that called acquire"):
        cown.release()
    assert in_behaviour(cown, lambda cown: cown.value) == 1


def test_a_with_statement_over_a_value_that_is_not_shown_releases_the_cown(probe) -> None:
    cown = probe.object(probe.number(1))
    with pytest.raises(RuntimeError, match="is not shown"), cown:
        pass
    assert not cown.acquired
    assert in_behaviour(cown, lambda cown: "it was free") == "it was free"


def test_a_cown_of_c_cannot_be_shared_by_readers(probe) -> None:
    cown = probe.object(probe.number(1), "full")
    for wanted in (cown, [Cown(1), cown]):
        with pytest.raises(TypeError, match="belongs to the extension that made it"):
            boc.read(wanted)


def test_the_text_says_that_it_is_an_extensions(probe) -> None:
    assert repr(probe.object(probe.number(1))).startswith("<boc.Cown of an extension at 0x")


# Ends.


def test_a_value_of_c_ends_with_the_last_of_object_and_handles(probe) -> None:
    gc.collect()
    live, before = probe.live_cowns(), probe.destroyed()["numbers"]
    handle = probe.number(1)
    cown = probe.object(handle, "full")
    del handle
    gc.collect()
    assert probe.destroyed()["numbers"] == before
    assert in_behaviour(cown, lambda cown: cown.value) == 1
    boc.wait()
    del cown
    gc.collect()
    assert probe.destroyed()["numbers"] == before + 1
    assert probe.live_cowns() == live


def test_a_value_of_python_ends_with_the_last_of_object_and_handles(probe) -> None:
    gc.collect()
    live = probe.live_cowns()
    value = Value()
    gone = weakref.ref(value)
    handle = probe.handle(Cown(value))
    del value
    gc.collect()
    assert gone() is not None
    del handle
    gc.collect()
    assert gone() is None
    assert probe.live_cowns() == live


def test_a_cycle_is_collected_after_c_has_let_go_of_it(probe) -> None:
    gc.collect()
    live = probe.live_cowns()
    value = Value()
    gone = weakref.ref(value)
    value.cown = Cown([value])
    value.handle = probe.handle(value.cown)
    handle = value.handle
    del value.handle, value
    gc.collect()
    assert gone() is not None, "C has a reference to the cown"
    # It is as alive as before.
    assert in_behaviour(probe.object(handle), lambda cown: cown.value[0] is gone())
    boc.wait()
    del handle
    gc.collect()
    assert gone() is None
    assert probe.live_cowns() == live


@pytest.mark.parametrize("made_by", ["C", "Python"])
def test_a_weak_reference_of_c_does_not_keep_the_cown(probe, made_by: str) -> None:
    gc.collect()
    live = probe.live_cowns()
    handle = probe.number(1) if made_by == "C" else probe.handle(Cown(1))
    cown = probe.object(handle, "full")
    weak = probe.downgrade(handle)
    del handle
    assert probe.object(probe.upgrade(weak)) is cown
    del cown
    gc.collect()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="is gone"):
            probe.upgrade(weak)
        assert probe.last_status() == "BOC_GONE"
    assert probe.live_cowns() == live


def test_a_cycle_is_collected_when_c_has_given_its_weak_reference_up(probe) -> None:
    value = Value()
    value.cown = Cown(value)
    weak = probe.downgrade(probe.handle(value.cown))
    gone = weakref.ref(value)
    del value
    gc.collect()
    # C could make another reference of it at any time, on any thread.
    assert in_behaviour(probe.object(probe.upgrade(weak)), lambda cown: cown.value is gone())
    boc.wait()
    gc.collect()
    assert gone() is not None
    del weak
    gc.collect()
    assert gone() is None


def test_objects_leave_nothing_behind(probe) -> None:
    gc.collect()
    live = probe.live_cowns()
    for n in range(1_000):
        handles = [probe.number(n), probe.handle(Cown(n))]
        objects = [probe.object(handle) for handle in handles]
        assert [probe.object(handle) for handle in handles] == objects
    del handles, objects
    gc.collect()
    assert probe.live_cowns() == live
