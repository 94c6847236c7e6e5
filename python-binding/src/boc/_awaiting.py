"""Results as others wait for them: by ``await``, and as futures."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from boc._boc import Cown

_T = TypeVar("_T")


def awaited(result: Cown[_T]) -> Generator[Any, None, _T]:
    """What ``await`` uses."""
    return _value_of(result).__await__()


async def _value_of(result: Cown[_T]) -> _T:
    await wait_for(result)
    return result.result()


async def wait_for(result: Cown[Any], timeout: float | None = None) -> bool:
    """Wait until the behaviour has ended; say whether it has, within so many seconds."""
    if not result.done():
        if _is_trio():
            await _ended_in_trio(result, timeout)
        else:
            await _ended(result, timeout)
    return result.done()


async def _ended(result: Cown[Any], timeout: float | None) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def wake() -> None:
        if not ended.done():
            ended.set_result(None)

    def wake_soon() -> None:
        # If the loop is closed by now, nobody waits for it; the result is where it was.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    with _told_of(result, wake_soon):
        if timeout is None:
            await ended
        else:
            await asyncio.wait([ended], timeout=timeout)


def _is_trio() -> bool:
    # Whoever runs trio has it loaded, and with it this.
    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        return False
    try:
        return bool(sniffio.current_async_library() == "trio")
    except sniffio.AsyncLibraryNotFoundError:
        return False


async def _ended_in_trio(result: Cown[Any], timeout: float | None) -> None:
    trio: Any = sys.modules["trio"]
    token, ended = trio.lowlevel.current_trio_token(), trio.Event()

    def wake_soon() -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(ended.set)

    with _told_of(result, wake_soon):
        with trio.move_on_after(math.inf if timeout is None else timeout):
            await ended.wait()


class _Waiting:
    """Who is to be told of the end of a result: a callback cannot be taken back, and who awaits may stop at any time."""

    def __init__(self) -> None:
        self.wakes: dict[Callable[[], None], None] = {}
        self.hears = False


_waiting: dict[Cown[Any], _Waiting] = {}
"""Nothing locks this, since a task can end wherever there is a garbage collection. Each step is one for other threads."""


@contextlib.contextmanager
def _told_of(result: Cown[Any], wake: Callable[[], None]) -> Iterator[None]:
    """Has `wake` called, once or more, when the behaviour has ended, unless that is after the block."""
    waiting = _waiting.setdefault(result, _Waiting())
    waiting.wakes[wake] = None
    try:
        if not waiting.hears:
            result.add_done_callback(_wake_all)
            waiting.hears = True
        if result.done():
            # The others may have been told before this one was among them.
            wake()
        yield
    finally:
        waiting.wakes.pop(wake, None)


def _wake_all(result: Cown[Any]) -> None:
    waiting = _waiting.pop(result, None)
    with contextlib.suppress(KeyError):  # that was all
        while waiting is not None:
            wake, _ = waiting.wakes.popitem()
            wake()


class ResultFuture(Future[_T]):
    """The future of a result. It never says that it is running: whether a behaviour is, nobody knows exactly."""

    def __init__(self, result: Cown[_T]) -> None:
        super().__init__()
        self._of = result

    def cancel(self) -> bool:
        """Cancel the behaviour, unless it has started; say whether it never runs."""
        return super().cancel() if self._of.cancel() else self.cancelled()

    def _end(self, result: Cown[_T]) -> None:
        try:
            value = result.result()
        except CancelledError:
            super().cancel()
            self.set_running_or_notify_cancel()
        except BaseException as exception:
            self.set_exception(exception)
        else:
            self.set_result(value)


def future(result: Cown[_T]) -> Future[_T]:
    """A future that ends as the behaviour does."""
    made = ResultFuture(result)
    result.add_done_callback(made._end)
    return made
