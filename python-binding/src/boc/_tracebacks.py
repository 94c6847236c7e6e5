"""What of a traceback says something to the program: not the frames of this package, nor those of what it uses."""

from __future__ import annotations

import os
from types import TracebackType

_PACKAGE = os.path.dirname(__file__) + os.sep
_CLOUDPICKLE = os.sep + os.path.join("cloudpickle", "cloudpickle.py")
_LIBRARY = os.path.dirname(os.__file__) + os.sep


def cause_to_show(error: BaseException) -> BaseException | None:
    """An exception whose text is quoted by another one, if its traceback says more than that; else ``None``."""
    at: TracebackType | None = error.__traceback__
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        if not (_is_ours(file) or _is_of_python(file)):
            return error
        at = at.tb_next
    return None


def _is_ours(file: str) -> bool:
    return file.startswith((_PACKAGE, "<frozen importlib")) or file.endswith(_CLOUDPICKLE)


def _is_of_python(file: str) -> bool:
    return file.startswith(_LIBRARY) and "-packages" + os.sep not in file


def text_of(exception: BaseException) -> str:
    """An exception with its traceback, without frames that say nothing."""
    import traceback

    whole = traceback.TracebackException.from_exception(exception)
    left: list[traceback.TracebackException | None] = [whole]
    while left:
        part = left.pop()
        if part is not None:
            frames = [frame for frame in part.stack if not _is_ours(frame.filename)]
            part.stack = traceback.StackSummary.from_list(frames)
            left += [part.__cause__, part.__context__, *(part.exceptions or ())]
    return "".join(whole.format())
