"""A warning if behaviours do not get on."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from boc import _observation
from boc._boc import Pool
from boc._report import report_text

_log = logging.getLogger("boc")

_LONGEST_PAUSE = 1.0
"""So often the watcher looks at the least, in seconds."""

_SHORTEST_PAUSE = 0.001

_LONGEST = 1e9
"""Seconds. Nobody waits longer."""


class _State:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.asked = False
        self.watcher: _Watcher | None = None


_state = _State()


def set_stall_warning(seconds: float | None, on_stall: Callable[[str], object] | None = None) -> None:
    """Warn when a behaviour runs for longer than that, or when some wait and nothing runs for as long.

    That holds for those over a :class:`PinnedCown` as well, which the main thread runs.

    The warning is what :func:`report` prints. It is logged by ``logging.getLogger("boc")``, once for each behaviour
    that runs too long, and once for each time that nothing gets on, by a thread that is there for that. It holds
    for all workers from now on, and has behaviours observed; see :func:`report`. The environment
    variable ``BOC_STALL_WARNING``, a number of seconds, does the same from the first behaviour on.

    :param seconds: More than 0; ``None`` for no warning any more.
    :param on_stall: Is called with the text, on that thread, and nothing is logged. If it raises, that is logged.
    :raises TypeError: If an argument has the wrong type.
    :raises ValueError: If ``seconds`` is not more than 0.
    """
    limit = _checked(seconds, "seconds")
    if on_stall is not None and not callable(on_stall):
        raise TypeError(f"on_stall must be callable or None, not {type(on_stall).__name__}")
    _set(limit, on_stall)


def _set(limit: float | None, on_stall: Callable[[str], object] | None) -> None:
    with _state.lock:
        _state.asked = True
        before, _state.watcher = _state.watcher, None
        if before is not None:
            before.stop()
        _observation.want("stall warning", limit is not None)
        if limit is not None:
            _state.watcher = _Watcher(limit, on_stall)
            _state.watcher.start()


def _checked(seconds: float | None, what: str) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{what} must be a number or None, not {type(seconds).__name__}")
    if not seconds > 0:
        raise ValueError(f"{what} must be more than 0, not {seconds}")
    return float(min(seconds, _LONGEST))


def begin() -> None:
    """Workers are about to start: do what the environment says, if nobody has said anything else."""
    with _state.lock:
        if _state.asked:
            if _state.watcher is not None:
                _state.watcher.start()  # in a child, where it is not there
            return
        given = os.environ.get("BOC_STALL_WARNING")
        if given:
            _set(_from_environment(given), None)


def _from_environment(given: str) -> float | None:
    name = "the environment variable BOC_STALL_WARNING"
    try:
        seconds = float(given)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds, not {given!r}") from None
    return _checked(seconds, name)


def end() -> None:
    """The program ends."""
    with _state.lock:
        if _state.watcher is not None:
            _state.watcher.stop()
        _state.watcher = None


def forget_after_fork() -> None:
    """The thread is not there in a child, until that has workers."""
    asked, watcher = _state.asked, _state.watcher
    _state.__init__()  # type: ignore[misc]
    _state.asked = asked
    if watcher is not None:
        _state.watcher = _Watcher(watcher.limit, watcher.on_stall)


class _Watcher:
    """Looks at the workers every now and then."""

    def __init__(self, limit: float, on_stall: Callable[[str], object] | None) -> None:
        self.limit = limit
        self.on_stall = on_stall
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="boc-stalls", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        pause = max(_SHORTEST_PAUSE, min(self.limit / 4, _LONGEST_PAUSE))
        watched = None
        while not self._stopped.wait(pause):
            pool, _ = _observation.current()
            if pool is None:
                watched = None
                continue
            if watched is None or watched.pool is not pool:
                watched = _Watched(pool, self.limit)
            why = watched.look()
            if why is not None and not self._stopped.is_set():
                self._tell(why)

    def _tell(self, why: str) -> None:
        text = f"{why}\n{report_text()}"
        try:
            if self.on_stall is None:
                _log.warning("%s", text)
            else:
                self.on_stall(text)
        except Exception:
            _log.exception("the function that was to hear of a stall has failed")


class _Watched:
    """One pool, and what was told of it."""

    def __init__(self, pool: Pool, limit: float) -> None:
        self.pool = pool
        self._limit = limit
        self._told: set[tuple[int, int]] = set()
        self._steps = -1
        self._since = time.monotonic()
        self._told_of_standstill = False

    def look(self) -> str | None:
        """Why there is to be a warning, if there is."""
        activity = self.pool.activity()
        now = time.monotonic()
        long = {
            (call["worker"], call["number"])
            for call in activity["running"]
            if call["seconds"] >= self._limit
        }
        new = long - self._told
        self._told = long
        if activity["steps"] != self._steps or activity["in_flight"] == 0:
            self._steps, self._since, self._told_of_standstill = activity["steps"], now, False
        if new:
            return f"a behaviour has been running for longer than {self._limit:g} s"
        standstill = not activity["running"] and now - self._since >= self._limit
        if standstill and not self._told_of_standstill:
            self._told_of_standstill = True
            return f"behaviours have been waiting for longer than {self._limit:g} s, and nothing gets on"
        return None
