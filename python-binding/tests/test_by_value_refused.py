"""What cannot cross, and what no worker can do, is a clear error, and the worker lives on."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

import boc
from boc import Buffer, Cown, quiesce, wait, when, whencall
from crossing import Gate, Log, Meeting, shown, works

pytestmark = pytest.mark.by_value


# What cannot cross.

CULPRITS: dict[str, Callable[[], object]] = {
    "lock": threading.Lock,
    "event": threading.Event,
    "condition": threading.Condition,
    "thread": threading.current_thread,
    "thread local": threading.local,
    "generator": lambda: (x for x in "abc"),
    "file": lambda: open(os.devnull),  # noqa: SIM115
    "socket": socket.socket,
    "weak reference": lambda: weakref.ref(works),
    "frame": lambda: sys._getframe(),
    "traceback": lambda: some_traceback(),
}


def some_traceback() -> object:
    try:
        raise ValueError
    except ValueError as error:
        return error.__traceback__


@pytest.fixture(params=CULPRITS)
def culprit(request: pytest.FixtureRequest) -> Iterator[object]:
    made = CULPRITS[request.param]()
    yield made
    if isinstance(made, (io.IOBase, socket.socket)) and made is not sys.__stdout__:
        made.close()


def test_captures_that_cannot_cross_are_refused_by_name(culprit: object) -> None:
    cown, inside = Cown(1), {"deep": [culprit]}

    def helper():
        return culprit

    with pytest.raises(TypeError, match="culprit"):
        when(cown)(lambda cown: culprit)
    with pytest.raises(TypeError, match="inside"):
        when(cown)(lambda cown: inside)
    with pytest.raises(TypeError, match="helper|culprit"):
        when(cown)(lambda cown: helper())
    with pytest.raises(TypeError, match="parameter"):
        when(cown)(lambda cown, parameter=culprit: parameter)
    with pytest.raises(TypeError, match="keyword"):
        when(cown)(lambda cown, *, keyword=culprit: keyword)
    with pytest.raises(TypeError, match="parameter"):
        whencall(lambda cown, parameter: parameter, [cown], [culprit])
    # Nothing was scheduled, and nothing holds the cown.
    with cown as value:
        assert value == 1
    works()


def test_what_is_said_of_what_cannot_cross_is_short(culprit: object) -> None:
    """No frames of the package, which say nothing, and no exception twice."""
    inside = {"deep": [culprit]}

    def helper():
        return culprit

    for refused in (
        lambda: when()(lambda: culprit),
        lambda: when()(lambda: helper()),
        lambda: when()(lambda inside=inside: inside),
        lambda: when(Cown(inside))(lambda cown: cown),
        lambda: when()(lambda: (x for x in "abc")).result(),
    ):
        with pytest.raises(TypeError) as caught:
            refused()
        text = shown(caught.value)
        assert os.path.dirname(boc.__file__) + os.sep not in text
        assert "During handling" not in text
        # Once where it is raised, and once where it was in the worker.
        assert text.count("Error: ") <= 2


def test_where_a_class_of_the_program_refuses_is_shown() -> None:
    made = Unwilling()
    for refused in (
        lambda: when()(lambda: made),
        lambda: when(Cown([made]))(lambda cown: cown),
        lambda: when()(lambda: Unwilling()).result(),
    ):
        with pytest.raises(TypeError) as caught:
            refused()
        text = shown(caught.value)
        assert "in __reduce__" in text and "ValueError: cannot be taken apart" in text
        assert os.path.dirname(boc.__file__) + os.sep not in text.partition("ValueError")[2]


def test_values_that_cannot_cross_are_refused(culprit: object) -> None:
    with pytest.raises(TypeError):
        when(Cown([culprit]))(lambda cown: None).result()
    works()


def test_the_value_that_cannot_cross_is_named_by_the_parameter() -> None:
    lock = threading.Lock

    def one(a, b):
        pass

    def several(a, rest):
        pass

    class Bound:
        def method(self, a, b):
            pass

    for request, function, name in (
        ((Cown(1), Cown(lock())), one, "b.value"),
        ((Cown(1), Cown({"k": [1, lock()]})), one, r"b.value\['k'\]\[1\]"),
        ((Cown(1), [Cown(2), Cown(lock())]), several, r"rest\[1\].value"),
        ((Cown(lock()), Cown(2)), Bound().method, "a.value"),
        ((Cown(1), Cown(lock())), lambda *cowns: None, "value"),
        ((Cown(lock()),), print, "value"),
    ):
        said = f"^cannot send {name} to a worker: an object of class _thread.lock stays in the interpreter that made it"
        with pytest.raises(TypeError, match=said):
            when(*request)(function)
    with pytest.raises(TypeError, match="^cannot send b.value to a worker: an object of class _io.TextIOWrapper"):
        with open(os.devnull) as file:
            when(Cown(1), Cown(file))(one)


def test_what_a_method_is_bound_to_is_named() -> None:
    class Account:
        def __init__(self, **attributes) -> None:
            self.__dict__ |= attributes

        def pay(self) -> None:
            pass

        @classmethod
        def open(cls) -> None:
            pass

    method = Account(balance=1, guard=threading.Lock()).pay
    said = (
        f"^cannot send {re.escape(Account.pay.__qualname__)} to a worker: the attribute 'guard' of its object is a "
        "_thread.lock object, which stays in the interpreter that made it .*; make it inside of the behaviour"
    )
    with pytest.raises(TypeError, match=said) as raised:
        when()(method)
    assert raised.value.__cause__ is None
    with pytest.raises(TypeError, match="the attribute 'deep' of its object is a list object with something in it"):
        when()(Account(deep=[threading.Lock()]).pay)
    assert when()(Account(balance=1).pay).result() is None
    Account.guard = threading.Lock()
    with pytest.raises(TypeError, match="cannot send .*Account.open to a worker"):
        when()(Account.open)


def test_results_that_cannot_cross_are_type_errors() -> None:
    boc.start(1)
    for make in threading.Lock, lambda: (x for x in "abc"), lambda: [threading.Event()]:
        result = when()(lambda make=make: make())
        with pytest.raises(TypeError):
            result.result()
        assert result.exception
        assert when(result)(lambda result: type(result.value).__name__).result() == "TypeError"
    works()


def test_a_value_that_cannot_cross_is_a_type_error_of_the_body_that_left_it() -> None:
    boc.start(1)
    cown = Cown(1)

    @when(cown)
    def body(cown):
        cown.value = threading.Lock()
        return "not this"

    with pytest.raises(TypeError):
        body.result()
    # Whatever is in the cown, it can be used.
    when(cown)(lambda cown: setattr(cown, "value", 2)).result()
    assert when(cown)(lambda cown: cown.value).result() == 2


def put(cown):
    cown.value.append({"deep": threading.Lock()})


def take(cown):
    del cown.value[-1]


def length(cown):
    return len(cown.value)


PUT = re.escape(f"put() ({__file__}:{put.__code__.co_firstlineno})")
"""How the body is called that is to blame."""


def test_what_a_body_puts_into_a_value_is_blamed_on_that_body() -> None:
    boc.start(1)
    cown = Cown([1, 2])
    with contextlib.suppress(TypeError):  # in Python's development mode it is said here as well
        when(cown)(put).result()
    said = rf"last by {PUT}: cannot send value\[2\]\['deep'\] to a worker: an object of class _thread.lock"
    # In the worker the value can be used, and from elsewhere it always is the same that is said.
    for _ in range(2):
        with pytest.raises(TypeError, match=said):
            cown.acquire()
            try:
                cown.value  # noqa: B018
            finally:
                cown.release()
        assert when(cown)(length).result() == 3
    quiesce()
    with pytest.raises(TypeError, match=said):
        cown.unwrap()
    when(cown)(take).result()
    quiesce()
    assert cown.unwrap() == [1, 2]


def test_those_that_used_the_value_before_are_named_as_well() -> None:
    boc.start(1)
    cown = Cown([1, 2])
    with contextlib.suppress(TypeError):
        when(cown)(put).result()
    for _ in range(5):
        when(cown)(length).result()
    quiesce()
    with pytest.raises(TypeError, match=rf"last by (length\(\) .*, and before by )?{PUT}: cannot"):
        cown.unwrap()


def test_the_blame_for_a_value_falls_on_whatever_callable_it_was() -> None:
    class Callable:
        def __call__(self, cown):
            put(cown)

        def method(self, cown):
            put(cown)

    boc.start(1)
    callables = Callable(), Callable().method, functools.partial(put), lambda cown: put(cown)
    names = "Callable", "Callable.method", "put", "<lambda>"
    for callable_, name in zip(callables, names, strict=True):
        cown = Cown([])
        with contextlib.suppress(TypeError):
            when(cown)(callable_).result()
        quiesce()
        with pytest.raises(TypeError, match=f"used last by .*{name}"):
            cown.unwrap()


def test_a_value_that_has_moved_survives_what_cannot_cross() -> None:
    boc.start(2)
    cowns, meeting = [Cown([1]), Cown([1])], Meeting(2)
    for cown in cowns:
        when(cown)(lambda cown: meeting.wait() + len(cown.value))
    # In one interpreter after the other; so this is where one of them moves to.
    moved = when(cowns)(lambda cowns: [put(cown) for cown in cowns])
    with pytest.raises(TypeError, match="cannot leave"):
        moved.result()
    for cown in cowns:
        assert not cown.exception
        quiesce()
        with pytest.raises(TypeError, match=r"used last by .*cannot send value\[1\]\['deep'\]"):
            cown.unwrap()


def test_in_development_mode_each_body_is_asked_what_it_leaves(program) -> None:
    done = program(
        """
        import threading
        from boc import Cown, quiesce, start, when

        start(1)
        cown = Cown([1])
        def put(cown): cown.value.append(threading.Lock())
        def look(cown): return len(cown.value)
        def take(cown): del cown.value[1]
        print(when(cown)(look).result())
        for _ in range(2):
            try:
                when(cown)(put).result()
            except TypeError as error:
                print("last by put() (<string>:7):" in str(error), "value[1]" in str(error))
            print(when(cown)(look).result())
            when(cown)(take).result()
        quiesce()
        print(cown.unwrap())
        """,
        "-X",
        "dev",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\nTrue True\n2\nTrue True\n2\n[1]\n", done.stderr


class Unready:
    """Raises when it is put together again."""

    def __reduce__(self):
        return unready, ()


def unready():
    raise ValueError("cannot be put together")


class Unwilling:
    """Raises when it is taken apart."""

    def __reduce__(self):
        raise ValueError("cannot be taken apart")


class Untidy:
    """Raises in the middle of its state."""

    def __init__(self) -> None:
        self.text = "text"

    def __setstate__(self, state):
        raise ValueError("cannot be put together")


@pytest.mark.parametrize("kind", [Unready, Untidy])
def test_copies_that_cannot_be_put_together(kind: type) -> None:
    boc.start(1)
    made = kind()
    for result in (
        when()(lambda: made and 1),
        when()(lambda made=made: 1),
        whencall(lambda made: 1, [], [made]),
        when(Cown(kind()))(lambda cown: cown.value and 1),
        when()(lambda: kind()),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            result.result()
        assert "cannot be put together" in shown(caught.value)
    works()


def test_objects_that_cannot_be_taken_apart() -> None:
    made = Unwilling()
    with pytest.raises((TypeError, ValueError), match="made|cannot be taken apart"):
        when()(lambda: made)
    result = when()(lambda: Unwilling())
    with pytest.raises((TypeError, ValueError), match="cannot be taken apart"):
        result.result()
    works()


# What no worker can do.


def fork() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(1)
    return pid


def daemon() -> None:
    threading.Thread(target=int, daemon=True).start()


def replace() -> None:
    os.execv(sys.executable, [sys.executable, "-c", ""])


def handle_signals() -> None:
    import signal

    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def fork_by_multiprocessing() -> None:
    import multiprocessing

    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()


IMPOSSIBLE = {
    "fork": (fork, RuntimeError),
    "daemon threads": (daemon, RuntimeError),
    "exec": (replace, RuntimeError),
    "signal handlers": (handle_signals, ValueError),
    "multiprocessing by fork": (fork_by_multiprocessing, RuntimeError),
    "start": (lambda: boc.start(), RuntimeError),
    "wait": (lambda: boc.wait(), RuntimeError),
    "quiesce": (lambda: boc.quiesce(), RuntimeError),
    "acquire": (lambda: Cown(1).acquire(), RuntimeError),
    "with": (lambda: Cown(1).__enter__(), RuntimeError),
    "release": (lambda: Cown(1).release(), RuntimeError),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_is_impossible_in_a_worker_is_an_error(what: str) -> None:
    boc.start(1)
    call, kind = IMPOSSIBLE[what]
    for _ in range(2):
        with pytest.raises(kind):
            when()(call).result(60)
        works()


def test_threads_of_bodies(log: Log) -> None:
    boc.start(1)

    @when()
    def body():
        threads = [threading.Thread(target=log.append, args=[n]) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    body.result()
    assert sorted(log) == list(range(5))


def test_a_thread_that_a_body_leaves_behind(gate: Gate, log: Log) -> None:
    boc.start(1)

    @when()
    def body():
        threading.Thread(target=lambda: gate.wait(60) and log.append("thread")).start()

    body.result()
    works()
    gate.set()
    wait()
    # The interpreter is kept for the next workers, and the thread in it goes on.
    until = time.monotonic() + 60
    while not (seen := list(log)) and time.monotonic() < until:
        time.sleep(0.001)
    assert seen == ["thread"]


def test_a_finaliser_that_raises() -> None:
    boc.start(1)

    class Last:
        def __del__(self):
            raise ValueError("last")

    @when()
    def body():
        Last()

    body.result()
    works()


def test_a_body_whose_finaliser_schedules() -> None:
    boc.start(1)
    seen = Cown(0)

    @when()
    def body():
        class Last:
            def __del__(self):
                when(seen)(lambda seen: setattr(seen, "value", seen.value + 1))

        Last()

    body.result()
    quiesce()
    assert when(seen)(lambda seen: seen.value).result() == 1


def test_workers_are_replaced_with_all_that_they_knew() -> None:
    class Local:
        pass

    def body(local):
        return type(local) is Local

    for n in range(5):
        boc.start(1 + n % 3)
        assert all(whencall(body, [], [Local()]).result() for _ in range(5))
        wait()


def test_what_cannot_go_when_a_cown_is_released_stays_there() -> None:
    cown = Cown(Buffer(3))
    boc.start(1)
    with pytest.raises(BufferError), cown as buffer:
        view = memoryview(buffer)
        view[0] = 7
    view.release()
    del buffer
    assert when(cown)(lambda cown: cown.value[0]).result() == 7
