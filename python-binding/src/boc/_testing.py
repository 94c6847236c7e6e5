"""A runtime for each test, of which nothing is left when the next one begins: what `boc_pytest` offers to pytest."""

from __future__ import annotations

import faulthandler
import tempfile
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import boc
from boc import _runtime, _unseen
from boc._boc import take_unseen, wait_for_callbacks
from boc_pytest import seconds_of


def runtime(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the fixture does."""
    timeout, must_see = _settings(request)
    _clear(timeout)
    unseen: list[BaseException] | None = [] if must_see else None
    _unseen.collected = unseen
    problems: list[str] = []
    try:
        yield
        problems += _finish(timeout)
        if unseen is not None:
            unseen += take_unseen()
            problems += _told(unseen, interrupted=bool(problems))
    finally:
        _unseen.collected = None
        boc.set_tags([])
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


def _clear(timeout: float) -> None:
    """End what others have left, who did not use the fixture."""
    _runtime.look_for_abandoned()
    problems = _finish(timeout)
    for exception in take_unseen():
        _unseen.log(exception)
    boc.set_tags([])
    if problems:
        pytest.fail("\n\n".join(["left by somebody else, before this test:", *problems]), pytrace=False)


def _finish(timeout: float) -> list[str]:
    """Wait for the behaviours, and for what is called when they have ended, and stop the workers."""
    deadline = time.monotonic() + timeout
    try:
        boc.wait(timeout)
    except TimeoutError as error:
        problem = f"{error} ({timeout:g} s after the test)\n{_stats()}\n\n{_stacks()}"
        _runtime.abandon()
        return [problem]
    if not wait_for_callbacks(max(0.1, deadline - time.monotonic())):
        return [f"callbacks of results were still running {timeout:g} s after the test\n\n{_stacks()}"]
    return []


def _stats() -> str:
    rows = (", ".join(f"{key} {value}" for key, value in row.items()) for row in boc.stats())
    return "\n".join(["what the workers have done:", *(f"  {row}" for row in rows)])


def _stacks() -> str:
    """Where the other threads of this interpreter are."""
    with tempfile.TemporaryFile("w+", errors="replace") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        stacks = file.read().strip().split("\n\n")
    stacks = [stack for stack in stacks if not stack.startswith("Current thread")]
    if boc.backend() == "subinterpreters":
        stacks.append("(Workers have interpreters of their own, whose stacks are not among these.)")
    return "\n\n".join(["what other threads are doing:", *stacks])


def _told(unseen: list[BaseException], interrupted: bool) -> Iterator[str]:
    """The exceptions with their tracebacks."""
    # Of this test, or of an earlier one that was given up.
    may_be_interrupted = interrupted or _unseen.interrupted
    ended = [error for error in unseen if may_be_interrupted and _unseen.is_interruption(error)]
    raised = [error for error in unseen if error not in ended]
    if ended and interrupted:
        yield _listed("behaviours were interrupted here:", ended)
    if raised:
        count = f"{len(raised)} behaviour{'s have' if len(raised) > 1 else ' has'}"
        yield _listed(f"{count} raised what nobody looked at (see result(), unwrap(), exception):", raised)


def _listed(head: str, exceptions: list[BaseException]) -> str:
    texts = ("".join(traceback.format_exception(error)).rstrip() for error in exceptions)
    return "\n\n".join([head, *texts])


def _settings(request: pytest.FixtureRequest) -> tuple[float, bool]:
    """The timeout, and whether exceptions have to be looked at."""
    marker = request.node.get_closest_marker("boc")
    given: dict[str, Any] = {"timeout": None, "unseen": "fail"}
    if marker is not None:
        unknown = [*map(repr, marker.args), *(name for name in marker.kwargs if name not in given)]
        if unknown:
            pytest.fail(f"the marker boc has timeout= and unseen=, not {', '.join(unknown)}", pytrace=False)
        given |= marker.kwargs
    timeout = given["timeout"]
    if timeout is None:
        timeout = request.config.getini("boc_timeout")
    try:
        seconds = seconds_of(timeout)
    except ValueError as error:
        pytest.fail(f"timeout of the marker boc {error}", pytrace=False)
    if given["unseen"] not in ("fail", "log"):
        pytest.fail(f"unseen of the marker boc must be 'fail' or 'log', not {given['unseen']!r}", pytrace=False)
    return seconds, given["unseen"] == "fail"
