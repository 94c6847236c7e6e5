"""Workers that are threads of the main interpreter, whose cowns hold the objects themselves."""

from __future__ import annotations

import threading
import time

from boc._boc import Pool, raise_in_thread


class Direct:
    """The threads of a pool."""

    name = "direct"

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def start(self, pool: Pool, count: int) -> None:
        """Start the workers; stops the pool if that fails."""
        threads = [
            threading.Thread(target=pool.run_worker, name=f"boc-worker-{index}", daemon=True)
            for index in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
        except BaseException:
            pool.stop()
            raise
        self._threads = threads

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all have ended; say whether they have."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def interrupt(self) -> list[str]:
        """Raise SystemExit in those that are still there; say which."""
        stuck = [thread for thread in self._threads if thread.is_alive()]
        for thread in stuck:
            if thread.ident is not None:
                raise_in_thread(thread.ident, SystemExit)
        return [thread.name for thread in stuck]

    def insist(self) -> None:
        """A thread can be left behind."""

    @staticmethod
    def end_resting(timeout: float | None = None) -> bool:
        """There are none that rest."""
        return True

    must_end = False
    """Whether the process cannot end properly while one of them is there."""
