"""What is on or off, by an argument or by the environment."""

from __future__ import annotations

import os


def is_on(name: str, given: bool | None) -> bool:
    """Whether it is on: as the argument of this name says, or if that is ``None``, the environment variable."""
    if given is not None:
        if not isinstance(given, bool):
            raise TypeError(f"{name} must be a bool or None, not {type(given).__name__}")
        return given
    variable = f"BOC_{name.upper()}"
    value = os.environ.get(variable, "")
    if value not in ("", "0", "1"):
        raise ValueError(f"the environment variable {variable} must be 0 or 1, not {value!r}")
    return value == "1"
