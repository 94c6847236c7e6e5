"""The runtime as an object, as programs for bocpy may use it."""

from __future__ import annotations


class Behaviors:
    """Starts and stops the workers, for programs written for bocpy; :func:`start` and :func:`wait` do the same.

    There is one pool of workers at a time, whoever has started it.

    :param num_workers: How many behaviours run at the same time; ``None`` for :data:`WORKER_COUNT`.
    """

    def __init__(self, num_workers: int | None) -> None:
        self._num_workers = num_workers

    def start(self, module: tuple[str, str] | None = None) -> None:
        """As :func:`start`, with as many workers as were said; ``module`` is not needed."""
        import boc

        boc.start(self._num_workers, module)

    def quiesce(self, timeout: float | None = None) -> bool:
        """As :func:`quiesce`, but says whether all behaviours have ended in time."""
        import boc

        try:
            boc.quiesce(timeout)
        except TimeoutError:
            return False
        return True

    def stop(self, timeout: float | None = None) -> None:
        """As :func:`wait`."""
        import boc

        boc.wait(timeout)


Behaviors.__module__ = "boc"
