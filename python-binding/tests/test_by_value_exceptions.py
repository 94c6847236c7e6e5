"""Exceptions that come from another interpreter: as like the original as they can be."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from boc import when
from crossing import shown, works

pytestmark = pytest.mark.by_value


class Plain(Exception):
    pass


class WithState(Exception):
    def __init__(self, text: str, *, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class WithMoreParameters(Exception):
    """Pickle calls it with what it passes on, which is less than it needs."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.two = two


def test_exceptions_of_the_modules_classes() -> None:
    @when()
    def body():
        raise Plain("one", [2])

    for _ in range(2):
        with pytest.raises(Plain) as caught:
            body.result()
        assert type(caught.value) is Plain and caught.value.args == ("one", [2])


def test_exceptions_keep_their_attributes_and_notes() -> None:
    @when()
    def body():
        error = WithState("sorry", code=5)
        error.add_note("this is a note")
        raise error

    with pytest.raises(WithState) as caught:
        body.result()
    assert (str(caught.value), caught.value.code) == ("sorry", 5)
    assert "this is a note" in shown(caught.value)


def test_exceptions_of_local_classes() -> None:
    class Local(Exception):
        pass

    @when()
    def body():
        raise Local("sorry")

    with pytest.raises(Local) as caught:
        body.result()
    assert str(caught.value) == "sorry"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: WithMoreParameters(1, 2), "1 and 2"),
        (lambda: Plain("sorry", threading.Lock()), "sorry"),
        (lambda: Plain(x for x in "abc"), "generator"),
    ],
    ids=["its class needs more", "a lock in it", "a generator in it"],
)
def test_exceptions_that_cannot_cross_are_told_nevertheless(
    make: Callable[[], BaseException], says: str
) -> None:
    @when()
    def body_to_find():
        raise make()

    with pytest.raises(Exception) as caught:  # noqa: B017
        body_to_find.result()
    text = shown(caught.value)
    assert says in text and type(make()).__name__ in text and "in body_to_find" in text
    assert body_to_find.exception
    works()


def test_exception_groups() -> None:
    @when()
    def body():
        raise ExceptionGroup("both", [Plain("one"), ExceptionGroup("inner", [KeyError("two")])])

    with pytest.raises(ExceptionGroup, match="both") as caught:
        body.result()
    assert caught.value.subgroup(KeyError) is not None
    assert "Plain: one" in shown(caught.value)


def test_an_exception_that_was_raised_again_shows_both_ways() -> None:
    def deeper():
        raise Plain("sorry")

    first = when()(deeper)

    @when(first)
    def again_to_find(first):
        first.result()

    with pytest.raises(Plain) as caught:
        again_to_find.result()
    assert "in again_to_find" in shown(caught.value)
    assert "in deeper" in shown(caught.value)
