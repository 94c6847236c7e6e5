"""Behaviours that are waited for together, with all that they lead to."""

from __future__ import annotations

import os
import sys
from contextvars import Token
from types import TracebackType

from boc._awaiting import wait_for
from boc._boc import SCOPE, Cown, Scope, check_timeout, inside_behaviour, open_scope, refuse_to_wait

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


class scope:
    """Waits, at the end of its block, for all that was scheduled inside, and by those behaviours in turn.

    ::

        from boc import Cown, scope, when

        parts = [Cown(n) for n in range(4)]

        def double(part):
            part.value *= 2

        with scope():
            for part in parts:
                when(part)(double)
        # Here all of it is done.

    What other threads schedule is not part of it. ``async with`` waits without blocking the event loop.

    Exceptions of behaviours that nobody has looked at are raised at the end of the block, as an
    ``ExceptionGroup``; if the block itself raises, what has not started is cancelled, and its exception is in
    the group, or alone.

    :param timeout: Seconds to wait at the end of the block at the most; ``None`` for no limit. If they run out,
        what has not started is cancelled, and what is running goes on.
    :raises ExceptionGroup: If behaviours have failed.
    :raises TimeoutError: If behaviours were still running or waiting when the time ran out.
    :raises RuntimeError: Inside of a behaviour.
    """

    def __init__(self, *, timeout: float | None = None) -> None:
        check_timeout(timeout)
        self._timeout = timeout
        self._open: tuple[Scope, Cown[None], Token[Scope]] | None = None
        self._process = 0

    def cancel(self) -> None:
        """Cancel what has not started, and what is scheduled in the scope from now on."""
        if self._open is None:
            raise RuntimeError("cancel() of a scope outside of its block")
        self._open[0].cancel()

    def __enter__(self) -> scope:
        if inside_behaviour():
            raise RuntimeError(
                "scope() inside of a behaviour would wait for what comes after that: schedule what comes next "
                "with @when over the results instead"
            )
        refuse_to_wait("scope()")
        if self._open is not None:
            raise RuntimeError("this scope is open already: make one for each block")
        opened, ended = open_scope()
        self._open = opened, ended, SCOPE.set(opened)
        self._process = os.getpid()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        opened, ended = self._close(exc_value)
        if ended is None:
            return
        try:
            in_time = _wait_for(ended, self._timeout)
        except BaseException:
            opened.cancel()
            raise
        self._finish(opened, in_time, exc_value)

    async def __aenter__(self) -> scope:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        opened, ended = self._close(exc_value)
        if ended is None:
            return
        try:
            in_time = await wait_for(ended, self._timeout)
        except BaseException:
            opened.cancel()
            raise
        self._finish(opened, in_time, exc_value)

    def _close(self, exception: BaseException | None) -> tuple[Scope, Cown[None] | None]:
        """The scope, and its end; none in a child, in which nothing of it goes on."""
        assert self._open is not None, "the block was entered"
        opened, ended, token = self._open
        self._open = None
        SCOPE.reset(token)
        if os.getpid() != self._process:
            return opened, None
        if exception is not None:
            opened.cancel()
        opened.close()
        return opened, ended

    def _finish(self, opened: Scope, in_time: bool, exception: BaseException | None) -> None:
        if not in_time:
            opened.cancel()
            raise TimeoutError(
                f"behaviours of a scope were still running or waiting after {self._timeout} s; what had not started "
                "was cancelled"
            ) from exception
        _raise_failures(opened, exception)


def _wait_for(ended: Cown[None], timeout: float | None) -> bool:
    try:
        ended.result(timeout)
    except TimeoutError:
        return False
    return True


def _raise_failures(opened: Scope, exception: BaseException | None) -> None:
    if exception is not None and not isinstance(exception, Exception):
        return  # KeyboardInterrupt and the like go on as they are
    failures = opened.failures()
    if failures:
        if exception is not None:
            failures.insert(0, exception)
        raise BaseExceptionGroup("behaviours of a scope have failed", failures) from None
