"""Wrong use: the type of the exception, and a message that says what to do."""

from __future__ import annotations

import functools
import re

import pytest

import boc
from boc import Cown, quiesce, start, wait, when, whencall
from crossing import Gate

NOT_COWNS = {
    "int": 1,
    "None": None,
    "str": "cown",
    "empty str": "",
    "list of int": [1],
    "list with one wrong": [Cown(1), 2],
    "list of str": ["a"],
    "list of lists": [[Cown(1)]],
    "generator": (Cown(n) for n in range(2)),
    "set": {Cown(1)},
    "dict": {Cown(1): 1},
    "bytes": b"cown",
    "class": Cown,
    "function": lambda: 1,
}


@pytest.mark.once
class TestWhatIsScheduledOver:
    @pytest.mark.parametrize("thing", NOT_COWNS.values(), ids=NOT_COWNS)
    def test_not_a_cown(self, thing) -> None:
        message = "can only schedule over cowns or sequences of cowns, but argument {} "
        advice = ".*; (wrap it in a Cown|pass the cowns themselves|write @when)"
        with pytest.raises(TypeError, match=message.format(1) + advice):
            when(thing)
        with pytest.raises(TypeError, match=message.format(2) + advice):
            when(Cown(1), thing)
        with pytest.raises(TypeError, match=message.format(1) + advice):
            whencall(lambda thing: None, [thing])

    @pytest.mark.parametrize(
        ("thing", "advice"),
        [
            (1, "wrap it in a Cown, or pass it as a default value of the function"),
            ("text", "wrap it in a Cown, or pass it as a default value of the function"),
            ({Cown(1)}, "pass the cowns themselves or a list of them, which cannot be nested"),
            ([[Cown(1)]], "pass the cowns themselves or a list of them, which cannot be nested"),
            (lambda: None, r"write @when\(cown, …\), with parentheses, above the function"),
        ],
        ids=["int", "str", "set", "nested list", "function"],
    )
    def test_the_message_says_what_to_do(self, thing, advice: str) -> None:
        with pytest.raises(TypeError, match=advice):
            when(thing)

    def test_the_message_names_the_type(self) -> None:
        with pytest.raises(TypeError, match="argument 2 is or contains an object of type dict"):
            when(Cown(1), {})

    def test_a_sequence_that_raises(self) -> None:
        class Broken(list):
            def __iter__(self):
                raise OSError("broken")

        with pytest.raises(OSError, match="broken"):
            when(Broken([Cown(1)]))

    def test_keywords(self) -> None:
        with pytest.raises(TypeError):
            when(cown=Cown(1))

    def test_nothing_was_scheduled(self) -> None:
        cown = Cown(1)
        for wrong in NOT_COWNS.values():
            with pytest.raises(TypeError):
                when(cown, [cown], wrong)(lambda *_: None)
        with pytest.raises(TypeError):
            when(cown)(lambda: None)
        assert boc.stats() == []
        with cown as value:
            assert value == 1


class TestParameters:
    def test_a_bare_extra_parameter(self) -> None:
        def body(a, b):
            pass

        with pytest.raises(
            TypeError,
            match=r"body\(\) takes 2 parameters without a default value, but is scheduled over 1 "
            r"cowns.*default value \(`i=i`\)",
        ):
            when(Cown(1))(body)
        with pytest.raises(TypeError, match="takes 1 parameters.*over 0 cowns"):
            when()(lambda a: None)

    def test_too_few_parameters(self) -> None:
        def body(a):
            pass

        with pytest.raises(
            TypeError, match=r"body\(\) takes 1 parameters, but is scheduled over 3 cowns: each"
        ):
            when(Cown(1), [Cown(2)], Cown(3))(body)

    def test_a_keyword_only_parameter_without_default(self) -> None:
        def body(a, *, b):
            pass

        with pytest.raises(
            TypeError,
            match=r"^[^ ]*body\(\) has the keyword-only parameter 'b' without a default value, which nothing gives a "
            r"value to: give it a default value \(`b=b`\), which is evaluated when the behaviour is scheduled, or use "
            "a closure$",
        ):
            when(Cown(1))(body)
        # One thing at a time.
        with pytest.raises(TypeError, match="takes 1 parameters, but is scheduled over 2 cowns"):
            when(Cown(1), Cown(2))(body)
        with pytest.raises(TypeError, match="has the keyword-only parameter 'b'"):
            when(Cown(1))(functools.partial(body))

    @pytest.mark.parametrize(
        "function",
        [
            functools.partial(lambda a, b: None, 1),
            type("Callable", (), {"__call__": lambda self, a: None})(),
            type("Bound", (), {"method": lambda self, a: None})().method,
            type("Class", (), {"__init__": lambda self, a: None}),
        ],
        ids=["partial", "object", "bound method", "class"],
    )
    @pytest.mark.parametrize("count", [0, 2, 5])
    def test_other_callables(self, function, count: int) -> None:
        with pytest.raises(TypeError, match=f"scheduled over {count} cowns, and cannot be called"):
            when(*map(Cown, range(count)))(function)

    def test_whencall_counts_captures(self) -> None:
        with pytest.raises(TypeError, match="2"):
            whencall(lambda a: None, [Cown(1)], [2])

    @pytest.mark.parametrize("thing", [None, 1, "function", Cown(1), []])
    def test_not_a_function(self, thing) -> None:
        with pytest.raises(TypeError, match="when schedules a function, not an object of type"):
            when()(thing)

    def test_whencall_of_a_name(self) -> None:
        with pytest.raises(TypeError, match="takes the function itself, not its name as a string"):
            whencall("print", [])

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ((Cown(1),), "args of whencall must be a list of cowns, or lists of cowns, not an object of type Cown: write [cown]"),
            ((1,), "args of whencall must be a list of cowns, or lists of cowns, not an object of type int"),
            (
                ([], Cown(1)),
                "captures of whencall must be a list of what the function gets behind the cowns, not an object of type "
                "Cown: write [cown]",
            ),
            (
                ([], 1.5),
                "captures of whencall must be a list of what the function gets behind the cowns, not an object of type "
                "float",
            ),
        ],
        ids=["cown", "number", "captured cown", "captured number"],
    )
    def test_whencall_of_no_list(self, given, message: str) -> None:
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            whencall(print, *given)

    def test_whencall_of_an_iterable(self) -> None:
        class Old:
            """Iterable as sequences were once."""

            def __getitem__(self, index: int) -> Cown[int]:
                return [Cown(1), Cown(2)][index]

        for cowns in (Cown(n) for n in range(2)), Old(), {Cown(1): 1, Cown(2): 2}:
            assert whencall(lambda a, b, c: c, cowns, iter([3])).result() == 3

        class Broken:
            def __iter__(self):
                raise TypeError("broken")

        with pytest.raises(TypeError, match="^broken$"):
            whencall(print, Broken())

    @pytest.mark.parametrize("arguments", [(), (print,), (print, 1), (print, [], 1)])
    def test_whencall_arguments(self, arguments) -> None:
        with pytest.raises(TypeError):
            whencall(*arguments)


async def coroutine(cown):
    pass


def generator(cown):
    yield


async def asynchronous_generator(cown):
    yield


class Methods:
    async def coroutine(self, cown):
        pass

    def generator(self, cown):
        yield

    async def __call__(self, cown):
        pass


NOT_PLAIN = {
    "async def": coroutine,
    "generator": generator,
    "async generator": asynchronous_generator,
    "async method": Methods().coroutine,
    "generator method": Methods().generator,
    "async object": Methods(),
    "partial": functools.partial(coroutine),
    "generator lambda": lambda cown: (yield),
}


@pytest.mark.parametrize("function", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_functions_that_do_not_run_from_start_to_end(function) -> None:
    with pytest.raises(SyntaxError, match="cannot be a behaviour.*schedule a plain function"):
        when(Cown(1))(function)
    with pytest.raises(SyntaxError):
        whencall(function, [Cown(1)])


class TestStart:
    @pytest.mark.once
    @pytest.mark.parametrize("count", [0, -1, 65_536, 2**70, -(2**70)])
    def test_a_number_out_of_range(self, count: int) -> None:
        with pytest.raises(ValueError, match=f"worker_count must be from 1 to 65535, not {count}"):
            start(count)

    @pytest.mark.once
    @pytest.mark.parametrize("count", ["4", True, False, 4.0, [], b"4", object()], ids=repr)
    def test_not_a_number(self, count) -> None:
        kind = type(count).__name__
        with pytest.raises(TypeError, match=f"worker_count must be an int or None, not {kind}"):
            start(count)

    def test_checked_while_workers_run(self) -> None:
        start(1)
        with pytest.raises(ValueError):
            start(0)
        with pytest.raises(ValueError):
            start(backend="nonsense")

    @pytest.mark.once
    @pytest.mark.parametrize("name", ["nonsense", "Direct", "direct "])
    def test_no_such_backend(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ValueError, match=f"backend must be 'direct'.*, not '{name}'"):
            start(backend=name)
        monkeypatch.setenv("BOC_BACKEND", name)
        for call in start, boc.backend, lambda: when()(lambda: 1):
            with pytest.raises(ValueError, match=f"variable BOC_BACKEND must be .* not '{name}'"):
                call()

    @pytest.mark.once
    @pytest.mark.parametrize("name", [1, b"direct", ["direct"]])
    def test_a_backend_of_another_type(self, name) -> None:
        with pytest.raises(TypeError, match="backend must be a str or None"):
            start(backend=name)

    @pytest.mark.once
    def test_nothing_was_started(self) -> None:
        for wrong in 0, "1", True:
            with pytest.raises((TypeError, ValueError)):
                start(wrong)
        assert boc.stats() == []


class TestWaitingInABody:
    @pytest.mark.parametrize("call", [quiesce, wait])
    def test_for_all(self, call) -> None:
        for timeout in None, 0, 5:
            with pytest.raises(RuntimeError, match=f"{call.__name__}.*would wait for.*@when over"):
                when()(lambda timeout=timeout: call(timeout)).result()
            assert when()(lambda: 1).result() == 1

    def test_for_a_result(self, gate: Gate) -> None:
        start(2)
        pending = when()(lambda: gate.wait(60))
        with pytest.raises(RuntimeError, match=r"result\(\) inside of a behaviour.*@when\(result\)"):
            when()(lambda: pending.result()).result()
        with pytest.raises(RuntimeError, match=r"exception.*inside of a behaviour.*@when\("):
            when()(lambda: pending.exception).result()

    def test_for_a_cown(self) -> None:
        cown = Cown(1)
        for acquire in cown.acquire, cown.__enter__:
            with pytest.raises(RuntimeError, match=r"acquire\(\) inside of a behaviour.*@when\("):
                when()(lambda acquire=acquire: acquire()).result()
            with pytest.raises(RuntimeError, match="holds the cown already"):
                when(cown)(lambda _, acquire=acquire: acquire()).result()

    def test_start(self) -> None:
        with pytest.raises(RuntimeError, match=r"start\(\) inside of a behaviour"):
            when()(lambda: start()).result()
        with pytest.raises((ValueError, RuntimeError)):
            when()(lambda: start(0)).result()

    def test_unwrap(self) -> None:
        cown = Cown(1)
        with pytest.raises(RuntimeError, match="while behaviours are running"):
            when()(lambda: cown.unwrap()).result()


TIMEOUTS = {
    "result": lambda timeout: when()(lambda: 1).result(timeout),
    "quiesce": quiesce,
    "wait": wait,
    "quiesce with workers": lambda timeout: (start(1), quiesce(timeout)),
    "wait with workers": lambda timeout: (start(1), wait(timeout)),
}


@pytest.mark.parametrize("call", TIMEOUTS.values(), ids=TIMEOUTS)
class TestTimeouts:
    @pytest.mark.parametrize("timeout", ["1", b"1", [], object(), 1j], ids=repr)
    def test_not_a_number(self, call, timeout) -> None:
        kind = type(timeout).__name__
        with pytest.raises(TypeError, match=f"timeout must be a number .* or None, not {kind}"):
            call(timeout)

    def test_not_a_number_at_all(self, call) -> None:
        with pytest.raises(ValueError, match="timeout must be a number of seconds or None"):
            call(float("nan"))

    @pytest.mark.parametrize("timeout", [10**400, 1e300, float("inf"), 2**63], ids=repr)
    def test_huge(self, call, timeout) -> None:
        call(timeout)


@pytest.mark.once
def test_arguments_that_do_not_exist() -> None:
    for call in start, quiesce, wait, boc.stats, boc.backend:
        with pytest.raises(TypeError):
            call(nonsense=1)
