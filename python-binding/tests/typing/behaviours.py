"""What type checkers know of behaviours. They read this; nobody runs it.

A line with `# wrong` has a mistake that they must find.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from typing_extensions import assert_type

from boc import Buffer, Cown, PinnedCown, PumpResult, pump, read, scope, when, whencall

numbers = Cown([1, 2])
name = Cown("name")
many = [Cown(1.5), Cown(2.5)]

assert_type(numbers, Cown[list[int]])


# Parameters are what was named, and the result is what the body returns.


@when(numbers, name)
def repeated(numbers: Cown[list[int]], name: Cown[str]) -> list[str]:
    return [name.value * number for number in numbers.value]


assert_type(repeated, Cown[list[str]])
assert_type(repeated.result(), list[str])
assert_type(repeated.future(), Future[list[str]])


@when(many, repeated)
def lists(many: list[Cown[float]], repeated: Cown[list[str]]) -> float:
    return sum(cown.value for cown in many) + len(repeated.value)


assert_type(lists, Cown[float])


# What is only read arrives as the cown itself.


@when(numbers, read(name))
def looked_at(numbers: Cown[list[int]], name: Cown[str]) -> int:
    return len(name.value)


assert_type(looked_at, Cown[int])
whencall(len, [read(many)])
read(1)  # wrong


@when(read(many), read(name))
def both_looked_at(many: list[Cown[float]], name: Cown[str]) -> float:
    return many[0].value


assert_type(both_looked_at, Cown[float])


@when()
def nothing() -> None:
    pass


assert_type(nothing, Cown[None])


# Captures are parameters with defaults.
for index in range(3):

    @when(name)
    def captures(name: Cown[str], index: int = index, *, other: str = "x") -> int:
        return index

    assert_type(captures, Cown[int])


assert_type(when(name)(lambda name: name.value.upper()), Cown[str])
assert_type(when(numbers, name)(lambda numbers, name: (numbers.value, name.value)), Cown[tuple[list[int], str]])


@when(name, name, name, name, name, name, name, numbers)
def eight(
    a: Cown[str],
    b: Cown[str],
    c: Cown[str],
    d: Cown[str],
    e: Cown[str],
    f: Cown[str],
    g: Cown[str],
    h: Cown[list[int]],
) -> bytes:
    return b""


assert_type(eight, Cown[bytes])


# Of other sequences, and of more than eight, only the result is known.


def tuples(cowns: Sequence[Cown[int]]) -> None:
    @when(tuple(cowns), name)
    def body(cowns: list[Cown[int]], name: Cown[str]) -> int:
        return sum(cown.value for cown in cowns)

    assert_type(body, Cown[int])


@when(name, name, name, name, name, name, name, name, numbers)
def nine(*cowns: Cown[str] | Cown[list[int]]) -> int:
    return len(cowns)


assert_type(nine, Cown[int])

assert_type(whencall(lambda cown: 1, [name]), Cown[int])


# A result is waited for in several ways.


async def waits() -> None:
    assert_type(await repeated, list[str])
    async with scope(timeout=1.0) as s:
        s.cancel()


repeated.add_done_callback(lambda result: assert_type(result, Cown[list[str]]))
assert_type(repeated.done(), bool)
assert_type(repeated.cancel(), bool)


@when(Cown(Buffer(16)))
def memory(buffer: Cown[Buffer]) -> int:
    with memoryview(buffer.value) as view:
        return len(view)


assert_type(memory, Cown[int])


widget = PinnedCown("a label")


@when(widget, numbers)
def shows(widget: PinnedCown[str], numbers: Cown[list[int]]) -> str:
    return widget.value * len(numbers.value)


assert_type(shows, Cown[str])
assert_type(pump(deadline_ms=5), PumpResult)
assert_type(pump(max_behaviors=1).executed, int)


# Mistakes.


@when(name)  # wrong
def another_type(name: Cown[int]) -> None:
    pass


@when(name)  # wrong
def one_too_many(name: Cown[str], numbers: Cown[list[int]]) -> None:
    pass


@when(name, numbers)  # wrong
def one_too_few(name: Cown[str]) -> None:
    pass


when("name")  # wrong
when(name)(lambda name: name.value.no_such_method())  # wrong
Cown()  # wrong
name.value = 5  # wrong
pump("5")  # wrong
when(widget)(lambda widget: widget.value.no_such_method())  # wrong
