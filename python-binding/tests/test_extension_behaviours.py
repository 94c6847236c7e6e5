"""What becomes of a behaviour of an extension in C: results, failures, values, envs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

import boc
from boc import Cown, quiesce, when

pytestmark = pytest.mark.by_reference("extensions use objects of the main interpreter")


class Value:
    """Something that can be seen to end."""


@pytest.fixture
def nothing_left(probe) -> Iterator[None]:
    """What was made meanwhile is gone at the end, and each env was destroyed once."""
    gc.collect()
    live, before = probe.live_cowns(), probe.destroyed()["envs"]
    functions: list[weakref.ref] = []
    yield functions
    boc.wait()
    gc.collect()
    assert probe.live_cowns() == live
    assert [function for function in functions if function() is not None] == []
    assert probe.destroyed()["envs"] == before + len(functions)


def watched(functions: list, function):
    """The function, whose end `nothing_left` looks for; it is the env of a behaviour."""

    class Watched:
        def __call__(self, *arguments):
            return function(*arguments)

    made = Watched()
    functions.append(weakref.ref(made))
    return made


# boc_python_when.


def test_the_result_is_what_the_body_returns(probe, nothing_left) -> None:
    value = Value()
    result = probe.python_when(watched(nothing_left, lambda cown: (cown, value)), [Cown("it")])
    assert type(result) is Cown
    assert result.result() == ("it", value)
    assert when(result)(lambda result: result.value).result()[1] is value
    del result
    boc.wait()
    gone = weakref.ref(value)
    del value
    gc.collect()
    assert gone() is None


def test_an_exception_is_raised_with_the_type_it_had(probe, nothing_left) -> None:
    class Special(Exception):
        pass

    error = Special("from a body of C")

    def body():
        raise error

    result = probe.python_when(watched(nothing_left, body), [])
    with pytest.raises(Special) as caught:
        result.result()
    assert caught.value is error and result.exception
    caught.value.__traceback__ = None


@pytest.mark.parametrize(
    ("twist", "kind", "message"),
    [
        ("null", SystemError, "returned NULL without setting an exception"),
        ("both", LookupError, "set beside what is returned"),
    ],
)
def test_what_no_function_should_return(probe, nothing_left, twist, kind, message) -> None:
    seen = weakref.WeakSet()

    def body():
        value = Value()
        seen.add(value)
        return value

    result = probe.python_when(watched(nothing_left, body), [], "", twist)
    with pytest.raises(kind, match=message):
        result.result()
    gc.collect()
    assert list(seen) == []


def test_a_body_that_says_it_failed_raises_that(probe, nothing_left) -> None:
    function = watched(nothing_left, lambda: probe.fail("out of eggs"))
    with pytest.raises(RuntimeError, match=r"^out of eggs$"):
        probe.python_when(function, []).result()


def test_an_exception_counts_more_than_a_failure(probe) -> None:
    def body():
        probe.fail("out of eggs")
        raise KeyError("eggs")

    with pytest.raises(KeyError):
        probe.python_when(body, []).result()


def test_the_cowns_go_on_with_what_a_body_that_raised_left_in_them(probe) -> None:
    cown, number = Cown(1), probe.number(1)

    def body(value, number):
        probe.set_value(0, 2)
        probe.put_number(1, 3)
        raise ValueError

    result = probe.python_when(body, [cown, number])
    assert probe.take(probe.when(lambda *values: values, [cown, number])) == (2, 3)
    assert result.exception


REFUSED = {
    "duplicates": ("aa", "", TypeError, "twice"),
    "a duplicate that is only read once": ("aa", "rw", TypeError, "twice"),
    "an unknown mode": ("a", "?", ValueError, "mode"),
    "no cown": ("a0", "", ValueError, "NULL"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_requested(probe, nothing_left, case: str) -> None:
    names, modes, kind, message = REFUSED[case]
    known = {"a": Cown(1), "0": None}
    cowns = [known[name] for name in names]
    with pytest.raises(kind, match=message):
        probe.python_when(watched(nothing_left, lambda *_: None), cowns, modes)
    # In C it is a status.
    with pytest.raises(kind, match=message):
        probe.when(watched(nothing_left, lambda *_: None), cowns, modes)
    # The cown is free.
    assert when(known["a"])(lambda cown: cown.value).result() == 1


def test_null_as_request(probe, nothing_left) -> None:
    for schedule in probe.python_when, probe.when:
        with pytest.raises(ValueError, match="NULL"):
            schedule(watched(nothing_left, lambda *_: None), None)


def test_null_as_body(probe) -> None:
    before = probe.destroyed()["envs"]
    for schedule in probe.python_when, probe.when:
        with pytest.raises(ValueError, match="NULL"):
            schedule(None, [])
    assert probe.destroyed()["envs"] == before + 2


def test_a_cown_twice_if_it_is_only_read(probe) -> None:
    cown, number = Cown("it"), probe.number(3)
    result = probe.python_when(lambda *values: values, [cown, number, cown, number], "rrrr")
    assert result.result() == ("it", 3, "it", 3)


@pytest.mark.parametrize("where", ["pool", "another runtime"])
def test_a_body_is_inside_of_a_behaviour_and_cannot_wait(probe, where: str, gate) -> None:
    # Two of them are blocked.
    boc.start(3)
    blocked = when()(lambda: gate.wait() and None)
    of_c = probe.when(lambda: gate.wait() and None, [])

    def body():
        assert probe.inside()
        for wait in (
            boc.wait,
            quiesce,
            boc.start,
            blocked.result,
            Cown(1).acquire,
            lambda: probe.wait(of_c),
            lambda: probe.take(of_c),
            lambda: probe.runtime_end(probe.runtime(), "quiesce"),
        ):
            with pytest.raises(RuntimeError, match="inside of a behaviour"):
                wait()
        assert probe.last_status() == "BOC_INSIDE_BEHAVIOUR"
        gate.set()
        return "checked"

    assert not probe.inside()
    if where == "pool":
        assert probe.python_when(body, []).result() == "checked"
    else:
        assert probe.take(probe.when_elsewhere(body, [])) == "checked"


def test_a_cancelled_behaviour_destroys_its_env(probe, nothing_left, gate) -> None:
    cown = Cown(1)
    blocked = when(cown)(lambda cown: gate.wait() and None)
    ran = []
    result = probe.when(watched(nothing_left, ran.append), [cown])
    assert probe.cancel(result) is True
    assert nothing_left[0]() is None
    assert probe.status(result) == "BOC_CANCELLED"
    assert probe.cancel(result) is False
    gate.set()
    blocked.result()
    quiesce()
    with pytest.raises(RuntimeError, match="cancelled"):
        probe.take(result)
    assert ran == []


# boc_when.


def test_a_behaviour_on_another_runtime_attaches_by_itself(probe, nothing_left) -> None:
    cown, number = Cown([1]), probe.number(2)

    def body(value, number):
        value.append(number)
        probe.set_value(0, [*value, "new"])
        return value

    result = probe.when_elsewhere(watched(nothing_left, body), [cown, number])
    assert probe.take(result) == [1, 2]
    assert when(cown)(lambda cown: cown.value).result() == [1, 2, "new"]


@pytest.mark.parametrize("message", ["no such thing", "ein Ärgernis", "", "zero\0inside"])
def test_an_exception_that_a_body_of_c_leaves_is_its_failure(probe, nothing_left, message) -> None:
    def body():
        raise LookupError(message)

    result = probe.when(watched(nothing_left, body), [])
    with pytest.raises(RuntimeError):
        probe.take(result)
    assert (probe.last_status(), probe.status(result)) == ("BOC_FAILED", "BOC_FAILED")
    assert probe.error(result) == f"LookupError: {message}".replace("\0", "")


def test_a_body_of_c_finds_how_behaviours_of_python_ended(probe) -> None:
    @when()
    def good():
        return 1

    @when()
    def failed():
        raise KeyError("k")

    def look(*values):
        return [probe.outcome(index) for index in range(len(values))], values[2]

    outcomes, exception = probe.python_when(look, [Cown(1), good, failed]).result()
    assert [status for status, _ in outcomes] == ["BOC_OK", "BOC_OK", "BOC_FAILED"]
    assert outcomes[0][1] is outcomes[1][1] is None and "exception" in outcomes[2][1]
    assert isinstance(exception, KeyError)
    with pytest.raises(KeyError):
        failed.result()


def test_a_failure_of_c_that_nobody_looks_at_is_logged(probe, caplog) -> None:
    probe.when(lambda: probe.fail("as planned"), [])
    quiesce()
    (record,) = [record for record in caplog.records if "as planned" in record.message]
    assert record.name == "boc" and record.levelname == "ERROR"


def test_the_worker_goes_on_after_an_exception_that_was_left(probe) -> None:
    boc.start(1)

    def body(cown):
        raise ValueError

    cown = Cown(1)
    failed = [probe.when(body, [cown]) for _ in range(100)]
    assert when(cown)(lambda cown: cown.value + 1).result() == 2
    assert probe.take(probe.when(lambda value: value, [cown])) == 1
    assert {probe.status(result) for result in failed} == {"BOC_FAILED"}
    quiesce()
    assert [stats["run"] for stats in boc.stats()] == [102]


def test_an_exception_whose_text_raises(probe) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError

    def body():
        raise Silent

    result = probe.when(body, [])
    with pytest.raises(RuntimeError):
        probe.take(result)
    assert probe.status(result) == "BOC_FAILED"
    assert probe.take(probe.when(lambda: 1, [])) == 1


def test_a_failure_counts_without_an_exception(probe) -> None:
    result = probe.when(lambda: probe.fail("no more eggs"), [])
    with pytest.raises(RuntimeError, match=r"no more eggs"):
        probe.take(result)


# boc_python_set_value.


def test_what_is_put_into_a_cown_is_seen_by_the_next(probe) -> None:
    cown = Cown(1)
    for n in range(100):
        probe.python_when(lambda value: probe.set_value(0, value + 1), [cown])
        assert when(cown)(lambda cown: cown.value).result() == n + 2


def test_the_old_value_ends_when_another_is_put_there(probe) -> None:
    value = Value()
    gone = weakref.ref(value)
    cown = Cown(value)
    del value
    new = Value()

    def body():
        assert gone() is not None
        probe.set_value(0, new)
        gc.collect()
        assert gone() is None

    probe.python_when(body, [cown], "", "without values").result()
    assert when(cown)(lambda cown: cown.value).result() is new


def test_the_end_of_the_old_value_can_put_one_there_as_well(probe) -> None:
    class Last:
        def __del__(self) -> None:
            probe.set_value(0, "from the finaliser")

    # Without the GIL an object ends on the thread that has made it, so there is one.
    boc.start(1)
    cown = Cown(None)
    when(cown)(lambda cown: setattr(cown, "value", Last())).result()

    def body():
        probe.set_value(0, "from the body")

    probe.python_when(body, [cown], "", "without values").result()
    assert when(cown)(lambda cown: cown.value).result() == "from the finaliser"


def test_where_a_value_cannot_be_put(probe) -> None:
    cown, number, read = Cown(1), probe.number(2), Cown(3)

    def body(*values):
        for index in 3, 2**62:
            with pytest.raises(IndexError, match=f"no cown {index}"):
                probe.set_value(index, 7)
        with pytest.raises(TypeError, match="none of Python's"):
            probe.set_value(1, 7)
        with pytest.raises(RuntimeError, match="only read"):
            probe.set_value(2, 7)
        with pytest.raises(ValueError, match="NULL"):
            probe.set_value(0)
        return "checked"

    assert probe.python_when(body, [cown, number, read], "wwr").result() == "checked"
    values = probe.take(probe.when(lambda *values: values, [cown, number, read]))
    assert values == (1, 2, 3)


def test_there_is_nothing_to_put_a_value_into_outside_of_behaviours(probe) -> None:
    with pytest.raises(IndexError, match="NULL"):
        probe.set_value(0, 1)


def test_the_functions_for_cowns_of_c_leave_those_of_python_alone(probe) -> None:
    cown, number = Cown(1), probe.number(2)

    def body(*values):
        with pytest.raises(RuntimeError, match="was not made by"):
            probe.put_number(0, 7)
        assert probe.last_status() == "BOC_NOT_ALLOWED"
        with pytest.raises(RuntimeError, match="was not made by"):
            probe.take_number(0)
        return probe.take_number(1)

    assert probe.python_when(body, [cown, number]).result() == 2
    assert when(cown)(lambda cown: cown.value).result() == 1


def test_none_can_be_put_into_a_cown_and_is_what_an_emptied_one_shows(probe) -> None:
    cown = Cown(1)
    probe.python_when(lambda value: probe.set_value(0, None), [cown])
    assert probe.python_when(lambda value: value, [cown]).result() is None
    quiesce()
    other = Cown(2)
    assert other.unwrap() == 2
    assert probe.python_when(lambda value: value, [other]).result() is None


def test_a_value_that_is_put_over_an_exception_is_none(probe) -> None:
    raised = when()(lambda: 1 / 0)
    probe.python_when(lambda error: probe.set_value(0, "mended"), [raised]).result()
    assert when(raised)(lambda cown: (cown.value, cown.exception)).result() == ("mended", False)
