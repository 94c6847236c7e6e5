"""What the random programs of test_model.py are made of, and what their behaviours do.

In a module of its own, so that no worker has to import what makes them up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from boc import Cown, whencall
from crossing import Log


class Broken(Exception):
    pass


@dataclass(frozen=True)
class Step:
    """One behaviour: what it is scheduled over, and what it does there."""

    cowns: tuple[int | tuple[int, ...], ...]
    """Indices of cowns, and of results of earlier steps behind those; groups are lists."""
    action: str
    number: int
    sync: str


def flat(step: Step) -> list[int]:
    places = []
    for entry in step.cowns:
        places.extend([entry] if isinstance(entry, int) else entry)
    return places


def act(step: Step, cells: list) -> object:
    """What a behaviour does, on the model's cells and on cowns alike: they have `value`."""
    seen = [cell.value for cell in cells]
    text = tuple(hash(str(value)) for value in seen)
    first = len(flat(Step(step.cowns[:1], "", 0, "")))
    for offset, cell in enumerate(cells):
        if step.action == "look around" and offset < first:
            cell.value = (hash(str(cell.value)), "looked")
        elif step.action == "write":
            cell.value = (step.number, offset, hash(text))
        elif step.action == "append":
            cell.value = (hash(str(cell.value)), step.number)
        elif step.action == "break half-way" and offset == len(cells) // 2:
            raise Broken(step.number, text)
        elif step.action.startswith("break"):
            cell.value = (step.number, "half")
    if step.action == "break":
        raise Broken(step.number, text)
    return (step.number, text)


@dataclass
class Cell:
    """A cown of the model."""

    value: object


def shown(value: object) -> object:
    """Exceptions are compared by what they are made of."""
    return ("raised", *value.args) if isinstance(value, Broken) else value


class Shown:
    """A cown whose exceptions look as they do in the model."""

    def __init__(self, cown: Cown) -> None:
        self.cown = cown

    @property
    def value(self) -> object:
        return shown(self.cown.value)

    @value.setter
    def value(self, value: object) -> None:
        self.cown.value = value


def body_of(step: Step) -> Callable[..., object]:
    def body(*arguments):
        held = []
        for argument in arguments:
            held.extend(argument if isinstance(argument, list) else [argument])
        assert all(cown.acquired for cown in held)
        return act(step, [Shown(cown) for cown in held])

    return body


@dataclass
class Node:
    """A behaviour of a tree: the cowns it is over, and what it schedules."""

    cowns: list[int]
    children: list[Node]
    number: int = 0
    parent: int | None = None
    older: int | None = None
    all: list[Node] = field(default_factory=list, repr=False)


def scheduling(cowns: list[Cown[list[int]]], ran: Log) -> Callable[[Node], None]:
    """What schedules a tree: each behaviour notes its number in its cowns, and schedules its children."""

    def run(*arguments):
        *held, node = arguments
        for cown in held:
            cown.value.append(node.number)
        ran.append(node.number)
        for child in node.children:
            schedule(child)

    def schedule(node: Node) -> None:
        whencall(run, [cowns[index] for index in node.cowns], [node])

    return schedule
