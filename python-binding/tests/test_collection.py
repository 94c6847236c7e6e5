"""Garbage: everything is freed, once, and nothing too early."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable

import pytest

import boc
from boc import Cown, quiesce, wait, when, whencall
from crossing import Gate

pytestmark = pytest.mark.by_reference("the collector sees the objects themselves, with their finalisers")


class Thing:
    """Something that can be referred to weakly, and refer to anything."""

    def __init__(self, **others) -> None:
        self.__dict__.update(others)


class Census:
    """Counts the things it has seen, and how often one of them ended."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.born = 0
        self.ended = 0

    def thing(self, **others) -> Thing:
        thing = Thing(**others)
        with self.lock:
            self.born += 1
        weakref.finalize(thing, self.end).atexit = False
        return thing

    def end(self) -> None:
        with self.lock:
            self.ended += 1

    def check(self, at_least: int = 1) -> None:
        """All have ended, each once."""
        settle()
        assert self.born >= at_least
        assert self.ended == self.born


@pytest.fixture
def census() -> Census:
    return Census()


def settle() -> None:
    """Lets everything end that nobody refers to."""
    quiesce()
    # The second round is for what the finalisers of the first let go of.
    gc.collect()
    gc.collect()


CYCLES: dict[str, Callable[[Census], None]] = {}


def cycle(function: Callable[[Census], None]) -> Callable[[Census], None]:
    CYCLES[function.__name__] = function
    return function


@cycle
def a_cown_in_its_own_value(census: Census) -> None:
    thing = census.thing()
    thing.cown = Cown(thing)


@cycle
def two_cowns_in_each_other(census: Census) -> None:
    one, other = Cown(None), Cown(None)

    @when(one, other)
    def tie(one, other):
        one.value = census.thing(other=other)
        other.value = census.thing(other=one)


@cycle
def a_cown_that_is_its_own_value(census: Census) -> None:
    cown = Cown(None)
    thing = census.thing(cown=cown)

    @when(cown)
    def tie(cown):
        cown.value = [cown, thing]


@cycle
def a_body_over_its_own_result(census: Census) -> None:
    thing = census.thing()

    def body():
        return thing

    thing.body = body
    thing.result = when()(body)


@cycle
def a_result_that_returns_itself(census: Census) -> None:
    ready, box = threading.Event(), []

    @when()
    def body():
        ready.wait(30)
        return census.thing(result=box[0])

    box.append(body)
    ready.set()


@cycle
def a_request_in_a_value(census: Census) -> None:
    thing = census.thing()
    cown = Cown(thing)
    thing.plain = when(cown)
    thing.listed = when([cown, cown], cown)


@cycle
def an_exception_and_its_traceback(census: Census) -> None:
    cown = Cown(None)
    box = census.thing()

    @when(cown)
    def body(cown):
        local = census.thing(box=box, cown=cown)
        raise ValueError(local)

    box.result = body
    assert body.exception


@cycle
def an_exception_that_nobody_looked_at(census: Census) -> None:
    box = census.thing()

    @when()
    def body():
        local = census.thing(box=box)
        try:
            raise ValueError(local)
        except ValueError as error:
            local.error = error
            raise KeyError(local) from error

    box.result = body


@cycle
def captures(census: Census) -> None:
    cown = Cown([])
    thing = census.thing(cown=cown)
    whencall(lambda cown, thing: cown.value.append(thing), [cown], [thing])


@cycle
def a_generic_alias(census: Census) -> None:
    thing = census.thing()
    thing.cown = Cown[int]([thing])


@pytest.fixture
def quiet_log():
    """Nobody is to see the exceptions that are left unseen on purpose."""
    import logging

    logger = logging.getLogger("boc")
    logger.disabled = True
    yield
    logger.disabled = False


@pytest.mark.parametrize("make", CYCLES.values(), ids=CYCLES)
def test_cycles(make, census: Census, quiet_log) -> None:
    for _ in range(20):
        make(census)
    census.check(at_least=20)


def test_cycles_while_the_collector_runs_all_the_time(census: Census, quiet_log) -> None:
    rounds = 50
    boc.start(3)
    over = threading.Event()

    def collect():
        # A collection stops all threads. Without a pause between two of them the
        # others would get no turn at all on a machine with few processors.
        while not over.wait(0.001):
            gc.collect()

    def make():
        for _ in range(rounds):
            for one in CYCLES.values():
                one(census)

    threads = [threading.Thread(target=target) for target in (collect, make, make)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    over.set()
    threads[0].join()
    census.check(at_least=2 * rounds * len(CYCLES))


class TestWithoutTheCollector:
    """What is in no cycle ends with the last reference to it."""

    @pytest.fixture(autouse=True)
    def no_collector(self):
        gc.collect()
        gc.disable()
        yield
        gc.enable()

    def ended(self, census: Census) -> None:
        wait()
        # A thread that is gone may have left references for this one to settle.
        deadline = time.monotonic() + 10
        while census.ended < census.born and time.monotonic() < deadline:
            time.sleep(0.001)
        assert census.ended == census.born > 0

    def test_values(self, census: Census) -> None:
        cown = Cown(census.thing())
        when(cown)(lambda cown: None).result()
        assert census.ended == 0
        del cown
        self.ended(census)

    def test_values_that_are_replaced(self, census: Census) -> None:
        cown = Cown(census.thing())
        for _ in range(10):
            when(cown)(lambda cown: setattr(cown, "value", census.thing())).result()
        wait()
        assert census.born - census.ended == 1
        del cown
        self.ended(census)

    def test_results(self, census: Census) -> None:
        result = when()(lambda: census.thing())
        assert isinstance(result.result(), Thing)
        del result
        for _ in range(10):
            when()(lambda: census.thing())
        self.ended(census)

    def test_results_that_were_unwrapped(self, census: Census) -> None:
        result = when()(lambda: census.thing())
        replaced = when()(lambda: census.thing())
        when(replaced)(lambda result: setattr(result, "value", census.thing()))
        wait()
        assert isinstance(result.unwrap(), Thing)
        taken = replaced.unwrap()
        assert isinstance(taken, Thing)
        assert census.born - census.ended == 1, "only `taken` is left, and both cowns are"
        del taken
        self.ended(census)

    def test_functions_and_captures(self, census: Census) -> None:
        def schedule():
            thing = census.thing()
            result = when(Cown(census.thing()))(lambda cown, other=census.thing(): thing)
            return result.result() is thing

        for _ in range(10):
            assert schedule()
        self.ended(census)

    def test_bodies_end_with_their_behaviour(self, census: Census) -> None:
        """The result keeps what the body returned, and not the body."""

        def schedule():
            thing = census.thing()
            return when()(lambda: thing and None)

        result = schedule()
        self.ended(census)
        assert result.result() is None

    def test_requests(self, census: Census) -> None:
        schedule = when(Cown(census.thing()), [Cown(census.thing())])
        del schedule
        self.ended(census)

    def test_what_was_refused(self, census: Census) -> None:
        for _ in range(10):
            with pytest.raises(TypeError):
                when(Cown(census.thing()))(lambda *, x, other=census.thing(): None)
            with pytest.raises(TypeError):
                when([Cown(census.thing())], census.thing())
        self.ended(census)


def test_what_is_queued_is_not_collected(gate: Gate, census: Census) -> None:
    boc.start(1)
    log = []
    when()(lambda: gate.wait(60))

    def schedule(n):
        thing = census.thing(n=n)
        thing.itself = thing
        cown = Cown(thing)
        thing.cown = cown
        whencall(lambda cown, other: log.append((cown.value.n, other.n)), [cown], [thing])
        when([cown])(lambda cowns: log.append((cowns[0].value.n, thing.n)))

    for n in range(50):
        schedule(n)
    for _ in range(3):
        gc.collect()
    assert census.ended == 0
    gate.set()
    quiesce()
    assert sorted(log) == sorted([(n, n) for n in range(50)] * 2)
    census.check(50)


def test_what_a_thread_holds_is_not_collected(census: Census) -> None:
    cown = Cown(census.thing(n=1))
    with cown as thing:
        thing.cown = cown
        del thing
        gc.collect()
        assert cown.value.n == 1
    del cown
    census.check()


def test_a_cown_that_was_never_released(census: Census) -> None:
    Cown(census.thing()).acquire()
    census.check()


def test_values_reachable_by_a_cown_alone_survive() -> None:
    thing = Thing(n=1)
    cown = Cown(thing)
    thing.cown = cown
    del thing
    for _ in range(3):
        gc.collect()
    assert when(cown)(lambda cown: cown.value.n).result() == 1
    gc.collect()
    assert when(cown)(lambda cown: cown.value.n).result() == 1


class TestFinalisers:
    def test_one_that_schedules(self) -> None:
        seen = Cown([])

        class Last:
            def __del__(self):
                when(seen)(lambda seen: seen.value.append(1))

        def schedule():
            cown = Cown(Last())
            when(cown)(lambda cown: None)
            when()(lambda: Last())
            tied = Last()
            tied.itself = Cown(tied)
            when(Cown(Last()))(lambda cown, other=tied: setattr(cown, "value", Last()))

        for _ in range(50):
            schedule()
        settle()
        assert len(when(seen)(lambda seen: seen.value).result()) == 50 * 5

    @pytest.mark.parametrize(
        "call",
        [quiesce, wait, lambda: Cown(1).acquire(), lambda: boc.start(), lambda: quiesce(5)],
        ids=["quiesce", "wait", "acquire", "start", "quiesce with timeout"],
    )
    def test_one_that_waits_on_a_worker(self, call, gate: Gate) -> None:
        """A worker lets go of cowns after the body; it must not wait for itself then."""
        got = []

        class Last:
            def __del__(self):
                name = threading.current_thread().name
                try:
                    call()
                except RuntimeError as error:
                    got.append((name, str(error)))
                else:
                    got.append((name, "no error"))

        def schedule():
            def body(cown):
                gate.wait(60)
                return Last()

            # Nobody but the behaviour refers to the result, or to the cown.
            when(Cown(Last()))(body)

        schedule()
        gate.set()
        quiesce(60)
        gc.collect()
        assert len(got) == 2
        # On free-threaded builds an object can also end on the thread that made it.
        by_worker = [error for name, error in got if name.startswith("boc-worker")]
        assert by_worker and all("inside of a behaviour" in error for error in by_worker)

    def test_one_that_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raised = []
        monkeypatch.setattr(sys, "unraisablehook", lambda entry: raised.append(str(entry.exc_value)))

        class Last:
            def __del__(self):
                raise ValueError("last")

        cown = Cown(Last())
        when(cown)(lambda cown: setattr(cown, "value", Last())).result()
        when()(lambda: Last())
        del cown
        settle()
        assert raised == ["last"] * 3
        assert when()(lambda: 1).result() == 1

    def test_one_that_uses_the_cown_it_was_in(self) -> None:
        got = []

        class Last:
            def __del__(self):
                try:
                    got.append(self.cown.value)
                except RuntimeError as error:
                    got.append(str(error))

        for _ in range(20):
            last = Last()
            last.cown = Cown(last)
            del last
        settle()
        assert len(got) == 20 and all("only by the behaviour" in error for error in got)

    def test_one_that_brings_its_cown_back(self) -> None:
        saved = []

        class Last:
            def __del__(self):
                saved.append(self.cown)

        last = Last()
        last.cown, last.text = Cown(last), "here"
        del last
        settle()
        assert len(saved) == 1
        assert when(saved[0])(lambda cown: cown.value.text).result() == "here"

    def test_callbacks_of_weak_references(self) -> None:
        seen = Cown(0)

        def count(_):
            when(seen)(lambda seen: setattr(seen, "value", seen.value + 1))

        references = []
        for n in range(50):
            thing = Thing()
            cown = Cown(thing)
            if n % 2:
                thing.cown = cown
            references += weakref.ref(thing, count), weakref.ref(cown, count)
            when(cown)(lambda cown: None)
        del thing, cown
        settle()
        assert all(reference() is None for reference in references)
        assert when(seen)(lambda seen: seen.value).result() == 100


def test_references_do_not_grow() -> None:
    value = Thing()

    def body(cown, captured=value):
        cown.value = captured
        return captured

    cown = Cown(value)

    def rounds():
        for _ in range(100):
            when(cown, [cown])(lambda cown, some, captured=value: captured)
            assert when(cown)(body).result() is value
            with cown as held:
                assert held is value
        del held
        settle()
        return sys.getrefcount(value), sys.getrefcount(cown), sys.getrefcount(body)

    before = rounds()
    assert rounds() == before
