"""A line that moves on a terminal; elsewhere a line every ten per cent or 15 seconds."""

import sys
import threading
import time

WIDTH = 30
QUIET_SECONDS = 15


class Progress:
    """How far a job is, guessed from the lines that its programs print.

    A guess may be wrong: a phase stops short of its end until the next begins.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._sign, self._lines, self._expected = "", 0, 1
        self._begin = self._end = 0.0
        self._started = time.monotonic()
        self._shown_at = self._started
        self._shown_tenth = 0
        self._terminal = sys.stderr.isatty()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def phase(self, sign: str, lines: int, end: float) -> None:
        """Begins a phase of about `lines` lines with `sign` in them.

        `end` is the share of the whole that is done when the phase is over.
        """
        self._sign, self._lines, self._expected = sign, 0, lines
        self._begin, self._end = self._end, end

    def __enter__(self) -> "Progress":
        if not self._terminal:
            self._write(f"{self._title} …\n")
        self._ticker.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._ticker.join()
        end = "done" if kind is None else "failed"
        start = "\r\033[K" if self._terminal else ""
        self._write(f"{start}{self._title}: {end} after {self._seconds():.0f} s\n")

    def advance(self, line: str) -> None:
        if self._sign in line:
            self._lines += 1

    def _tick(self) -> None:
        while not self._stop.wait(0.5):
            self._show()

    def _show(self) -> None:
        share = self._begin + (self._end - self._begin) * min(self._lines / self._expected, 0.99)
        if self._terminal:
            bar = ("█" * int(share * WIDTH)).ljust(WIDTH, "░")
            self._write(f"\r\033[K{self._title} {bar} {share:4.0%} {self._seconds():.0f} s")
            return
        now = time.monotonic()
        tenth = int(share * 10)
        if tenth > self._shown_tenth or now - self._shown_at >= QUIET_SECONDS:
            self._shown_tenth, self._shown_at = tenth, now
            self._write(f"{self._title}: {share:.0%}, {self._seconds():.0f} s\n")

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
