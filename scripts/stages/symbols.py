"""Which code a program contains, by the names that the compiler left in it."""

import re
from pathlib import Path

from .stage import Failure

# How Rust's two manglings write the crate `std`, at the start of a name or within.
STD = re.compile(rb"_ZN3std\d|[$.]std\.\.|_R\w*?C(?:s\w+?_)?3std")
# Without our own names, that there are no others would say nothing.
OURS = re.compile(rb"8boc_core")


def without_std(program: Path) -> None:
    """Raises Failure if code of the standard library is in the program."""
    content = program.read_bytes()
    if not OURS.search(content):
        raise Failure(f"{program} has no symbols, so nothing can be said about it")
    found = STD.search(content)
    if found:
        name = content[found.start() : found.start() + 80].split(b"\0")[0].decode(errors="replace")
        raise Failure(f"{program} contains the standard library: {name}")
