"""Starting and stopping the workers, and waiting for what they do.

At most one pool of workers is in use. It starts with the first behaviour, or by :func:`start`, and
ends by :func:`wait`, or with the interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from typing import Any, Literal, NoReturn, overload

from boc import _callbacks, _observation, _progress, _stalls, _switch, _trace, _unseen
from boc._boc import (
    Pool,
    cancelled,
    check_timeout,
    clear_messages,
    clear_noticeboard,
    close_pinned,
    discard_pinned,
    forget_after_fork,
    forget_pinned_after_fork,
    free_nothing,
    hold_objects,
    inside_behaviour,
    leave_pool_after_fork,
    let_go_of_objects,
    limit_noticeboard,
    pause_interpreters,
    read_noticeboard,
    refuse_to_wait,
    resume_interpreters,
    set_debug,
    set_exiting,
    wait_for_callbacks,
)
from boc._direct import Direct
from boc._subinterpreters import SubInterpreters
from boc._waiting import WaitResult

_log = logging.getLogger("boc")

_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

_BACKENDS: dict[str, type[Direct | SubInterpreters]] = {"direct": Direct}
if sys.version_info >= (3, 12) and not _FREE_THREADED:
    _BACKENDS["subinterpreters"] = SubInterpreters

_EXIT_GRACE = 2.0
"""Seconds that a behaviour may go on running after the main program has ended."""

_EXIT_INTERRUPTED = 0.5
"""Seconds that a behaviour then has to end after an exception was raised in it."""

_EXIT_INSISTED = 3.0
"""Seconds that it then has where the process cannot end with a worker that is still there."""


def _available_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        return os.cpu_count() or 1


WORKER_COUNT: int = max(1, _available_cores() - 1)
"""How many workers :func:`start` starts by default: one less than there are cores, at least 1."""


class _State:
    """The pool in use, and its workers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.pool: Pool | None = None
        self.workers: Direct | SubInterpreters | None = None
        # Those that nobody has to wait for any more, of this pool.
        self.ended_before = 0
        self.warned_about_gil = False
        self.exiting = False
        self.draining = 0
        """How many threads wait for the end of a pool that is not in use any more."""
        self.undrained: list[tuple[Pool, Direct | SubInterpreters]] = []
        """Pools that are not in use any more, for whose end somebody has stopped to wait, as by Ctrl-C."""


_state = _State()

_lost: list[Pool] = []
"""Pools whose threads did not survive a fork. Their end would wait for those threads."""


def backend() -> str:
    """The name of the backend that runs behaviours, or would run them.

    ``"direct"``: the workers are threads of this interpreter, and cowns hold the objects
    themselves. ``"subinterpreters"``: each worker has an interpreter of its own, with a GIL of its own,
    and what a behaviour uses is copied.
    """
    workers = _state.workers
    return _chosen_backend(None) if workers is None else workers.name


def is_running() -> bool:
    """Whether there are workers, or some that are about to end."""
    return _state.pool is not None or _state.draining > 0 or bool(_state.undrained)


def _chosen_backend(asked: str | None) -> str:
    source = "backend"
    if asked is None:
        source, asked = "the environment variable BOC_BACKEND", os.environ.get("BOC_BACKEND")
    if not asked:
        return "subinterpreters" if "subinterpreters" in _BACKENDS else "direct"
    if not isinstance(asked, str):
        raise TypeError(f"backend must be a str or None, not {type(asked).__name__}")
    if asked not in _BACKENDS:
        if asked == "subinterpreters":
            why = (
                "a free-threaded Python, where threads run in parallel"
                if _FREE_THREADED
                else "Python before 3.12, whose interpreters share one GIL"
            )
            raise ValueError(f"{source} cannot be 'subinterpreters' on {why}: use 'direct'")
        choices = " or ".join(repr(name) for name in _BACKENDS)
        raise ValueError(f"{source} must be {choices}, not {asked!r}")
    return asked


def _checked_worker_count(count: int | None) -> int:
    if count is None:
        return WORKER_COUNT
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"worker_count must be an int or None, not {type(count).__name__}")
    if not 1 <= count <= 65_535:
        raise ValueError(f"worker_count must be from 1 to 65535, not {count}")
    return count


def _checked_notice_limit(limit: int | None) -> int | None:
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"notice_limit must be an int or None, not {type(limit).__name__}")
    if limit < 1:
        raise ValueError(f"notice_limit must be at least 1, not {limit}")
    return min(limit, sys.maxsize)


def start(
    worker_count: int | None = None,
    module: tuple[str, str] | None = None,
    *,
    backend: str | None = None,
    notice_limit: int | None = None,
    observe: bool | None = None,
    debug: bool | None = None,
) -> None:
    """Start the workers. Does nothing if they are running.

    The first behaviour does this too, so there is no need to call it except to choose something.

    :param worker_count: How many behaviours run at the same time; :data:`WORKER_COUNT` by default.
    :param module: Accepted for programs written for bocpy; not needed.
    :param backend: ``"direct"`` or ``"subinterpreters"``, or ``None`` to let boc (or the environment
        variable ``BOC_BACKEND``) choose: ``"direct"`` where the GIL is off, else ``"subinterpreters"`` from
        Python 3.12 on. See :func:`backend`.
    :param notice_limit: How many keys the noticeboard can have; 1,024 by default.
    :param observe: Whether :func:`report` is to know the behaviours, which makes each of them about a microsecond
        slower; ``None`` to let the environment variable ``BOC_OBSERVE`` say so, by 1. Workers that are running
        already observe what is scheduled from now on.
    :param debug: Whether each behaviour is asked at its end who else can reach the values that it holds, which is an
        :class:`AliasWarning`; with copied values, whether they can leave its interpreter, which is a ``TypeError``.
        ``None`` to let the environment variable ``BOC_DEBUG`` say so, by 1. It takes long.
    :raises TypeError: If an argument has the wrong type.
    :raises ValueError: If ``worker_count`` is not from 1 to 65535, or ``notice_limit`` below 1, or there is no
        such backend.
    :raises RuntimeError: Inside of a behaviour, while the interpreter exits, if another backend than that
        which is asked for is running, and if a worker cannot start.
    """
    count = _checked_worker_count(worker_count)
    limit = _checked_notice_limit(notice_limit)
    observed = _switch.is_on("observe", observe)
    chosen = _chosen_backend(backend)
    debugging = _switch.is_on("debug", debug)
    if inside_behaviour():
        raise RuntimeError(
            "start() inside of a behaviour: the workers are running, or this would not run"
        )
    with _state.lock:
        if _state.exiting:
            raise RuntimeError("cannot schedule behaviours while the interpreter exits")
        if _state.workers is not None:
            running = _state.workers.name
            if backend is not None and chosen != running:
                raise RuntimeError(
                    f"the workers are running with backend={running!r}: call wait() before you start "
                    f"them with another one"
                )
            if observe is not None:
                _observation.want(_observation.AT_START, observe)
            return
        _stalls.begin()
        _warn_if_serialised(2)
        set_debug(debugging)
        pool, workers = Pool(count), _BACKENDS[chosen]()
        workers.start(pool, count)
        if _state.workers is not None:
            # What ran meanwhile on this very thread, a signal's handler or a finaliser, was first.
            pool.stop()
            workers.join()
            return
        _state.pool, _state.workers, _state.ended_before = pool, workers, 0
        limit_noticeboard(limit)
        _observation.begin(pool, chosen, observed)
        pool.activate()


_modules_before = frozenset(sys.modules)


def _warn_if_serialised(stacklevel: int) -> None:
    """Say once that a build made for running without the GIL runs with it."""
    if _FREE_THREADED and sys._is_gil_enabled() and not _state.warned_about_gil:  # type: ignore[attr-defined,unused-ignore]
        _state.warned_about_gil = True
        warnings.warn(
            f"this free-threaded Python runs with the GIL switched on (by {_who_has_switched_it_on()}), so "
            "behaviours run one at a time",
            RuntimeWarning,
            stacklevel=stacklevel + 1,
        )


def _who_has_switched_it_on() -> str:
    if getattr(sys.flags, "gil", None) == 1:
        return "PYTHON_GIL=1 or -X gil=1"
    suspects = [
        repr(name)
        for name, module in list(sys.modules.items())
        if name not in _modules_before
        and name.partition(".")[0] not in sys.stdlib_module_names
        and isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)
    ]
    if not suspects:
        return "an extension module that does not support running without it"
    which = f"the extension module {suspects[0]}" if len(suspects) == 1 else f"one of {', '.join(suspects)}"
    return f"{which}, which does not support running without it"


def _pool_to_wait_for(what: str, timeout: float | None) -> Pool | None:
    check_timeout(timeout)
    if inside_behaviour():
        raise RuntimeError(
            f"{what} inside of a behaviour would wait for that behaviour itself: schedule what comes "
            "next with @when over the results instead"
        )
    refuse_to_wait(what)
    if _state.pool is not None:
        _warn_if_serialised(3)
    return _state.pool


def _quiesce(pool: Pool, timeout: float | None, progress: bool) -> None:
    if progress:
        _progress.quiesce(pool, timeout, _state.ended_before)
    else:
        pool.quiesce(timeout)
    _state.ended_before, _ = pool.progress()


def _waited(stats: list[dict[str, int]] | None, notices: dict[str, Any] | None) -> Any:
    """What was asked for."""
    if stats is None:
        return notices
    return stats if notices is None else WaitResult(stats, notices)


@overload
def quiesce(
    timeout: float | None = None, *, stats: Literal[False] = False, noticeboard: Literal[False] = False, progress: bool = False
) -> None: ...
@overload
def quiesce(
    timeout: float | None = None, *, stats: Literal[True], noticeboard: Literal[False] = False, progress: bool = False
) -> list[dict[str, int]]: ...
@overload
def quiesce(
    timeout: float | None = None, *, stats: Literal[False] = False, noticeboard: Literal[True], progress: bool = False
) -> dict[str, Any]: ...
@overload
def quiesce(
    timeout: float | None = None, *, stats: Literal[True], noticeboard: Literal[True], progress: bool = False
) -> WaitResult: ...
def quiesce(
    timeout: float | None = None, *, stats: bool = False, noticeboard: bool = False, progress: bool = False
) -> Any:
    """Wait until all behaviours have ended. The workers stay.

    :param timeout: Seconds to wait at the most; ``None`` for no limit.
    :param stats: Whether to return what :func:`stats` returns.
    :param noticeboard: Whether to return what is on the noticeboard then, as a dict. With both, it is
        a :class:`WaitResult`.
    :param progress: Whether to show how many behaviours are done, of those that were scheduled, on standard error if
        that is a terminal: with rich or tqdm if one of them is installed.
    :raises TimeoutError: If behaviours were still running or waiting when the time ran out.
    :raises RuntimeError: Inside of a behaviour.
    :raises KeyboardInterrupt: On Ctrl-C, within a tenth of a second.
    """
    pool = _pool_to_wait_for("quiesce()", timeout)
    if pool is not None:
        _quiesce(pool, timeout, progress)
    rows = [] if pool is None else pool.stats()
    return _waited(rows if stats else None, read_noticeboard() if noticeboard else None)


@overload
def wait(
    timeout: float | None = None, *, stats: Literal[False] = False, noticeboard: Literal[False] = False, progress: bool = False
) -> None: ...
@overload
def wait(
    timeout: float | None = None, *, stats: Literal[True], noticeboard: Literal[False] = False, progress: bool = False
) -> list[dict[str, int]]: ...
@overload
def wait(
    timeout: float | None = None, *, stats: Literal[False] = False, noticeboard: Literal[True], progress: bool = False
) -> dict[str, Any]: ...
@overload
def wait(
    timeout: float | None = None, *, stats: Literal[True], noticeboard: Literal[True], progress: bool = False
) -> WaitResult: ...
def wait(
    timeout: float | None = None, *, stats: bool = False, noticeboard: bool = False, progress: bool = False
) -> Any:
    """Wait until all behaviours have ended, and stop the workers. The next behaviour starts new ones.

    The noticeboard is empty then.

    :param timeout: Seconds to wait at the most; ``None`` for no limit. If they run out, the workers
        go on.
    :param stats: Whether to return what :func:`stats` returned just before the end.
    :param noticeboard: Whether to return what was on the noticeboard just before the end, as a dict. With
        both, it is a :class:`WaitResult`.
    :param progress: Whether to show how many behaviours are done, of those that were scheduled, on standard error if
        that is a terminal: with rich or tqdm if one of them is installed.
    :raises TimeoutError: If behaviours were still running or waiting when the time ran out.
    :raises RuntimeError: Inside of a behaviour.
    :raises KeyboardInterrupt: On Ctrl-C, within a tenth of a second.
    """
    pool = _pool_to_wait_for("wait()", timeout)
    if pool is not None:
        _quiesce(pool, timeout, progress)
        with _state.lock:
            mine = _state.pool is pool
            if mine and _state.workers is not None:
                _state.undrained.append((pool, _state.workers))
                _state.pool, _state.workers = None, None
                Pool.deactivate()
                _observation.end(pool)
    _drain()
    with _state.lock:
        notices = read_noticeboard() if noticeboard else None
        # Another thread may have started the next workers, whose board it is by now.
        if _state.pool is None:
            clear_noticeboard()
    rows = [] if pool is None else pool.stats()
    return _waited(rows if stats else None, notices)


def _drain() -> None:
    """Wait for the end of pools that are not in use any more, and for which nobody waits."""
    while True:
        with _state.lock:
            if not _state.undrained:
                return
            pool, workers = _state.undrained.pop()
            _state.draining += 1
        ended = False
        try:
            # Behaviours that another thread scheduled in the meantime still run.
            pool.drain()
            workers.join()
            ended = True
        finally:
            with _state.lock:
                _state.draining -= 1
                if not ended:
                    _state.undrained.append((pool, workers))


def stats() -> list[dict[str, int]]:
    """What each worker has done since it was started; empty if there are none.

    The keys are ``worker_index``; ``run``, the behaviours that ended on it; ``stolen``, those it took
    over from other workers; ``parked`` and ``woken``, how often it went to sleep and was woken.
    """
    pool = _state.pool
    return [] if pool is None else pool.stats()


def _at_exit() -> None:
    """End the workers: what runs may finish within a moment, what has not started is dropped."""
    with _state.lock:
        _state.exiting = True
        pools = _state.undrained
        if _state.pool is not None and _state.workers is not None:
            pools.append((_state.pool, _state.workers))
        _state.pool, _state.workers = None, None
        # Other threads may still run; from now on they are told when they schedule.
        set_exiting(True)
        Pool.deactivate()
    _stalls.end()
    for earlier in _abandoned:
        if earlier.must_end and not _end(earlier, _EXIT_INTERRUPTED):
            _stuck.append(earlier.name)
    if pools:
        cancelled_before = cancelled()
        for pool, _ in pools:
            pool.stop()
        close_pinned()
        for _, workers in pools:
            if not _end(workers, _EXIT_GRACE) and workers.must_end:
                _stuck.append(workers.name)
        dropped = cancelled() - cancelled_before
        if dropped:
            _log.warning(
                "behaviours dropped, since the program ended before they started: %d; call "
                "boc.wait() at its end to let them run",
                dropped,
            )
    _trace.end()
    # What does not end is left behind.
    _ended(wait_for_callbacks, _EXIT_GRACE)
    for backend in _BACKENDS.values():
        if not _ended(backend.end_resting, _EXIT_GRACE):
            _stuck.append(backend.name)
    # Where what ends with a message can still run.
    clear_messages()
    clear_noticeboard()
    _unseen.log_all()


def _end(workers: Direct | SubInterpreters, grace: float, when: str = "at exit") -> bool:
    """End workers that were told to stop, and what they are running; say whether they have ended."""
    if _ended(workers.join, grace):
        return True
    _unseen.interrupted = True
    for name in workers.interrupt():
        _log.warning("%s is still running a behaviour %s; ending it", name, when)
    if _ended(workers.join, _EXIT_INTERRUPTED):
        return True
    if not workers.must_end:
        return False
    workers.insist()
    return _ended(workers.join, _EXIT_INSISTED)


def abandon() -> None:
    """Stop the workers without waiting for what they run, which is interrupted, and drop what has not started.

    For tests, which have to go on though a behaviour does not end.
    """
    with _state.lock:
        pool, workers = _state.pool, _state.workers
        _state.pool, _state.workers = None, None
        Pool.deactivate()
        if pool is not None:
            _observation.end(pool)
    if pool is None or workers is None:
        return
    pool.stop()
    if not _end(workers, 0.0, "that is given up"):
        _abandoned.append(workers)
    # Also what has become ready by the end of others.
    discard_pinned()
    _unseen.interrupted = bool(_abandoned)
    clear_noticeboard()


def look_for_abandoned() -> None:
    """See which of the workers have ended meanwhile that were given up."""
    _abandoned[:] = [workers for workers in _abandoned if not workers.join(0.0)]
    _unseen.interrupted = bool(_abandoned)


_abandoned: list[Direct | SubInterpreters] = []
"""Workers that have not ended, and whom nobody waits for any more."""


def _ended(join: Callable[[float], bool], seconds: float) -> bool:
    """Wait for workers; say whether they have ended. Who presses Ctrl-C waits no longer."""
    try:
        return join(seconds)
    except KeyboardInterrupt:
        try:
            return join(_EXIT_INTERRUPTED)
        except KeyboardInterrupt:
            return False


_stuck: list[str] = []
"""Backends whose workers are still there, and with which the process cannot end properly."""


def _last_at_exit() -> None:
    if _stuck:
        # Python would crash if it went on with interpreters that cannot be ended.
        _log.error("a worker cannot be ended, so the process ends here, with status 1")
        _flush_and_exit(1)
    free_nothing()


def _before_fork() -> None:
    # No process with more than one interpreter survives a fork.
    pause_interpreters()
    hold_objects()


def _after_fork_in_parent() -> None:
    let_go_of_objects()
    resume_interpreters()


def _after_fork_in_child() -> None:
    """Only the forking thread lives on in a child, so the pool has no workers there."""
    _callbacks.forget_after_fork()
    let_go_of_objects()
    leave_pool_after_fork()
    if _state.pool is not None:
        _lost.append(_state.pool)
        Pool.deactivate()
    _lost.extend(pool for pool, _ in _state.undrained)
    _state.__init__()  # type: ignore[misc]
    _observation.forget_after_fork()
    _stalls.forget_after_fork()
    _abandoned.clear()
    set_exiting(False)
    forget_pinned_after_fork()
    forget_after_fork()


def end_child(exception: BaseException | None) -> NoReturn:
    """End a child that forked inside of a behaviour, when it returns from that or raises.

    The rest of the program is the parent's, so neither its ``atexit`` functions nor its ``finally``
    blocks run; what the child itself has scheduled ends as it does with any program.
    """
    status = 1
    try:
        status = _exit_status(exception)
        _at_exit()
    finally:
        _flush_and_exit(status)


def _exit_status(exception: BaseException | None) -> int:
    """What the interpreter makes of an exception that nobody has caught."""
    if exception is None:
        return 0
    if not isinstance(exception, SystemExit):
        traceback.print_exception(exception)
        return 1
    if exception.code is None:
        return 0
    if isinstance(exception.code, int):
        return exception.code & 0xFF
    print(exception.code, file=sys.stderr)
    return 1


def _flush_and_exit(status: int) -> NoReturn:
    try:
        for stream in sys.stdout, sys.stderr:
            with contextlib.suppress(AttributeError, ValueError, OSError):  # none, closed, full
                stream.flush()
    finally:
        os._exit(status)


atexit.register(_last_at_exit)
# Before the threads are joined, where the interpreter has that; atexit comes after.
getattr(threading, "_register_atexit", atexit.register)(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
