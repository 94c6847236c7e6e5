"""Random programs against a sequential model.

The model runs every behaviour at the moment at which it is scheduled. That is one of the orders
that boc promises: behaviours that share a cown run as scheduled, and others do not matter to each
other.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import boc
from boc import Cown, atomic, quiesce, read, wait, when
from crossing import Log
from model import Broken, Cell, Node, Step, act, body_of, flat, scheduling, shown

CONFIGURATION = settings(
    deadline=None,
    database=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@st.composite
def programs(draw: st.DrawFn) -> tuple[int, int, list[Step]]:
    count = draw(st.integers(1, 5))
    workers = draw(st.integers(1, 4))
    steps = []
    for number in range(draw(st.integers(1, 25))):
        place = st.integers(0, count + number - 1)
        entry = place | st.lists(place, max_size=4).map(tuple)
        steps.append(
            Step(
                tuple(draw(st.lists(entry, max_size=4))),
                draw(
                    st.sampled_from(
                        ["write", "append", "read", "look", "look around", "break", "break half-way"],
                    )
                ),
                number,
                draw(st.sampled_from([""] * 10 + ["block", "block", "quiesce", "wait", "result", "acquire"])),
            )
        )
    return count, workers, steps


@CONFIGURATION
@given(programs())
def test_one_thread_schedules(program: tuple[int, int, list[Step]]) -> None:
    count, workers, steps = program
    cells = [Cell(index) for index in range(count)]
    cowns = [Cown(index) for index in range(count)]
    outcomes: list[object] = []
    block = ExitStack()
    inside, first = False, 0
    boc.start(workers)
    try:
        for step in steps:
            # What a block has scheduled cannot be used before its end.
            if inside and (step.sync not in ("", "block") or any(place >= first for place in flat(step))):
                block.close()
                inside = False
            if step.sync == "block" and not inside:
                block.enter_context(atomic())
                inside, first = True, len(cowns)
            try:
                outcome = act(step, [cells[place] for place in flat(step)])
            except Broken as error:
                outcome = shown(error)
            outcomes.append(outcome)
            cells.append(Cell(outcome))
            over = [
                cowns[entry] if isinstance(entry, int) else [cowns[place] for place in entry]
                for entry in step.cowns
            ]
            if step.action == "look":
                over = [read(entry) for entry in over]
            elif step.action == "look around":
                over[1:] = [read(entry) for entry in over[1:]]
            cowns.append(when(*over)(body_of(step)))
            if step.sync == "quiesce":
                quiesce(60)
            elif step.sync == "wait":
                wait(60)
                boc.start(workers)
            elif step.sync == "result":
                assert outcome_of(cowns[-1]) == outcome
            elif step.sync == "acquire":
                with cowns[0] as value:
                    assert shown(value) == cells[0].value
        block.close()
        values = when(cowns)(lambda cowns: [shown(cown.value) for cown in cowns]).result(60)
        assert values == [cell.value for cell in cells]
        assert [outcome_of(cown) for cown in cowns[count:]] == outcomes
    finally:
        block.close()
        wait(60)


def outcome_of(result: Cown) -> object:
    try:
        return result.result(60)
    except Broken as error:
        return shown(error)


def nodes(count: int) -> st.SearchStrategy[Node]:
    some = st.lists(st.integers(0, count - 1), unique=True, max_size=3)
    leaf = st.builds(Node, some, st.just([]))
    return st.recursive(
        leaf,
        lambda inner: st.builds(Node, some, st.lists(inner, max_size=4)),
        max_leaves=25,
    )


@CONFIGURATION
@given(st.data(), st.integers(1, 4), st.integers(1, 4))
def test_behaviours_and_threads_schedule(data: st.DataObject, count: int, workers: int) -> None:
    """Who schedules from several places at once still gets one order on all the cowns.

    Each cown's log says in which order the behaviours held it. Together with what was scheduled
    before what by one thread or behaviour, that must be an order, that is, without a cycle.
    """
    roots = data.draw(st.lists(nodes(count), min_size=1, max_size=4))
    everyone: list[Node] = []

    def enter(node: Node, parent: int | None) -> None:
        node.number, node.parent = len(everyone), parent
        everyone.append(node)
        for child in node.children:
            enter(child, node.number)

    for root in roots:
        enter(root, None)

    boc.start(workers)
    cowns = [Cown([]) for _ in range(count)]
    ran = Log()
    schedule = scheduling(cowns, ran)

    # Each root on a thread of its own.
    threads = [threading.Thread(target=schedule, args=[root]) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait(60)

    assert sorted(ran) == list(range(len(everyone)))
    ran.close()
    logs = [cown.unwrap() for cown in cowns]
    for index, log in enumerate(logs):
        assert sorted(log) == [node.number for node in everyone if index in node.cowns]
    before: dict[int, set[int]] = {node.number: set() for node in everyone}
    for log in logs:
        for earlier, later in zip(log, log[1:], strict=False):
            before[later].add(earlier)
    for node in everyone:
        if node.parent is not None:
            before[node.number].add(node.parent)
        for index, child in enumerate(node.children):
            for older in node.children[:index]:
                if set(older.cowns) & set(child.cowns):
                    before[child.number].add(older.number)
    assert_without_cycle(before)


def assert_without_cycle(before: dict[int, set[int]]) -> None:
    left = {number: set(earlier) for number, earlier in before.items()}
    while left:
        free = [number for number, earlier in left.items() if not earlier]
        assert free, f"a cycle among {sorted(left)}"
        for number in free:
            del left[number]
        for earlier in left.values():
            earlier.difference_update(free)
