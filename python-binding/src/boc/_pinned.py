"""Running what is pinned to the main thread."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from boc._boc import (
    inside_behaviour,
    is_main_thread,
    nudge_pinned,
    pump_pinned,
    set_main_thread,
    set_pinned_poll,
    wait_for_pinned,
    wait_for_starving,
    watch_pinned,
)
from boc._runtime import is_running
from boc._waiting import PumpResult

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("boc")

_main_thread = threading.main_thread().ident
assert _main_thread is not None, "it runs"
set_main_thread(_main_thread)

OnStarve = Callable[[int, str], object]


def _positive(name: str, value: int | None, *, or_none: bool = True) -> int | None:
    if value is None and or_none:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        given = str(value) if is_number else type(value).__name__
        raise TypeError(f"{name} must be {'None or ' * or_none}a positive int, not {given}")
    return value


def _milliseconds(name: str, value: int | None, *, or_none: bool = True) -> int | None:
    checked = _positive(name, value, or_none=or_none)
    if checked is not None and checked > sys.maxsize:
        raise OverflowError(f"{name} must be at most {sys.maxsize}, not {checked}")
    return checked


def pump(
    deadline_ms: int | None = None,
    max_behaviors: int | None = None,
    raise_on_error: bool = False,
) -> PumpResult:
    """Run what is pinned and ready, and what becomes so meanwhile, and return.

    To be called in the main thread, where a loop comes by that has other things to do as well. `wait()`, `quiesce()`,
    `result()`, `acquire()` and the end of a :class:`scope` do it by themselves there, and :class:`pumping` has an event
    loop do it.

    :param deadline_ms: Milliseconds after which no further behaviour is begun; ``None`` for no limit.
    :param max_behaviors: How many behaviours run at the most; ``None`` for no limit.
    :param raise_on_error: Whether to raise, at the end, the first exception of a behaviour. Otherwise they stay on
        the results.
    :return: How many have run, whether there were others when the time had run out, and how many have raised.
    :raises TypeError: If a limit is neither ``None`` nor a positive int.
    :raises OverflowError: If ``deadline_ms`` is larger than ``sys.maxsize``.
    :raises RuntimeError: In another thread or a worker, inside of a behaviour or of another pump, and if there are no
        workers, as before the first behaviour and after `wait()`.
    :raises BaseException: What a behaviour raises that is no ``Exception``, such as ``KeyboardInterrupt``, at
        once. What has not run runs next time.
    """
    deadline = _milliseconds("deadline_ms", deadline_ms)
    limit = _positive("max_behaviors", max_behaviors)
    if not is_running():
        raise RuntimeError(
            "pump() without workers: there are some from the first behaviour, or start(), up to wait()"
        )
    if limit is not None:
        limit = min(limit, sys.maxsize)
    return PumpResult(*pump_pinned(limit, deadline, bool(raise_on_error)))


def set_pump_watchdog(warn_ms: int | None = 1000, on_starve: OnStarve | None = None) -> None:
    """Have somebody told when pinned behaviours are ready and nobody pumps.

    Once for each time, and not before this was called. In the child of a fork it has to be called again.

    :param warn_ms: After how many milliseconds; ``None`` for never.
    :param on_starve: Called, by a thread of its own, with 0 and a message that says for how long, and how many
        behaviours there are. By default the message is logged as a warning, by ``logging.getLogger("boc")``. What
        it raises is logged.
    :raises TypeError: If ``warn_ms`` is neither ``None`` nor a positive int, or ``on_starve`` cannot be called.
    :raises OverflowError: If ``warn_ms`` is larger than ``sys.maxsize``.
    """
    checked = _milliseconds("warn_ms", warn_ms)
    if on_starve is not None and not callable(on_starve):
        raise TypeError(f"on_starve must be a callable or None, not {type(on_starve).__name__}")
    watch = watch_pinned()
    if checked is not None:
        arguments = (watch, checked, on_starve or _warn)
        threading.Thread(target=_watch, args=arguments, name="boc-pump-watchdog", daemon=True).start()


def _watch(watch: int, warn_ms: int, on_starve: OnStarve) -> None:
    while True:
        starving = wait_for_starving(watch, warn_ms)
        if starving is None:
            return
        milliseconds, count = starving
        try:
            on_starve(
                0,
                f"pinned behaviours have been ready for {milliseconds} ms, and nobody runs them: {count}; call "
                "boc.pump() in the main thread, or wait there",
            )
        except Exception:
            _log.exception("the callback of set_pump_watchdog() has failed")


def _warn(_severity: int, message: str) -> None:
    _log.warning("%s", message)


def set_wait_pump_poll(ms: int = 50) -> None:
    """Say how long the main thread, while it waits, may not look what is pinned and ready.

    It is woken when something becomes ready, so this matters in `acquire()` alone, where it is not.

    :param ms: Milliseconds. Those above 50 mean 50, since Ctrl-C is to be answered.
    :raises TypeError: If it is no positive int.
    :raises OverflowError: If it is larger than ``sys.maxsize``.
    """
    checked = _milliseconds("ms", ms, or_none=False)
    assert checked is not None, "it was checked"
    set_pinned_poll(checked)


class pumping:
    """Has the running event loop of asyncio run what is pinned, up to the end of its block.

    ::

        import asyncio
        from boc import PinnedCown, pumping, when

        progress = PinnedCown([])

        async def main():
            async with pumping():
                @when(progress)
                def show(progress):
                    progress.value.append("done")

                await show

        asyncio.run(main())

    The loop is woken when something becomes ready; it does not poll. Only for a loop in the main thread. Behaviours that
    are ready at the end of the block stay so.

    :param budget_ms: For how many milliseconds behaviours are begun before the loop does other things.
    :raises TypeError: If ``budget_ms`` is no positive int.
    :raises OverflowError: If it is larger than ``sys.maxsize``.
    :raises RuntimeError: Without a running loop, in another thread or a worker, inside of a behaviour, and if its
        block was entered before.
    """

    def __init__(self, *, budget_ms: int = 10) -> None:
        self._budget = _milliseconds("budget_ms", budget_ms, or_none=False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_due = False
        self._closed = False

    async def __aenter__(self) -> pumping:
        # Whoever runs a loop has it loaded.
        import asyncio

        loop = asyncio.get_running_loop()
        if not is_main_thread():
            raise RuntimeError(
                "pumping() works in the main thread of the main interpreter alone, where pinned cowns live"
            )
        if inside_behaviour():
            raise RuntimeError("pumping() inside of a behaviour: what is ready runs when the main thread pumps next")
        if self._loop is not None:
            raise RuntimeError("the block of this pumping() was entered before: make one for each block")
        self._loop = loop
        threading.Thread(target=self._wake_loop, args=(loop,), name="boc-pumping", daemon=True).start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._closed = True
        nudge_pinned()

    def _wake_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        seen = 0
        while True:
            seen = wait_for_pinned(seen)
            if self._closed:
                return
            if not self._is_due:
                self._is_due = True
                # If the loop is closed by now, it does nothing more.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._pump)

    def _pump(self) -> None:
        # First, since from here on what becomes ready may be missed.
        self._is_due = False
        if self._closed:
            return
        is_more = True
        try:
            _, is_more, _ = pump_pinned(None, self._budget, False)
        finally:
            if is_more and not self._is_due and self._loop is not None:
                self._is_due = True
                self._loop.call_soon(self._pump)
