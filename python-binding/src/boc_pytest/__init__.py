"""The plugin of boc for pytest, which finds it by the entry point ``pytest11``.

Outside of the package, so that boc is imported by those tests alone that use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

_MARKER = "boc(timeout=None, unseen='fail'): how the fixture boc_runtime ends; see boc's docs/python-testing.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "boc_autouse", "Whether each test uses the fixture boc_runtime.", type="bool", default=False
    )
    parser.addini(
        "boc_timeout",
        "Seconds that behaviours have to end after a test that uses the fixture boc_runtime.",
        default="30",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    try:
        seconds_of(config.getini("boc_timeout"))
    except ValueError as error:
        raise pytest.UsageError(f"boc_timeout in the configuration of pytest {error}") from None
    if config.getini("boc_autouse"):
        config.pluginmanager.register(_ForAll(), "boc-autouse")


class _ForAll:
    """What there is beside if all tests use the fixture."""

    @pytest.fixture(autouse=True)
    def _boc_for_all(self, boc_runtime: None) -> None:
        pass


@pytest.fixture
def boc_runtime(request: pytest.FixtureRequest) -> Iterator[None]:
    """A runtime of boc for this test alone, which ends with it.

    At the end it waits for all behaviours. The test fails if some do not end in time, and if some have raised
    exceptions that nobody has looked at.
    """
    from boc import _testing

    yield from _testing.runtime(request)


def seconds_of(given: Any) -> float:
    """A timeout, as it is written.

    :raises ValueError: If it is no number, or below 0.
    """
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"must be a number of seconds, not {given!r}")
    return seconds
