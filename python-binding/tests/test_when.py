"""Scheduling: what can be a behaviour, over what, in which order, and from where."""

from __future__ import annotations

import functools
import random
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

import boc
from boc import Cown, quiesce, when, whencall
from crossing import Gate, Log, Meeting, Room


def value_of(cown: Cown):
    return when(cown)(lambda cown: cown.value).result()


def test_the_decorated_name_becomes_the_result() -> None:
    @when(Cown(20), Cown(1))
    def add(a, b):
        return a.value + b.value

    assert isinstance(add, Cown)
    assert add.result() == 21


def test_parameters_are_the_cowns_in_their_order() -> None:
    cowns = [Cown(n) for n in range(30)]
    random.Random(1).shuffle(cowns)
    got = when(*cowns)(lambda *cowns: cowns).result()
    assert got == tuple(cowns)
    values = when(*cowns)(lambda *cowns: [c.value for c in cowns]).result()
    assert values == [value_of(cown) for cown in cowns]


@pytest.mark.by_reference("identity")
def test_parameters_are_the_same_objects_as_the_cowns() -> None:
    cowns = [Cown(n) for n in range(30)]
    got = when(*cowns)(lambda *cowns: cowns).result()
    assert all(a is b for a, b in zip(got, cowns, strict=True))
    assert when(cowns[0], cowns[0])(lambda a, b: a is b).result()


def test_without_cowns() -> None:
    # The numbers are the operating system's.
    assert when()(lambda: threading.get_ident()).result() != threading.get_ident()


class Shop:
    def __init__(self) -> None:
        self.cown = Cown(1)

    def __eq__(self, other):
        return type(other) is Shop and other.cown == self.cown

    def sell(self, cown, by=1):
        cown.value += by
        return self, cown.value

    @classmethod
    def of_class(cls, cown):
        return cls, cown.value

    @staticmethod
    def of_nobody(cown):
        return cown.value

    def __call__(self, cown):
        return self, cown.value


@functools.lru_cache
def cached(cown):
    return cown.value


class TestWhatCanBeABehaviour:
    def test_closures(self) -> None:
        seen, two, function = Cown([]), [2], len

        def deeper(value):
            return value + two[0] + function(two)

        @when(Cown(1), seen)
        def body(cown, log):
            log.value.append(deeper(cown.value))
            when(seen)(lambda log: log.value.append(deeper(2)))

        quiesce()
        assert value_of(seen) == [4, 5]

    @pytest.mark.by_reference("the list is another one in the body")
    def test_closures_share_what_they_close_over(self) -> None:
        seen, count = [], 0

        @when(Cown(1))
        def body(cown):
            nonlocal count
            seen.append(cown.value)
            count += 1

        body.result()
        assert (seen, count) == ([1], 1)

    def test_lambdas(self) -> None:
        assert when(Cown(1))(lambda c: c.value + 1).result() == 2

    def test_bound_methods(self) -> None:
        shop = Shop()
        assert when(shop.cown)(shop.sell).result() == (shop, 2)
        assert when(shop.cown)(shop.of_class).result() == (Shop, 2)
        assert when(shop.cown)(Shop.of_nobody).result() == 2

    def test_callable_objects(self) -> None:
        shop = Shop()
        assert when(shop.cown)(shop).result() == (shop, 1)

    def test_partials(self) -> None:
        shop = Shop()
        assert when(shop.cown)(functools.partial(shop.sell, by=5)).result() == (shop, 6)
        add = functools.partial(lambda a, b: a + b.value, 40)
        assert when(Cown(2))(add).result() == 42

    def test_builtins_and_classes(self, log: Log) -> None:
        cown = Cown(1)
        when([])(log.append).result()
        assert list(log) == [[]]
        assert when([cown])(list).result() == [cown]
        assert when([cown, cown])(len).result() == 2
        assert when(cown)([cown, 1].count).result() == 1
        assert when(cown)(type).result() is Cown

    @pytest.mark.by_reference("the list is another one in the body")
    def test_builtin_methods_of_the_object_itself(self) -> None:
        log, cown = [], Cown(1)
        when(cown)(log.append).result()
        assert log == [cown]

    def test_wrapped_functions(self) -> None:
        def plain(cown):
            return cown.value

        @functools.wraps(plain)
        def wrapper(*args):
            return plain(*args) + 1

        assert when(Cown(1))(wrapper).result() == 2
        assert when(Cown(1))(cached).result() == 1

    @pytest.mark.by_reference("pickle has only the name for it, which says that it is local")
    def test_wrappers_around_local_functions_in_c(self) -> None:
        def plain(cown):
            return cown.value

        assert when(Cown(1))(functools.lru_cache(plain)).result() == 1

    def test_other_decorators_below(self) -> None:
        def twice(function):
            return lambda *args: 2 * function(*args)

        @when(Cown(4))
        @twice
        def body(cown):
            return cown.value

        assert body.result() == 8

    def test_captures_are_evaluated_when_scheduled(self) -> None:
        log = Cown([])
        for i in range(10):

            @when(log)
            def note(log, i=i):
                log.value.append(i)

        assert value_of(log) == list(range(10))

    def test_keyword_only_defaults(self) -> None:
        @when(Cown(1))
        def body(cown, *, by=2, **others):
            return cown.value + by, others

        assert body.result() == (3, {})

    def test_any_number_of_parameters(self) -> None:
        def body(*cowns, by=1):
            return [cown.value + by for cown in cowns]

        for count in 0, 1, 2, 9:
            assert when(*map(Cown, range(count)))(body).result() == list(range(1, count + 1))

    def test_positional_only_parameters(self) -> None:
        def body(a, /, b=3):
            return a.value, b

        assert when(Cown(1))(body).result() == (1, 3)

    def test_a_function_that_changes_its_code_is_looked_at_anew(self) -> None:
        def body(a):
            return "one"

        def other(a, b):
            return "two"

        assert when(Cown(1))(body).result() == "one"
        body.__code__ = other.__code__
        assert when(Cown(1), Cown(2))(body).result() == "two"
        with pytest.raises(TypeError):
            when(Cown(1))(body)


class TestLists:
    @pytest.mark.parametrize("kind", [list, tuple, deque])
    def test_a_sequence_arrives_as_one_list(self, kind) -> None:
        cowns = [Cown(n) for n in range(5)]

        @when(kind(cowns), Cown(10))
        def body(cowns, ten):
            assert type(cowns) is list
            return sum(cown.value for cown in cowns) + ten.value

        assert body.result() == 20

    def test_an_empty_list(self) -> None:
        assert when([], Cown(1))(lambda none, one: (none, one.value)).result() == ([], 1)

    def test_the_list_is_taken_as_it_is_now(self) -> None:
        cowns = [Cown(1), Cown(2)]
        schedule = when(cowns)
        cowns.append(Cown(3))
        assert schedule(lambda cowns: len(cowns)).result() == 2

    def test_a_list_of_lists_is_refused(self) -> None:
        with pytest.raises(TypeError, match="cowns or sequences of cowns"):
            when([[Cown(1)]])


class TestTheSameCownTwice:
    def test_as_two_parameters(self) -> None:
        cown = Cown(1)

        @when(cown, cown)
        def body(a, b):
            assert a == b
            a.value += 1
            b.value += 1
            assert a.value == b.value

        body.result()
        assert value_of(cown) == 3

    def test_in_lists(self) -> None:
        cown, other = Cown(1), Cown(2)
        got = when([cown, cown], other, [other, cown], cown)(lambda *all: all).result()
        assert got == ([cown, cown], other, [other, cown], cown)

    def test_among_many(self) -> None:
        cowns = [Cown(n) for n in range(100)]
        many = [random.Random(2).choice(cowns) for _ in range(400)]
        got = when(many, *many[:50])(lambda many, *rest: (many, list(rest))).result()
        assert got == (many, many[:50])


class TestHundredsOfCowns:
    @pytest.mark.parametrize("count", [15, 16, 17, 64, 65, 255, 256, 257, 1000, 20_000])
    def test_all_are_held_at_once(self, count: int) -> None:
        cowns = [Cown(1) for _ in range(count)]

        @when(cowns)
        def body(cowns):
            for cown in cowns:
                cown.value += 1
            return sum(cown.acquired for cown in cowns)

        assert body.result() == count
        assert when(cowns)(lambda cowns: sum(c.value for c in cowns)).result() == 2 * count

    def test_overlapping_requests_do_not_deadlock(self) -> None:
        boc.start(4)
        cowns = [Cown(0) for _ in range(300)]
        chance = random.Random(3)
        expected = [0] * 300

        def body(some):
            for cown in some:
                cown.value += 1

        for _ in range(200):
            picked = chance.sample(range(300), chance.randrange(1, 250))
            for index in picked:
                expected[index] += 1
            when([cowns[index] for index in picked])(body)
        assert when(cowns)(lambda cowns: [c.value for c in cowns]).result() == expected


class TestOrder:
    def test_behaviours_that_share_a_cown_run_as_scheduled(self) -> None:
        boc.start(4)
        log = Cown([])
        others = [Cown(0) for _ in range(5)]
        for n in range(2000):
            whencall(lambda log, _, n: log.value.append(n), [log, others[n % 5]], [n])
        assert value_of(log) == list(range(2000))

    def test_two_behaviours_never_hold_one_cown(self) -> None:
        boc.start(4)
        inside, room = Cown([]), Room()

        def body(cown):
            cown.value.append(1)
            assert len(cown.value) == 1
            with room:
                for _ in range(50):
                    pass
            cown.value.pop()

        results = [when(inside)(body) for _ in range(3000)]
        for result in results:
            result.result()

    @pytest.mark.by_reference("a list that both would change")
    def test_two_behaviours_never_change_one_value(self) -> None:
        boc.start(4)
        inside = Cown([])

        def body(cown):
            cown.value.append(1)
            assert len(cown.value) == 1
            for _ in range(50):
                pass
            cown.value.pop()

        results = [when(inside)(body) for _ in range(3000)]
        for result in results:
            result.result()

    def test_increments_are_not_lost(self) -> None:
        boc.start(4)
        cown = Cown(0)

        def body(cown):
            cown.value += 1

        for _ in range(20_000):
            when(cown)(body)
        assert value_of(cown) == 20_000

    def test_transfers_keep_the_sum(self) -> None:
        boc.start(4)
        accounts = [Cown(100) for _ in range(20)]
        chance = random.Random(4)

        def move(a, b, amount):
            a.value -= amount
            b.value += amount

        def total(accounts):
            return sum(account.value for account in accounts)

        sums = []
        for n in range(3000):
            whencall(move, chance.sample(accounts, 2), [chance.randrange(50)])
            if n % 100 == 0:
                sums.append(when(accounts)(total))
        assert {s.result() for s in sums} == {2000}


class TestNested:
    def test_a_behaviour_schedules_over_its_own_cown(self) -> None:
        log = Cown([])

        @when(log)
        def outer(log):
            when(log)(lambda log: log.value.append("inner"))
            log.value.append("outer")

        quiesce()
        assert value_of(log) == ["outer", "inner"]

    def test_deeply(self) -> None:
        cown = Cown(0)

        def body(cown, left):
            cown.value += 1
            if left:
                whencall(body, [cown], [left - 1])

        whencall(body, [cown], [5000])
        quiesce()
        assert value_of(cown) == 5001

    def test_as_a_tree(self) -> None:
        boc.start(4)
        leaves = Cown(0)

        def body(depth):
            if depth:
                whencall(body, [], [depth - 1])
                whencall(body, [], [depth - 1])
            else:
                when(leaves)(lambda leaves: setattr(leaves, "value", leaves.value + 1))

        whencall(body, [], [9])
        quiesce()
        assert value_of(leaves) == 2**9

    def test_a_result_returned_from_a_behaviour(self) -> None:
        @when(Cown(1))
        def outer(cown):
            return when(cown)(lambda cown: cown.value + 1)

        assert outer.result().result() == 2

    def test_a_very_long_queue(self, gate: Gate) -> None:
        cown = Cown(0)
        when(cown)(lambda _: gate.wait(60))

        def body(cown):
            cown.value += 1

        for _ in range(100_000):
            when(cown)(body)
        gate.set()
        assert value_of(cown) == 100_000

    def test_a_long_chain_of_results(self) -> None:
        result = when()(lambda: 0)
        for _ in range(5000):
            result = when(result)(lambda before: before.value + 1)
        assert result.result() == 5000


class TestThreads:
    def test_scheduling_from_many(self) -> None:
        cown = Cown(0)

        def body(cown):
            cown.value += 1

        def schedule():
            for _ in range(500):
                when(cown)(body)

        threads = [threading.Thread(target=schedule) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert value_of(cown) == 16 * 500

    def test_each_thread_has_its_order(self) -> None:
        log = Cown([])

        def schedule(name):
            for n in range(300):
                whencall(lambda log, entry: log.value.append(entry), [log], [(name, n)])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(schedule, range(6)))
        entries = value_of(log)
        for name in range(6):
            assert [n for who, n in entries if who == name] == list(range(300))

    def test_cowns_made_by_threads(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            cowns = list(pool.map(Cown, range(100)))
        assert when(cowns)(lambda cowns: [c.value for c in cowns]).result() == list(range(100))

    def test_several_workers_run_at_once(self) -> None:
        boc.start(4)
        meeting = Meeting(4)
        results = [when()(lambda: meeting.wait()) for _ in range(4)]
        assert sorted(result.result() for result in results) == [0, 1, 2, 3]

    def test_a_blocked_behaviour_does_not_block_what_it_scheduled(self, gate: Gate) -> None:
        boc.start(2)

        @when()
        def body():
            when()(gate.set)
            return gate.wait(60)

        assert body.result()

    def test_recursion_in_a_body(self) -> None:
        def down(n):
            return n if n == 0 else 1 + down(n - 1)

        assert when()(lambda: down(500)).result() == 500
        with pytest.raises(RecursionError):
            when()(lambda: down(sys.getrecursionlimit() + 100)).result()
        assert when()(lambda: down(500)).result() == 500


class TestWhencall:
    def test_cowns_and_captures(self) -> None:
        assert whencall(lambda a, b, c: (a.value, b, c), [Cown(1)], [2, "x"]).result() == (1, 2, "x")
        assert whencall(lambda a: a.value, (Cown(1),)).result() == 1
        assert whencall(lambda: 5, []).result() == 5
        assert whencall(lambda a: a.value, iter([Cown(3)]), None).result() == 3

    def test_lists(self) -> None:
        cowns = [Cown(1), Cown(2)]
        got = whencall(lambda some, one, x: (some, one, x), [cowns, cowns[0]], [[]])
        assert got.result() == (cowns, cowns[0], [])

    def test_captured_cowns_are_not_held(self) -> None:
        captured = Cown(1)
        got = whencall(lambda a, b: (a.acquired, b.acquired), [Cown(0)], [captured])
        assert got.result() == (True, False)
        captured.acquire()
        assert whencall(lambda a, b: b == captured, [Cown(0)], [captured]).result()
        captured.release()

    def test_keywords(self) -> None:
        got = whencall(func=lambda a, b: a.value + b, args=[Cown(1)], captures=[2])
        assert got.result() == 3

    def test_one_request_schedules_several_functions(self) -> None:
        cown = Cown(1)
        schedule = when(cown)
        assert [schedule(f).result() for f in (lambda c: c.value, lambda c: -c.value)] == [1, -1]
