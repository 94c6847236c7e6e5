"""What could not be sent is where it was: nothing of it has moved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import boc
from boc import Buffer, Cown, quiesce, when, whencall
from boc._boc import Parcel
from crossing import works

CONTENT = b"what must not be lost"


class Raises:
    """Does something of the program's when it is packed, and cannot be packed."""

    def __init__(self, error: BaseException, before: Callable[[], object] = int) -> None:
        self.error, self.before = error, before

    def __reduce__(self) -> Any:
        self.before()
        raise self.error


class Packed:
    """Does something of the program's when it is packed, which then works."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def __reduce__(self) -> Any:
        self.meanwhile()
        return int, ()


def arrives(*buffers: Buffer) -> None:
    """All of them are here, and can go."""
    assert [bytes(buffer) for buffer in buffers] == [CONTENT] * len(buffers)

    def contents(*came: Buffer) -> list[bytes]:
        return [bytes(buffer) for buffer in came]

    assert whencall(contents, [], buffers).result() == [CONTENT] * len(buffers)
    with pytest.raises(ValueError, match="its memory has moved"):
        bytes(buffers[0])


# What cannot go is next to the Buffer, before it or behind it.

WAYS: dict[str, Callable[[Buffer, object], object]] = {
    "closure": lambda buffer, culprit: when()(lambda: (buffer, culprit)),
    "closure, the other way round": lambda buffer, a_culprit: when()(lambda: (buffer, a_culprit)),
    "default": lambda buffer, culprit: when()(lambda default=buffer: culprit),
    "keyword": lambda buffer, culprit: when()(lambda *, keyword=buffer: culprit),
    "both defaults": lambda buffer, culprit: when()(lambda a=buffer, *, b=culprit: None),
    "argument": lambda buffer, culprit: whencall(lambda *_: None, [], [buffer, culprit]),
    "arguments": lambda buffer, culprit: whencall(lambda *_: None, [], [[buffer], [[culprit]]]),
    "closure and argument": lambda buffer, culprit: whencall(lambda _: buffer, [], [culprit]),
    "one value": lambda buffer, culprit: whencall(lambda _: None, [], [[buffer, culprit]]),
    "one set": lambda buffer, culprit: whencall(lambda _: None, [], [{1: {buffer}, 2: [culprit]}]),
    "function": lambda buffer, culprit: refer_to_a_function(buffer, culprit),
    "global": lambda buffer, culprit: refer_to_globals(buffer, culprit),
    "value": lambda buffer, culprit: when(Cown(buffer))(lambda _: culprit),
    "value, in a list": lambda buffer, culprit: when(Cown([[buffer]]))(lambda _: culprit),
    "values": lambda buffer, culprit: when(Cown(buffer), Cown(culprit))(lambda *_: None),
    "values in a list": lambda buffer, culprit: when([Cown(buffer), Cown(culprit)])(lambda _: None),
    "cown in a cown": lambda buffer, culprit: when(Cown([Cown(buffer), culprit]))(lambda _: None),
    "cowns in a cown": lambda buffer, culprit: when(Cown([Cown(buffer), Cown(culprit)]))(lambda _: 1),
    "captured cown": lambda buffer, culprit: whencall(lambda *_: 1, [], [Cown(buffer), culprit]),
    "captured cowns": lambda buffer, culprit: whencall(lambda _: 1, [], [[Cown(buffer), Cown(culprit)]]),
}


def refer_to_a_function(buffer: Buffer, culprit: object) -> object:
    def some_function() -> object:
        return culprit

    return when()(lambda: (buffer, some_function))


def refer_to_globals(buffer: Buffer, culprit: object) -> object:
    scope: dict[str, Any] = {"buffer": buffer}
    exec("def make(culprit):\n def body(): buffer, culprit\n return body", scope)
    return when()(scope["make"](culprit))


CULPRITS: dict[str, Callable[[], object]] = {
    "lock": threading.Lock,
    "error": lambda: Raises(ValueError("not this")),
    "interrupt": lambda: Raises(KeyboardInterrupt()),
}


@pytest.mark.by_value
@pytest.mark.parametrize("culprit", CULPRITS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_refused_leaves_buffers_where_they_are(way: str, culprit: str) -> None:
    buffer = Buffer(CONTENT)
    with pytest.raises((TypeError, ValueError, KeyboardInterrupt)):
        WAYS[way](buffer, CULPRITS[culprit]())
    arrives(buffer)


@pytest.mark.by_value
def test_one_that_is_looked_at_keeps_all() -> None:
    first, second, third = Buffer(CONTENT), Buffer(CONTENT), Buffer(CONTENT)
    with memoryview(second):
        with pytest.raises(TypeError, match="second.*memoryview"):
            when()(lambda: (first, second, third))
        with pytest.raises(BufferError, match="memoryview"):
            whencall(lambda *_: None, [], [first, second, third])
        with pytest.raises(BufferError, match="memoryview"):
            when(Cown(first), Cown(second))(lambda *_: third)
    arrives(first, second, third)


REFUSED: list[Callable[[Cown[Any], object], object]] = [
    lambda cown, culprit: when(cown)(lambda _: culprit),
    lambda cown, culprit: when(cown, Cown(culprit))(lambda *_: None),
    lambda cown, culprit: when(Cown(culprit), cown)(lambda *_: None),
    lambda cown, culprit: whencall(lambda *_: None, [], [cown, culprit]),
    lambda cown, culprit: when(Cown([cown, Cown(culprit)]))(lambda _: None),
]


@pytest.mark.by_value
@pytest.mark.parametrize("refused", REFUSED)
def test_a_cown_that_did_not_go_has_its_value_and_nobody_holds_it(refused: Any) -> None:
    boc.start(1)
    buffer = Buffer(CONTENT)
    value = [buffer]
    cown = Cown(value)
    with pytest.raises(TypeError):
        refused(cown, threading.Lock())
    with cown as now:
        assert now is value and now[0] is buffer and bytes(buffer) == CONTENT
        del now
    assert when(cown)(lambda cown: bytes(cown.value[0])).result() == CONTENT


@pytest.mark.by_value
def test_a_value_that_cannot_be_released_keeps_what_is_in_cowns_in_it() -> None:
    boc.start(1)
    buffer, cown = Buffer(CONTENT), Cown(None)
    cown.acquire()
    cown.value = [Cown(buffer), Cown(threading.Lock())]
    with pytest.raises(TypeError):
        cown.release()
    arrives(buffer)


# What the program's own code does meanwhile.


@pytest.mark.by_value
def test_code_that_runs_meanwhile_sees_all_as_it_was() -> None:
    buffer, seen = Buffer(CONTENT), []
    packed = Packed(lambda: seen.append(bytes(buffer)))
    came = whencall(lambda buffer, packed: bytes(buffer), [], [buffer, packed])
    assert came.result() == CONTENT and seen == [CONTENT]


@pytest.mark.by_value
def test_what_is_scheduled_meanwhile_goes_alone() -> None:
    outer, inner = Buffer(CONTENT), Buffer(CONTENT)
    results: list[Any] = []

    def schedule() -> None:
        if not results:
            results.append(whencall(lambda inner: bytes(inner), [], [inner]))

    with pytest.raises((TypeError, ValueError)):
        whencall(lambda *_: None, [], [outer, Raises(ValueError("not this"), schedule)])
    assert results[0].result() == CONTENT
    arrives(outer)


@pytest.mark.by_value
def test_what_fails_meanwhile_takes_nothing_of_the_rest_back() -> None:
    outer, inner = Buffer(CONTENT), Buffer(CONTENT)

    def schedule() -> None:
        with pytest.raises(TypeError):
            whencall(lambda *_: None, [], [inner, outer, threading.Lock()])

    came = whencall(lambda outer, _: bytes(outer), [], [outer, Packed(schedule)])
    assert came.result() == CONTENT
    arrives(inner)


@pytest.mark.by_value
def test_who_schedules_first_has_it() -> None:
    buffer, other = Buffer(CONTENT), Buffer(CONTENT)
    results: list[Any] = []

    def schedule() -> None:
        results.append(whencall(lambda buffer: bytes(buffer), [], [buffer]))

    with pytest.raises(ValueError, match="its memory has moved"):
        whencall(lambda *_: None, [], [other, buffer, Packed(schedule)])
    assert [result.result() for result in results] == [CONTENT]
    arrives(other)


@pytest.mark.by_value
def test_a_view_that_is_made_meanwhile() -> None:
    buffer, other, views = Buffer(CONTENT), Buffer(CONTENT), []
    packed = Packed(lambda: views.append(memoryview(buffer)))
    with pytest.raises(BufferError):
        whencall(lambda *_: None, [Cown(1)], [other, buffer, packed])
    views.pop().release()
    arrives(other, buffer)
    works()


@pytest.mark.by_value
def test_what_a_first_attempt_has_met_does_not_go_with_the_second() -> None:
    buffer, other = Buffer(CONTENT), Buffer(CONTENT)

    class Fickle:
        def __init__(self) -> None:
            self.ways = [(list, ([buffer, Cown(threading.Lock())],)), (list, ([other],))]

        def __reduce__(self) -> Any:
            return self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]

    came = whencall(lambda values: [bytes(value) for value in values], [], [Fickle()])
    assert came.result() == [CONTENT]
    arrives(buffer)


# One Buffer at several places.


def test_one_buffer_that_is_referred_to_twice_is_one_buffer() -> None:
    one = other = Buffer(CONTENT)

    def body(first: Buffer, second: list[Buffer], third: Buffer = one, *, fourth: Buffer = one) -> Any:
        all_of_them = first, second[0], third, fourth, one, other
        first[0] = ord("W")
        return len(set(map(id, all_of_them))), bytes(other)

    assert whencall(body, [], [one, [other]]).result() == (1, b"W" + CONTENT[1:])


@pytest.mark.by_value
def test_a_buffer_cannot_be_in_a_cown_and_go_beside_it() -> None:
    buffer = Buffer(CONTENT)
    for send in (
        lambda: when(Cown(buffer))(lambda cown: buffer),
        lambda: when(Cown(buffer), Cown([buffer]))(lambda *_: None),
        lambda: whencall(lambda *_: None, [], [buffer, Cown(buffer)]),
        lambda: whencall(lambda *_: None, [], [Cown(buffer), buffer]),
        lambda: Parcel([buffer, Cown(buffer)]),
    ):
        with pytest.raises((TypeError, ValueError), match="one place"):
            send()
    arrives(buffer)


# Elsewhere.


@pytest.mark.by_value
def test_in_a_worker() -> None:
    boc.start(1)
    cown = Cown(Buffer(CONTENT))

    @when(cown)
    def body(cown: Cown[Buffer]) -> Any:
        buffer, own, lock = cown.value, Buffer(CONTENT), threading.Lock()
        failures = 0
        for refused in (
            lambda: when()(lambda: (buffer, lock)),
            lambda: whencall(lambda *_: None, [], [own, buffer, lock]),
            lambda: when(Cown(own))(lambda _: (buffer, lock)),
            lambda: when(Cown(own), Cown(lock))(lambda *_: None),
        ):
            try:
                refused()
            except TypeError:
                failures += 1
        return failures, bytes(buffer), when(Cown(own))(lambda cown: bytes(cown.value))

    failures, kept, own = body.result()
    assert (failures, kept, own.result()) == (4, CONTENT, CONTENT)
    assert when(cown)(lambda cown: bytes(cown.value)).result() == CONTENT


@pytest.mark.by_value
def test_a_result_that_cannot_go_takes_nothing_out_of_cowns() -> None:
    boc.start(1)
    cown = Cown(Buffer(CONTENT))
    result = when(cown)(lambda cown: [cown.value, Cown([threading.Lock()])])
    with pytest.raises(TypeError):
        result.result()
    assert when(cown)(lambda cown: bytes(cown.value)).result() == CONTENT


@pytest.mark.by_value
def test_a_behaviour_that_is_cancelled_at_once_takes_nothing(program: Callable[..., Any]) -> None:
    ended = program(
        """
        import time
        from concurrent.futures import CancelledError
        from boc import Buffer, Cown, start, when, whencall

        def body():
            buffer, other = Buffer(b"content"), Buffer(b"more")
            print("running", flush=True)
            while True:
                try:
                    when()(lambda: None).result()
                except CancelledError:
                    break
                except RuntimeError:
                    time.sleep(0.01)
            cancelled = whencall(lambda cown, captured: None, [Cown(other)], [buffer])
            try:
                cancelled.result()
            except CancelledError:
                print("cancelled:", bytes(buffer), bytes(other), flush=True)

        if __name__ == "__main__":
            start(1)
            when()(body)
            time.sleep(0.1)
        """,
        how="file",
    )
    assert "cancelled: b'content' b'more'" in ended.stdout, ended


def test_cowns_of_a_parcel_that_is_not_made() -> None:
    first, second = Buffer(CONTENT), Buffer(CONTENT)
    with memoryview(second), pytest.raises((BufferError, TypeError)):
        Parcel([Cown(first), [Cown(second)]])
    assert bytes(first) == bytes(second) == CONTENT
    cowns = Parcel([Cown(first), Cown([second])]).open()
    for cown in cowns:
        cown.acquire()
    assert bytes(cowns[0].value) == bytes(cowns[1].value[0]) == CONTENT
    with pytest.raises(ValueError, match="its memory has moved"):
        bytes(first)


@pytest.mark.by_value
def test_threads_that_send_one_buffer() -> None:
    boc.start(1)
    for _ in range(50):
        buffer, own = Buffer(CONTENT), [Buffer(CONTENT), Buffer(CONTENT)]
        start, results = threading.Barrier(2), []

        def send(number: int) -> None:
            start.wait()
            try:
                results.append(
                    whencall(lambda *all: [*map(bytes, all)], [], [own[number], {1}, buffer])
                )
            except ValueError:
                assert bytes(own[number]) == CONTENT

        threads = [threading.Thread(target=send, args=[number]) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (result,) = results
        assert result.result() == [CONTENT, b"\x01", CONTENT]
    quiesce()


def test_a_value_that_loses_parts_while_it_is_packed() -> None:
    value: list[Any] = []

    class Thief:
        def __reduce__(self) -> Any:
            value.clear()
            # What is freed is used for something else.
            for _ in range(100):
                Buffer(8)
            return int, ()

    value.extend((Cown(Thief()), Buffer(CONTENT), Cown(3)))
    came = Parcel(value).open()
    assert value == [] and len(came) == 3 and bytes(came[1]) == CONTENT


def test_a_value_that_is_full_of_buffers() -> None:
    buffers = [Buffer(1) for _ in range(20_000)]
    came = whencall(lambda first, second: (len(first), len(second)), [], [buffers, buffers[::-1]])
    assert came.result() == (20_000, 20_000)


@pytest.mark.by_value
def test_what_a_body_leaves_in_view_stays_in_its_cown(program: Callable[..., Any]) -> None:
    ended = program(
        """
        from boc import Buffer, Cown, start, wait, when
        from crossing import Gate, Meeting

        def leave(cown):
            import builtins
            cown.value = Buffer(b"content")
            builtins.view = memoryview(cown.value)

        def wait_where_it_is():
            import builtins
            meeting.wait()
            if hasattr(builtins, "view"):
                gate.wait(60)
                builtins.view.release()

        def outcome(result):
            try:
                return result.result()
            except Exception as error:
                return type(error).__name__

        start(2)
        cown, meeting, gate = Cown(None), Meeting(3), Gate()
        print(outcome(when(cown)(leave)), cown.exception)
        waiting = [when()(wait_where_it_is) for _ in range(2)]
        meeting.wait()
        # The other worker can hold the cown, but not use the value.
        print(outcome(when(cown)(lambda cown: None)))
        print(outcome(when(cown)(lambda cown: cown.value)))
        gate.set()
        print(*map(outcome, waiting))
        print(outcome(when(cown)(lambda cown: bytes(cown.value))))
        wait()
        with cown as value:
            print(bytes(value))
        """
    )
    expected = "BufferError False", "None", "TypeError", "None None", "b'content'", "b'content'"
    assert ended.stdout.splitlines() == [*expected], ended
