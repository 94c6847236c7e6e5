"""What bodies use to meet, and to tell the test what they do: the same in all interpreters of a process.

An object of `threading`, or a list outside of the body, is shared with a worker only if the worker is
a thread of the same interpreter. These are descriptors of the operating system underneath, so a copy
is as good as the original. Whoever makes one closes it, or :func:`close_all` does.
"""

from __future__ import annotations

import os
import pickle
import select
import traceback
from collections.abc import Iterator
from io import BytesIO

import boc

_made: list[_Crossing] = []


def close_all() -> None:
    """Closes all that this interpreter has made. Nobody may use them any more."""
    while _made:
        _made[-1].close()


class _Crossing:
    """Has descriptors, which are all of its state. Copies do not own them."""

    def __init__(self, *descriptors: int) -> None:
        self._descriptors = descriptors
        _made.append(self)

    def close(self) -> None:
        if self in _made:
            _made.remove(self)
            for descriptor in self._descriptors:
                os.close(descriptor)


class Gate(_Crossing):
    """Opens once, for all who wait: what a `threading.Event` is that is never cleared."""

    def __init__(self) -> None:
        super().__init__(*os.pipe())

    def set(self) -> None:
        # Nobody reads the byte, so the pipe stays readable.
        os.write(self._descriptors[1], b"!")

    def is_set(self) -> bool:
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        return bool(select.select([self._descriptors[0]], [], [], timeout)[0])


class Meeting(_Crossing):
    """A place where so many have to come before one goes on, once. `wait` tells who was the how manyth."""

    def __init__(self, parties: int) -> None:
        self._gate, self._parties = Gate(), parties
        super().__init__(*os.pipe())
        os.write(self._descriptors[1], bytes(range(parties)))

    def wait(self, timeout: float = 60.0) -> int:
        (place,) = os.read(self._descriptors[0], 1)
        if place == self._parties - 1:
            self._gate.set()
        if not self._gate.wait(timeout):
            raise TimeoutError(f"{self._parties} have not come")
        return place


class Log(_Crossing):
    """Small things in the order in which they were appended, by whomever."""

    def __init__(self) -> None:
        import tempfile

        made, path = tempfile.mkstemp()
        os.close(made)
        super().__init__(os.open(path, os.O_RDWR | os.O_APPEND))
        os.unlink(path)

    def append(self, entry: object) -> None:
        # One write at the end of a file is whole, and comes behind those that have returned.
        os.write(self._descriptors[0], pickle.dumps(entry))

    def __iter__(self) -> Iterator[object]:
        (file,) = self._descriptors
        size = os.fstat(file).st_size
        entries = BytesIO(os.pread(file, size, 0))
        while entries.tell() < size:
            yield pickle.load(entries)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Room(_Crossing):
    """Has one place: `with room` raises AssertionError if somebody is in there already."""

    def __init__(self) -> None:
        super().__init__(*os.pipe())
        os.set_blocking(self._descriptors[0], False)
        os.write(self._descriptors[1], b"!")

    def __enter__(self) -> None:
        try:
            os.read(self._descriptors[0], 1)
        except BlockingIOError:
            raise AssertionError("two at the same time") from None

    def __exit__(self, *_: object) -> None:
        os.write(self._descriptors[1], b"!")


def arrived(got: object, given: object) -> bool:
    """Whether `got` is what `given` becomes on its way: itself by reference, a copy by value."""
    if boc.backend() == "direct":
        return got is given
    if isinstance(given, BaseException):
        return got is not given and type(got) is type(given) and got.args == given.args
    return type(got) is type(given) and got == given


def works() -> None:
    """Whatever happened before, workers run behaviours."""
    assert boc.when(boc.Cown(1))(lambda cown: cown.value + 1).result(60) == 2


def shown(error: BaseException) -> str:
    """What a program prints that ends with this exception."""
    return "".join(traceback.format_exception(error))
