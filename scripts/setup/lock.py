"""One set-up at a time: two makes at once must not build the same thing twice."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .messages import say

try:
    import fcntl
except ImportError:  # Windows: nothing is built from source there
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def locked(file: Path, purpose: str) -> Iterator[None]:
    """Holds the lock `file`. The kernel frees it when its holder dies, however."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a") as handle:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say(f"waiting for another process that is {purpose} …")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
