"""What waiting for behaviours gives."""

from __future__ import annotations

from typing import Any, NamedTuple


class PumpResult(NamedTuple):
    """What `pump()` has done: how many behaviours have run, whether there were others when the time had run out, and
    how many of those that have run have raised."""

    executed: int
    deadline_reached: bool
    raised: int


class WaitResult(NamedTuple):
    """What `wait()` and `quiesce()` return that are asked for both."""

    stats: list[dict[str, int]]
    noticeboard: dict[str, Any]
