"""The functions of the package in a worker's interpreter, where there is nothing to start or to wait for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

WORKER_COUNT: int = 1


def backend() -> str:
    """``"subinterpreters"``: this is the interpreter of a worker."""
    return "subinterpreters"


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(
        f"{what} inside of a behaviour would wait for that behaviour itself: schedule what comes "
        "next with @when over the results instead"
    )


def start(
    worker_count: int | None = None,
    module: tuple[str, str] | None = None,
    *,
    backend: str | None = None,
    notice_limit: int | None = None,
    observe: bool | None = None,
) -> None:
    """Raises a RuntimeError here."""
    raise RuntimeError(
        "start() inside of a behaviour: the workers are running, or this would not run"
    )


def quiesce(
    timeout: float | None = None, *, stats: bool = False, noticeboard: bool = False, progress: bool = False
) -> Any:
    """Raises a RuntimeError here."""
    _refuse("quiesce()")


def wait(
    timeout: float | None = None, *, stats: bool = False, noticeboard: bool = False, progress: bool = False
) -> Any:
    """Raises a RuntimeError here."""
    _refuse("wait()")


def scope(*, timeout: float | None = None) -> Any:
    """Raises a RuntimeError here."""
    raise RuntimeError(
        "scope() inside of a behaviour would wait for what comes after that: schedule what comes next "
        "with @when over the results instead"
    )


def pump(deadline_ms: int | None = None, max_behaviors: int | None = None, raise_on_error: bool = False) -> Any:
    """Raises a RuntimeError here."""
    _only_in_main_thread("pump()")


def pumping(*, budget_ms: int = 10) -> Any:
    """Raises a RuntimeError here."""
    _only_in_main_thread("pumping()")


def set_pump_watchdog(warn_ms: int | None = 1000, on_starve: Callable[[int, str], object] | None = None) -> None:
    """Raises a RuntimeError here."""
    _only_in_main_thread("set_pump_watchdog()")


def set_wait_pump_poll(ms: int = 50) -> None:
    """Raises a RuntimeError here."""
    _only_in_main_thread("set_wait_pump_poll()")


def _only_in_main_thread(what: str) -> NoReturn:
    raise RuntimeError(f"{what} inside of a worker's interpreter: only the main program pumps, where pinned cowns live")


def _for_the_program(what: str) -> NoReturn:
    raise RuntimeError(f"{what} inside of a worker's interpreter: only the main program has that")


def stats() -> list[dict[str, int]]:
    """Raises a RuntimeError here."""
    raise RuntimeError("stats() inside of a worker's interpreter: only the main program has them")


def report(file: TextIO | None = None) -> None:
    """Raises a RuntimeError here."""
    _for_the_program("report()")


def report_text() -> str:
    """Raises a RuntimeError here."""
    _for_the_program("report_text()")


def trace(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Any:
    """Raises a RuntimeError here."""
    _for_the_program("trace()")


def set_stall_warning(seconds: float | None, on_stall: Callable[[str], object] | None = None) -> None:
    """Raises a RuntimeError here."""
    _for_the_program("set_stall_warning()")
