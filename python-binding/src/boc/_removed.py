"""What the function of an update returns to delete the entry."""

from __future__ import annotations

from typing import Final


class _Removed:
    """There is one in each interpreter, which a copy is again."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REMOVED"

    def __reduce__(self) -> str:
        return "REMOVED"


REMOVED: Final[object] = _Removed()
