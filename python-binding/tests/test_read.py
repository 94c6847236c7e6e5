"""Cowns that a behaviour only reads, together with others."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import threading
import weakref
from typing import Any

import pytest

import boc
from boc import Buffer, Cown, PinnedCown, atomic, read, when, whencall
from crossing import Gate, Log, Meeting

ONLY_READS = "this behaviour only reads the cown, as others may at the same time"


class Thing:
    def __init__(self, number: int) -> None:
        self.number = number


def test_readers_run_at_the_same_time() -> None:
    boc.start(2)
    cown, meeting = Cown([1]), Meeting(2)
    results = [when(read(cown))(lambda cown: (meeting.wait(), len(cown.value))[1]) for _ in range(2)]
    assert [result.result(60) for result in results] == [1, 1]


def test_a_writer_is_alone_and_in_its_place(log: Log, gate: Gate) -> None:
    boc.start(2)
    cown = Cown(0)

    def look(cown: Cown[int]) -> None:
        log.append(cown.value)

    def change(cown: Cown[int]) -> None:
        cown.value += 1

    when(cown)(lambda cown: gate.wait(60))
    for _ in range(5):
        when(read(cown))(look)
        when(read(cown))(look)
        when(cown)(change)
    gate.set()
    boc.wait()
    assert list(log) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_the_value_cannot_be_set() -> None:
    cown = Cown(1)

    @when(read(cown))
    def refused(cown: Cown[int]) -> int:
        with pytest.raises(RuntimeError, match=ONLY_READS):
            cown.value = 2
        with pytest.raises(RuntimeError, match=ONLY_READS):
            cown.exception = True
        return cown.value

    assert refused.result() == 1


def test_it_is_held_as_long_as_the_behaviour_runs() -> None:
    cown = Cown(1)

    @when(read(cown))
    def inside(cown: Cown[int]) -> bool:
        with pytest.raises(RuntimeError, match="this thread holds the cown already"):
            cown.acquire()
        with pytest.raises(RuntimeError, match="behaviours are running"):
            cown.unwrap()
        return cown.acquired

    assert inside.result() is True
    assert cown.acquired is False

    @when()
    def outside() -> None:
        with pytest.raises(RuntimeError, match="only by the behaviour that holds it"):
            _ = cown.value

    outside.result()
    with cown as value:
        assert value == 1


def test_a_thread_of_the_body_does_not_hold_it() -> None:
    cown = Cown(1)

    @when(read(cown))
    def body(cown: Cown[int]) -> str:
        said = []

        def look() -> None:
            try:
                said.append(str(cown.value))
            except RuntimeError as error:
                said.append(str(error))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return said[0]

    assert "only by the behaviour that holds it" in body.result()


def test_a_behaviour_sees_one_object() -> None:
    cown = Cown([1, [2]])

    @when(read(cown))
    def same(cown: Cown[list[Any]]) -> bool:
        return cown.value is cown.value and cown.value[1] is cown.value[1]

    assert same.result() is True


@pytest.mark.by_reference("copies are not the object that was put there")
def test_all_see_the_object_that_was_put_there() -> None:
    thing = Thing(1)
    cown = Cown(thing)
    assert when(read(cown))(lambda cown: cown.value is thing).result() is True


@pytest.mark.by_value
def test_what_a_reader_changes_is_a_copy() -> None:
    cown = Cown([1])

    @when(read(cown))
    def spoil(cown: Cown[list[int]]) -> list[int]:
        cown.value.append(2)
        return cown.value

    assert spoil.result() == [1, 2]
    assert when(read(cown))(lambda cown: cown.value).result() == [1]
    assert when(cown)(lambda cown: cown.value).result() == [1]


def test_the_value_ends_with_its_cown() -> None:
    thing = Thing(1)
    ended = weakref.ref(thing)
    cown = Cown(thing)
    del thing
    when(read(cown))(lambda cown: cown.value.number).result()
    boc.wait()
    del cown
    gc.collect()
    assert ended() is None


def test_beside_others() -> None:
    total, prices = Cown(0), Cown({"tea": 3, "milk": 1})

    @when(total, read(prices))
    def add(total: Cown[int], prices: Cown[dict[str, int]]) -> None:
        total.value += sum(prices.value.values())
        with pytest.raises(RuntimeError, match=ONLY_READS):
            prices.value = {}

    add.result()
    assert when(read(total))(lambda total: total.value).result() == 4


def test_a_sequence_is_read() -> None:
    cowns = [Cown(index) for index in range(20)]

    @when(read(cowns))
    def add(cowns: list[Cown[int]]) -> int:
        assert type(cowns) is list and all(isinstance(cown, Cown) for cown in cowns)
        with pytest.raises(RuntimeError, match=ONLY_READS):
            cowns[3].value = 0
        return sum(cown.value for cown in cowns)

    assert add.result() == sum(range(20))
    assert when(read(tuple(cowns)))(lambda cowns: len(cowns)).result() == 20
    assert when(read([]))(lambda cowns: cowns).result() == []


def test_a_sequence_of_both() -> None:
    written, looked_at = Cown(1), Cown(2)

    @when([written, read(looked_at)])
    def both(cowns: list[Cown[int]]) -> bool:
        cowns[0].value += cowns[1].value
        with pytest.raises(RuntimeError, match=ONLY_READS):
            cowns[1].value = 0
        return all(isinstance(cown, Cown) for cown in cowns)

    assert both.result() is True
    assert when(written)(lambda cown: cown.value).result() == 3


def test_who_writes_as_well_can_write() -> None:
    cown = Cown(1)

    def change(*cowns: Cown[int]) -> None:
        for each in cowns:
            each.value += 1

    when(read(cown), cown)(lambda a, b: change(a, b)).result()
    when(cown, read(cown))(lambda a, b: change(a, b)).result()
    many = [Cown(0) for _ in range(30)]
    when(read([*many, cown]), cown)(lambda many, cown: change(cown)).result()
    assert when(cown)(lambda cown: cown.value).result() == 6

    @when(read(cown), read(cown))
    def twice(one: Cown[int], other: Cown[int]) -> bool:
        with pytest.raises(RuntimeError, match=ONLY_READS):
            one.value = 0
        return one.value is other.value

    assert twice.result() is True


def test_by_whencall_and_in_a_block(gate: Gate) -> None:
    cown = Cown([5])
    assert whencall(lambda cown, more: cown.value[0] + more, [read(cown)], [2]).result() == 7
    with atomic():
        changed = when(cown)(lambda cown: cown.value.append(6))
        looked = when(read(cown))(lambda cown: cown.value[-1])
    assert looked.result() == 6 and changed.done()


def test_in_a_behaviour() -> None:
    cown = Cown([1])
    wanted = read(cown)

    @when()
    def schedules() -> Cown[Any]:
        return when(wanted)(lambda cown: cown.value)

    assert schedules.result().result() == [1]


def test_a_result_is_read() -> None:
    result = when()(lambda: {"a": 1})
    looked = [when(read(result))(lambda result: (result.exception, result.value)) for _ in range(3)]
    assert [look.result() for look in looked] == [(False, {"a": 1})] * 3


def test_an_exception_is_read() -> None:
    def fail() -> None:
        raise ValueError("on purpose")

    failed = when()(fail)

    def look(failed: Cown[Any]) -> tuple[bool, str]:
        return failed.exception, repr(failed.value)

    looked = [when(read(failed))(look) for _ in range(3)]
    assert [look.result() for look in looked] == [(True, "ValueError('on purpose')")] * 3


def test_a_cancelled_result_is_read(gate: Gate) -> None:
    cown = Cown(0)
    when(cown)(lambda cown: gate.wait(60))
    cancelled = when(cown)(lambda cown: None)
    assert cancelled.cancel()
    gate.set()
    looked = when(read(cancelled))(lambda result: (result.exception, type(result.value).__name__))
    assert looked.result() == (True, "CancelledError")


def test_what_was_left_by_a_writer_is_read_by_many() -> None:
    boc.start(2)
    cown = Cown({"rows": [0]})

    def change(cown: Cown[Any], index: int) -> None:
        cown.value["rows"].append(index)

    def look(cown: Cown[Any]) -> int:
        return sum(cown.value["rows"])

    expected, results = 0, []
    for index in range(50):
        when(cown)(lambda cown, index=index: change(cown, index))
        expected += index
        results += [(expected, when(read(cown))(look)) for _ in range(4)]
    assert all(result.result() == expected for expected, result in results)


def test_no_reader_sees_half_of_a_change() -> None:
    boc.start(2)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    pairs = [Cown([0, 0]) for _ in range(4)]

    def change(pair: Cown[list[int]]) -> None:
        pair.value[0] += 1
        pair.value[1] += 1

    def look(pairs: list[Cown[list[int]]]) -> bool:
        return all(pair.value[0] == pair.value[1] for pair in pairs)

    results = []
    for _ in range(400):
        chosen = chance.sample(pairs, chance.randint(1, 4))
        if chance.random() < 0.4:
            when(chosen[0])(change)
        else:
            results.append(when(read(chosen))(look))
    assert all(result.result() for result in results), f"seed {seed}"


def test_readers_share_a_buffer() -> None:
    boc.start(2)
    cown, meeting = Cown(Buffer(b"abc")), Meeting(2)

    def look(cown: Cown[Buffer]) -> bytes:
        meeting.wait()
        return bytes(cown.value)

    results = [when(read(cown))(look) for _ in range(2)]
    assert [result.result(60) for result in results] == [b"abc"] * 2

    @when(cown)
    def change(cown: Cown[Buffer]) -> bytes:
        cown.value[0] = ord("x")
        return bytes(cown.value)

    assert change.result() == b"xbc"
    assert when(read(cown))(lambda cown: bytes(cown.value)).result() == b"xbc"


@pytest.mark.by_value
def test_a_buffer_that_is_read_cannot_be_changed() -> None:
    cown = Cown(Buffer(b"abc"))

    @when(read(cown))
    def spoil(cown: Cown[Buffer]) -> None:
        assert cown.value.readonly
        with pytest.raises(TypeError):
            cown.value[0] = 1

    spoil.result()


@pytest.mark.by_value
def test_a_value_that_cannot_leave_its_worker_says_so() -> None:
    boc.start(1)
    cown: Cown[list[Any]] = Cown([])
    when(cown)(lambda cown: cown.value.append(threading.Lock())).result()
    looked = [when(read(cown))(lambda cown: len(cown.value)) for _ in range(3)]
    for look in looked:
        with pytest.raises(TypeError, match="cannot leave the worker"):
            look.result()
    when(cown)(lambda cown: cown.value.clear()).result()
    assert when(read(cown))(lambda cown: cown.value).result() == []


@pytest.mark.by_value
def test_many_wait_while_one_packs() -> None:
    """All of them want the value at the same moment, and its class takes its time to be pickled."""
    boc.start(4)
    cown, start = Cown(None), Meeting(4)
    when(cown)(_leave_what_is_slow_to_pickle).result()

    def look(cown: Cown[Any]) -> int:
        start.wait()
        return int(cown.value.number)

    results = [when(read(cown))(look) for _ in range(4)]
    assert [result.result(60) for result in results] == [7] * 4


def _leave_what_is_slow_to_pickle(cown: Cown[Any]) -> None:
    cown.value = Slow(7)


class Slow:
    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        import time

        time.sleep(0.05)
        return Slow, (self.number,)


class ReadsWhilePickled:
    """Its pickling is code that wants what only the behaviour has."""

    def __init__(self, other: Cown[int]) -> None:
        self.other = other

    def __reduce__(self) -> Any:
        try:
            said = str(self.other.value)
        except RuntimeError as error:
            said = str(error)
        return str, (said,)


@pytest.mark.by_value
def test_what_packs_a_value_reads_nothing() -> None:
    boc.start(2)
    cown: Cown[list[Any]] = Cown([])
    other = Cown(1)
    when(cown)(lambda cown: cown.value.append(ReadsWhilePickled(other))).result()
    meeting = Meeting(2)

    def look(cown: Cown[Any], other: Cown[int]) -> Any:
        meeting.wait()
        return cown.value[0], other.value

    for looked in [when(read(cown), read(other))(look) for _ in range(2)]:
        said, number = looked.result(60)
        assert "only by the behaviour that holds it" in said and number == 1


@pytest.mark.parametrize("wrong", [1, None, "text", [1], [[]], len])
def test_what_is_no_cown_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"read\(\) takes a cown or a sequence of cowns, and this is"):
        read(wrong)


def test_read_of_read_is_refused() -> None:
    with pytest.raises(TypeError, match="an object of type ToRead"):
        read(read(Cown(1)))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="an object of type ToRead"):
        when([read([Cown(1)])])


def test_what_it_is() -> None:
    cown = Cown(1)
    assert repr(read(cown)) == f"boc.read({cown!r})"
    with pytest.raises(TypeError):
        type(read(cown))()
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        pickle.dumps(read(cown))
    assert repr(copy.copy(read(cown))) == repr(read(cown))


class LooksWhileUnpickled:
    """Its unpickling is code that wants what is being read."""

    def __init__(self, cown: Cown[Any]) -> None:
        self.cown = cown

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        try:
            self.seen = str(self.cown.acquired)
        except RuntimeError as error:
            self.seen = str(error)
        try:
            _ = self.cown.value
        except (RuntimeError, RecursionError) as error:
            self.seen = type(error).__name__


def test_what_unpickles_a_value_may_look_at_it() -> None:
    cown: Cown[Any] = Cown(None)
    with cown:
        cown.value = LooksWhileUnpickled(cown)
    results = [when(read(cown))(lambda cown: type(cown.value).__name__) for _ in range(2)]
    for result in results:
        try:
            assert result.result(60) == "LooksWhileUnpickled"
        except RecursionError:
            pass  # it never comes to an end of that


def test_a_result_that_is_read_is_not_changed() -> None:
    boc.start(2)
    result = when()(lambda: Buffer(b"abc"))
    meeting = Meeting(2)

    def look(result: Cown[Buffer]) -> tuple[bytes, bool]:
        meeting.wait()
        got = result.result()
        return bytes(got), got is result.value

    looked = [when(read(result))(look) for _ in range(2)]
    assert [look_.result(60) for look_ in looked] == [(b"abc", True)] * 2
    with pytest.raises(ZeroDivisionError):
        failed = when()(lambda: 1 // 0)
        when(read(failed))(lambda failed: failed.result()).result()


def test_what_is_pinned_is_read_in_the_main_thread() -> None:
    lock = threading.Lock()
    pinned, other = PinnedCown(lock), Cown([1])

    @when(read(pinned), read(other))
    def look(pinned: Cown[Any], other: Cown[list[int]]) -> bool:
        with pytest.raises(RuntimeError, match=ONLY_READS):
            pinned.value = None
        return pinned.value is pinned.value and threading.current_thread() is threading.main_thread()

    @when(pinned, read(other))
    def hold(pinned: Cown[Any], other: Cown[list[int]]) -> list[int]:
        pinned.value.acquire()
        return other.value

    assert hold.result() == [1]
    assert look.result() is True
    assert lock.locked()
