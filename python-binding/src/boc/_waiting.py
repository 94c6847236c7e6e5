"""What waiting for behaviours gives."""

from __future__ import annotations

from typing import Any, NamedTuple


class WaitResult(NamedTuple):
    """What `wait()` and `quiesce()` return that are asked for both."""

    stats: list[dict[str, int]]
    noticeboard: dict[str, Any]
