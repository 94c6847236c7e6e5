"""What is observed of the workers, and for whom.

Behaviours are observed while somebody wants that: who has started the workers so, a stall warning, a trace. What was
scheduled before stays unknown.
"""

from __future__ import annotations

import threading

from boc._boc import Pool, Trace


class _State:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.pool: Pool | None = None
        self.backend = ""
        self.wanted: set[str] = set()
        self.trace: tuple[Trace, str] | None = None


_state = _State()

AT_START = "start"
"""Who wants it if it is `start` that was told so. For the pool that this starts, alone."""


def begin(pool: Pool, backend: str, observe: bool) -> None:
    """A pool comes to be in use, and has no behaviours so far."""
    with _state.lock:
        _state.pool, _state.backend = pool, backend
        _state.wanted.discard(AT_START)
        if observe:
            _state.wanted.add(AT_START)
        if _state.trace is not None:
            _state.trace[0].add(pool)
        pool.observe(bool(_state.wanted))


def end(pool: Pool) -> None:
    """A pool is not in use any more."""
    with _state.lock:
        if _state.pool is pool:
            _state.pool = None


def current() -> tuple[Pool | None, str]:
    """The pool in use, and its backend."""
    with _state.lock:
        return _state.pool, _state.backend


def want(who: str, wanted: bool = True) -> None:
    """Somebody wants behaviours to be observed that are scheduled from now on; or does not, any more."""
    with _state.lock:
        if wanted:
            _state.wanted.add(who)
        else:
            _state.wanted.discard(who)
        if _state.pool is not None:
            _state.pool.observe(bool(_state.wanted))


def begin_trace(path: str, program: str, about: dict[str, str]) -> Trace:
    """Begin to write one, for this pool and those that follow."""
    with _state.lock:
        if _state.trace is not None:
            raise RuntimeError(
                f"a trace is being written already, to {_state.trace[1]!r}, and there can be one at a time"
            )
        trace = Trace(path, program, about)
        _state.trace = trace, path
        if _state.pool is not None:
            trace.add(_state.pool)
        want("trace")
        return trace


def end_trace(trace: Trace) -> None:
    """Nothing more is to be written there."""
    with _state.lock:
        if _state.trace is not None and _state.trace[0] is trace:
            _state.trace = None
            want("trace", False)


def forget_after_fork() -> None:
    """In a child there is no pool, and a trace is its parent's."""
    wanted = _state.wanted - {AT_START, "trace"}
    _state.__init__()  # type: ignore[misc]
    _state.wanted = wanted
