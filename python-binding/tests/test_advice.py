"""A cown that is used as if it were its value: Python's own exception, with a note that says what to do."""

from __future__ import annotations

import collections.abc
import copy
import inspect
import logging
import pickle
import re
from collections.abc import Callable

import pytest

from boc import Cown, when

USED = (
    "a Cown is not its value: in a behaviour that holds the cown, the value is `.value` (as in `cown.value += 1`, "
    "`len(cown.value)`)"
)
CALLED = (
    "a Cown cannot be called: @when schedules the function below it at once, and its name is then the Cown of the "
    "result (see result(), @when(result)); if the value of a cown is meant, that is `.value`"
)


def adds(cown):
    cown += 1


def loops(cown):
    for _ in cown:
        pass


def unpacks(cown):
    first, _ = cown


def sets_an_item(cown):
    cown[0] = 1


def deletes_an_item(cown):
    del cown[0]


def sets_an_attribute(cown):
    cown.balance = 1


FORGOTTEN: dict[str, tuple[Callable[[Cown], object], type[Exception], str]] = {
    "attribute": (lambda cown: cown.append(1), AttributeError, "'boc.Cown' object has no attribute 'append'"),
    "attribute, set": (sets_an_attribute, AttributeError, "'boc.Cown' object has no attribute 'balance'.*"),
    "item": (lambda cown: cown[0], TypeError, "'boc.Cown' object is not subscriptable"),
    "item, set": (sets_an_item, TypeError, "'boc.Cown' object does not support item assignment"),
    "item, deleted": (deletes_an_item, TypeError, "'boc.Cown' object doesn't support item deletion"),
    "+=": (adds, TypeError, r"unsupported operand type\(s\) for \+=: 'boc.Cown' and 'int'"),
    "+, on the right": (
        lambda cown: 1 + cown,
        TypeError,
        r"unsupported operand type\(s\) for \+: 'int' and 'boc.Cown'",
    ),
    "<": (
        lambda cown: cown < 1,
        TypeError,
        "'<' not supported between instances of 'boc.Cown' and 'int'",
    ),
    "-": (lambda cown: -cown, TypeError, "bad operand type for unary -: 'boc.Cown'"),
    "len": (len, TypeError, r"object of type 'boc.Cown' has no len\(\)"),
    "for": (loops, TypeError, "'boc.Cown' object is not iterable"),
    "in": (lambda cown: 1 in cown, TypeError, "argument of type 'boc.Cown' is not .*iterable"),
    "unpacking": (unpacks, TypeError, "cannot unpack non-iterable boc.Cown object"),
    "int": (int, TypeError, r"int\(\) argument must be .* not 'boc.Cown'"),
    "join": (lambda cown: "".join([cown]), TypeError, "sequence item 0: expected str instance, boc.Cown found"),
}


@pytest.mark.parametrize("mistake", FORGOTTEN)
def test_a_value_that_was_forgotten(mistake: str) -> None:
    body, kind, message = FORGOTTEN[mistake]
    with pytest.raises(kind, match=f"^{message}\n{re.escape(USED)}$") as raised:
        when(Cown([1]))(lambda cown: body(cown)).result()
    assert type(raised.value) is kind
    assert raised.value.__notes__ == [USED]


def test_a_behaviour_that_is_called() -> None:
    @when()
    def work():
        return 1

    with pytest.raises(TypeError, match="^'boc.Cown' object is not callable\n") as raised:
        when()(lambda: work()).result()
    assert raised.value.__notes__ == [CALLED]


def test_it_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="boc"):
        result = when(Cown(1))(adds)
        when(result)(lambda _: None).result()
        del result
        when()(lambda: None).result()
    assert USED in caplog.text


def test_it_is_said_once() -> None:
    @when(Cown(1))
    def fails(cown):
        return len(cown)

    def again(result):
        result.result()

    with pytest.raises(TypeError) as raised:
        when(fails)(again).result()
    assert raised.value.__notes__ == [USED]


@pytest.mark.parametrize(
    "error",
    [TypeError("of something else"), AttributeError("x"), ValueError("'boc.Cown' object"), TypeError(), TypeError(1, 2)],
    ids=repr,
)
def test_other_exceptions_are_left_alone(error: Exception) -> None:
    def fails():
        raise error

    with pytest.raises(type(error)) as raised:
        when()(fails).result()
    assert not hasattr(raised.value, "__notes__")


class Wordless(TypeError):
    def __str__(self) -> str:
        raise OSError


def test_exceptions_of_the_program() -> None:
    with pytest.raises(Wordless):
        when()(lambda: (_ for _ in ()).throw(Wordless("'boc.Cown' object"))).result()


@pytest.mark.once
def test_a_cown_looks_like_nothing_else() -> None:
    cown = Cown([1])
    for protocol in "Callable", "Iterable", "Sized", "Container", "Sequence", "Mapping":
        assert not isinstance(cown, getattr(collections.abc, protocol))
    assert not callable(cown)
    for name in "append", "__len__", "__getitem__", "__call__", "__iter__", "__array__", "__deepcopy__":
        assert not hasattr(cown, name)
    assert bool(cown) and cown
    for copier in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(TypeError, match="a Cown cannot be pickled or copied"):
            copier(cown)
    assert not inspect.isroutine(cown) and not inspect.isawaitable(object())
    assert [name for name, _ in inspect.getmembers(type(cown)) if name == "value"] == ["value"]
