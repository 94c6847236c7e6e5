"""Memory that moves between interpreters."""

from __future__ import annotations

import array
import copy
import ctypes
import gc
import pickle
import struct
import sys
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boc._boc import Buffer, Parcel
from measuring import growth, resident

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
"""Values do not travel there, so a Buffer that is out is not looked for."""

CODES = "BbchHiIlLqQnNefd?"


def moved(value: Any) -> Any:
    return Parcel(value).open()


@pytest.mark.parametrize("code", CODES)
def test_zeros_of_each_format(code: str) -> None:
    buffer = Buffer(5, code)
    assert len(buffer) == 5
    assert buffer.format == code
    assert buffer.nbytes == 5 * struct.calcsize(code)
    assert bytes(buffer) == bytes(buffer.nbytes)
    with memoryview(buffer) as view:
        assert (view.format, view.shape, view.itemsize) == (code, (5,), struct.calcsize(code))
        assert not view.readonly and view.c_contiguous


def test_bytes_are_the_usual_format() -> None:
    assert Buffer(3).format == "B"
    assert Buffer(3, format="d").nbytes == 24
    assert Buffer(3, format="@d").format == "d"
    assert Buffer(3, None).format == "B"


def test_no_items() -> None:
    buffer = Buffer(0, "d")
    assert len(buffer) == 0 and bytes(buffer) == b"" and list(buffer) == []
    assert len(Buffer(b"")) == 0
    assert len(moved(buffer)) == 0


def test_copies() -> None:
    source = array.array("d", [1.5, 2.5])
    buffer = Buffer(source)
    assert buffer.format == "d" and list(buffer) == [1.5, 2.5]
    source[0] = 0.0
    assert buffer[0] == 1.5
    assert bytes(Buffer(b"abc")) == b"abc"
    assert bytes(Buffer(bytearray(b"abc"))) == b"abc"
    again = Buffer(buffer)
    again[0] = 9.0
    assert buffer[0] == 1.5


def test_copies_with_another_format() -> None:
    buffer = Buffer(struct.pack("=3q", 1, 2, 3), "q")
    assert list(buffer) == [1, 2, 3]
    with pytest.raises(ValueError, match="7 bytes are no whole number of items of format 'q'"):
        Buffer(b"1234567", "q")


def test_copies_of_what_is_not_in_one_piece() -> None:
    assert bytes(Buffer(memoryview(b"abcdef")[::2])) == b"ace"
    assert bytes(Buffer(memoryview(b"abcdef")[::-1])) == b"fedcba"
    table = memoryview(bytes(range(6))).cast("B", (2, 3))
    buffer = Buffer(table)
    assert len(buffer) == 6 and bytes(buffer) == bytes(range(6))


def test_formats_that_cannot_be() -> None:
    for code in ("", "dd", "<i", "x", "3s", "P", "é"):
        with pytest.raises(ValueError, match="native codes"):
            Buffer(3, code)
    with pytest.raises(TypeError, match="is a str, not 'int'"):
        Buffer(3, 3)  # type: ignore[arg-type]
    big = (ctypes.c_int.__ctype_be__ * 2)()
    with pytest.raises(ValueError, match="take the bytes as they are"):
        Buffer(big)
    assert bytes(Buffer(big, "B")) == bytes(8)


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="negative"):
        Buffer(-1)
    with pytest.raises(OverflowError):
        Buffer(2**80)
    with pytest.raises(MemoryError):
        Buffer(sys.maxsize, "d")
    with pytest.raises(MemoryError):
        Buffer(sys.maxsize // 8, "d")


@pytest.mark.parametrize("source", ["text", 1.5, None, [1, 2], object()])
def test_sources_that_cannot_be(source: Any) -> None:
    with pytest.raises(TypeError, match="size, or an object with the buffer protocol"):
        Buffer(source)


def test_arguments_that_cannot_be() -> None:
    for call in (
        lambda: Buffer(),
        lambda: Buffer(1, "B", 3),
        lambda: Buffer(1, size=3),
        lambda: Buffer(1, "B", format="B"),
        lambda: Buffer(source=1),
    ):
        with pytest.raises(TypeError):
            call()


def test_an_index_is_a_size() -> None:
    class Four:
        def __index__(self) -> int:
            return 4

    assert len(Buffer(Four())) == 4


def test_items() -> None:
    buffer = Buffer(10, "i")
    buffer[3] = -7
    buffer[-1] = 5
    assert buffer[3] == -7 and buffer[9] == 5
    for index in (10, -11):
        with pytest.raises(IndexError):
            buffer[index]
    with pytest.raises(TypeError):
        buffer["x"]
    with pytest.raises(TypeError):
        buffer[0] = "x"
    with pytest.raises(ValueError):
        buffer[0] = 2**40
    with pytest.raises(TypeError):
        del buffer[0]


def test_slices() -> None:
    buffer = Buffer(b"abcdef")
    part = buffer[1:3]
    assert isinstance(part, memoryview) and bytes(part) == b"bc"
    part[0] = ord("x")
    assert bytes(buffer) == b"axcdef"
    buffer[4:] = b"yz"
    assert bytes(buffer) == b"axcdyz"


def test_others_use_the_memory() -> None:
    buffer = Buffer(16)
    struct.pack_into("=d", buffer, 8, 2.5)
    assert struct.unpack_from("=d", buffer, 8) == (2.5,)
    with memoryview(buffer) as view, view.cast("d") as numbers:
        assert numbers[1] == 2.5
    raw = (ctypes.c_uint8 * 16).from_buffer(buffer)
    raw[0] = 200
    assert buffer[0] == 200


def test_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    buffer = Buffer(6, "d")
    numbers = numpy.frombuffer(buffer, dtype="d")
    numbers[:] = range(6)
    assert list(buffer) == [0, 1, 2, 3, 4, 5]
    assert list(Buffer(numpy.arange(3))) == [0, 1, 2]


@given(st.integers(0, 10_000))
def test_alignment(size: int) -> None:
    buffer = Buffer(size)
    if size:
        assert ctypes.addressof((ctypes.c_uint8 * size).from_buffer(buffer)) % 64 == 0


def test_identity() -> None:
    one, other = Buffer(1), Buffer(1)
    assert one == one and one != other and len({one, other}) == 2
    assert repr(one) == "<boc.Buffer of 1 items of format 'B'>"
    assert (Buffer.__module__, Buffer.__name__) == ("boc", "Buffer")


def test_the_class_is_final() -> None:
    with pytest.raises(TypeError):
        type("Sub", (Buffer,), {})
    with pytest.raises(TypeError):
        Buffer.nbytes = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Buffer(1).nbytes = 3  # type: ignore[misc]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copies_by_accident(duplicate: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        duplicate(Buffer(1))


# Moving.


def address(buffer: Buffer) -> int:
    return ctypes.addressof((ctypes.c_uint8 * buffer.nbytes).from_buffer(buffer))


def test_the_memory_moves() -> None:
    buffer = Buffer(b"some content")
    where = address(buffer)
    gc.collect()
    came = moved({"buffer": [buffer]})["buffer"][0]
    assert came is not buffer
    assert bytes(came) == b"some content" and address(came) == where
    assert came.format == "B"


USES: list[Callable[[Buffer], object]] = [
    len,
    bytes,
    memoryview,
    list,
    Parcel,
    lambda buffer: buffer[0],
    lambda buffer: buffer[1:2],
    lambda buffer: buffer.__setitem__(0, 1),
    lambda buffer: buffer.nbytes,
    lambda buffer: buffer.format,
    lambda buffer: buffer.readonly,
    lambda buffer: Buffer(buffer),
    lambda buffer: Parcel([1, buffer]),
    lambda buffer: Parcel([{1}, buffer]),
]


@pytest.mark.parametrize("use", USES)
def test_what_moved_is_empty(use: Callable[[Buffer], object]) -> None:
    buffer = Buffer(4)
    parcel = Parcel(buffer)
    with pytest.raises(ValueError, match="its memory has moved"):
        use(buffer)
    assert repr(buffer) == "<boc.Buffer, empty because it has moved>"
    del parcel
    with pytest.raises(ValueError, match="its memory has moved"):
        use(buffer)


@pytest.mark.parametrize(
    "wrap", [lambda buffer: buffer, lambda buffer: [buffer, {1}]], ids=["plain", "pickled"]
)
def test_a_view_holds_it(wrap: Callable[[Buffer], Any]) -> None:
    buffer = Buffer(b"abc")
    view = memoryview(buffer)
    with pytest.raises(BufferError, match="memoryview"):
        Parcel(wrap(buffer))
    assert bytes(view) == b"abc"
    view.release()
    Parcel(wrap(buffer))


def test_one_buffer_twice_in_a_value() -> None:
    buffer = Buffer(b"x")
    came = moved([buffer, buffer])
    assert came[0] is came[1] and bytes(came[0]) == b"x"
    buffer = Buffer(b"y")
    came = moved([buffer, {1}, buffer])
    assert came[0] is came[2] and bytes(came[0]) == b"y"


def test_several_buffers() -> None:
    buffers = [Buffer(bytes([number])) for number in range(100)]
    assert [bytes(buffer) for buffer in moved(buffers)] == [bytes([number]) for number in range(100)]


def test_all_or_nothing() -> None:
    first, second, third = Buffer(b"1"), Buffer(b"2"), Buffer(b"3")
    view = memoryview(second)
    for value in (
        [first, second, third],
        [first, {1}, second, third],
        [first, threading.Lock()],
    ):
        with pytest.raises((BufferError, TypeError)):
            Parcel(value)
        assert bytes(first) + bytes(second) + bytes(third) == b"123"
    view.release()
    Parcel(second)
    with pytest.raises(ValueError):
        Parcel([first, third, second])
    assert bytes(first) + bytes(third) == b"13"


def test_a_parcel_that_is_opened_twice() -> None:
    parcel = Parcel([Buffer(b"abc")])
    one = parcel.open()[0]
    if not FREE_THREADED:
        assert parcel.open()[0] is one
    one[0] = ord("x")
    del one
    assert bytes(parcel.open()[0]) == b"xbc"
    # It can be had again, as often as one likes, but not when it has moved on.
    for _ in range(3):
        assert bytes(parcel.open()[0]) == b"xbc"
    other = Parcel(parcel.open()[0])
    with pytest.raises(ValueError, match="has moved on"):
        parcel.open()
    del parcel
    assert bytes(other.open()) == b"xbc"


# Reading.


def test_many_read_the_same_memory() -> None:
    parcel = Parcel({"buffer": Buffer(b"abc")})
    readers = [parcel.open_to_read()["buffer"] for _ in range(5)]
    assert len({id(reader) for reader in readers}) == 5
    views = [memoryview(reader) for reader in readers]
    assert all(bytes(view) == b"abc" and view.readonly for view in views)
    assert all(reader.readonly and reader.format == "B" for reader in readers)


def test_what_is_read_cannot_be_written() -> None:
    buffer = Parcel(Buffer(b"abc")).open_to_read()
    with pytest.raises(TypeError):
        buffer[0] = 1
    with pytest.raises(TypeError):
        (ctypes.c_uint8 * 3).from_buffer(buffer)
    with pytest.raises((TypeError, BufferError)):
        struct.pack_into("B", buffer, 0, 1)
    assert bytes(buffer) == b"abc"
    assert not Buffer(buffer).readonly and not Buffer(1).readonly


def test_nobody_writes_while_others_read() -> None:
    parcel = Parcel([Buffer(b"abc")])
    one, other = parcel.open_to_read(), parcel.open_to_read()
    for _ in range(2):
        with pytest.raises(ValueError, match="in use"):
            parcel.open()
    del one
    with pytest.raises(ValueError, match="in use"):
        parcel.open()
    view = memoryview(other[0])
    del other
    with pytest.raises(ValueError, match="in use"):
        parcel.open()
    view.release()
    del view
    came = parcel.open()[0]
    assert not came.readonly
    came[0] = ord("x")
    if not FREE_THREADED:
        assert parcel.open_to_read()[0] is came
    del came
    assert bytes(parcel.open_to_read()[0]) == b"xbc"


def test_what_is_read_is_sent_as_a_copy() -> None:
    parcel = Parcel([Buffer(b"abc")])
    read = parcel.open_to_read()[0]
    with memoryview(read):
        sent = Parcel([read, read])
    came = sent.open()
    assert came[0] is came[1] and not came[0].readonly
    came[0][0] = ord("x")
    assert bytes(read) == b"abc" and bytes(came[0]) == b"xbc"


def test_a_view_outlives_its_parcel() -> None:
    view = memoryview(moved(Buffer(b"abc")))
    gc.collect()
    assert bytes(view) == b"abc"


def test_threads_pack_one_buffer() -> None:
    for _ in range(100):
        buffer = Buffer(b"abc")
        parcels = []
        start = threading.Barrier(3)

        def pack() -> None:
            start.wait()
            try:
                parcels.append(Parcel([buffer]))
            except (ValueError, BufferError):
                pass

        def look() -> None:
            start.wait()
            for _ in range(20):
                try:
                    assert bytes(buffer) == b"abc"
                except ValueError:
                    pass

        threads = [threading.Thread(target=target) for target in (pack, pack, look)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(parcels) <= 1
        if parcels:
            assert bytes(parcels[0].open()[0]) == b"abc"


def test_memory_is_given_back() -> None:
    def rounds(count: int) -> None:
        for _ in range(count):
            buffer = Buffer(10_000_000)
            buffer[0] = 1
            came = moved([buffer])[0]
            came[-1] = 2
            Parcel(came)

    rounds(5)
    before = resident()
    rounds(200)
    assert (resident() - before) * 1024 < 100_000_000


def test_nothing_leaks() -> None:
    def rounds(count: int) -> None:
        for _ in range(count):
            parcel = Parcel([Buffer(10), {1}])
            parcel.open()
            parcel.open()
            parcel = Parcel([Buffer(b"abc")])
            parcel.open()[0][0]
            Parcel([parcel.open_to_read(), parcel.open_to_read()])
            repr(parcel.open()[0])

    rounds(100)
    count = sys.getrefcount(Buffer)
    assert growth(rounds, 100, 3_000) < 30_000
    assert abs(sys.getrefcount(Buffer) - count) < 10
