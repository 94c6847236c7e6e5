"""What the set-up says, and how it fails.

Everything goes to stderr: stdout belongs to the answer of `make -s pythons`.
"""

import signal
import sys
import textwrap
from collections.abc import Callable


class SetupError(Exception):
    """A failure whose text tells the user what to do; shown without a traceback."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def tell(program: Callable[[list[str]], int | None], arguments: list[str]) -> None:
    """Runs a program to its end and leaves with its status."""
    # A terminated set-up must still stop the compilers it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        status = program(arguments) or 0
    except SetupError as error:
        first, _, rest = str(error).partition("\n")
        say(f"error: {first}")
        if rest:
            say(textwrap.indent(rest, "  "))
        status = 1
    except KeyboardInterrupt:
        say("interrupted")
        status = 130
    sys.exit(status)
