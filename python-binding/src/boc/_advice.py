"""What to do about a mistake in a body of which Python itself can say only that it is one.

Said where the body has failed, since a class that raised it by itself, in ``__call__`` or ``__len__``, would look as if
its objects could be called, or had a length.
"""

from __future__ import annotations

import contextlib


def advise(exception: BaseException) -> None:
    """Add a note to an exception of a body, if it says that a cown was used as if it were its value."""
    with contextlib.suppress(Exception):  # its text may be anything
        if type(exception) not in (TypeError, AttributeError) or "boc.Cown" not in str(exception):
            return
        note = _CALLED if "not callable" in str(exception) else _USED
        notes = getattr(exception, "__notes__", [])
        if note not in notes:
            # `add_note` came with Python 3.11; before that the package `exceptiongroup` shows them.
            exception.__notes__ = [*notes, note]  # type: ignore[attr-defined,unused-ignore]


_USED = (
    "a Cown is not its value: in a behaviour that holds the cown, the value is `.value` (as in `cown.value += 1`, "
    "`len(cown.value)`)"
)
_CALLED = (
    "a Cown cannot be called: @when schedules the function below it at once, and its name is then the Cown of the "
    "result (see result(), @when(result)); if the value of a cown is meant, that is `.value`"
)
