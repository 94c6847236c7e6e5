"""libboc as cargo builds it, and what whoever links it has to know."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from setup.command import clean_environment
from setup.messages import SetupError, say
from setup.package import check_tools
from setup.places import REPOSITORY

# What `cc` adds by itself, in the kind that goes with the rest of the program.
IMPLIED = {"-lgcc_s", "-lc"}


@dataclass(frozen=True)
class Library:
    """Both kinds of the library."""

    version: str
    shared: Path
    static: Path
    native_flags: tuple[str, ...]
    """What a program needs besides the static one."""

    @property
    def soname(self) -> str:
        return soname(self.version)

    @property
    def pointer_bytes(self) -> int:
        """From the head of an ELF file."""
        return {1: 4, 2: 8}[self.shared.read_bytes()[4]]


def build(*, debug: bool = False) -> Library:
    """Builds the library, in release if nothing else is asked for; raises SetupError."""
    check_tools()
    if sys.platform in ("darwin", "win32", "cygwin"):
        raise SetupError(f"libboc is installed where libraries are ELF files, not on {sys.platform}")
    say("building libboc …")
    number = version()
    done = subprocess.run(
        [
            *("cargo", "rustc", "--package", "boc-capi", "--lib"),
            *([] if debug else ["--release"]),
            # Without the rlib, beside which Cargo does not optimise the library as a whole.
            "--crate-type=cdylib,staticlib",
            *("--message-format=json", "--", "--print=native-static-libs"),
            # Not in a build script, whose word cargo passes on to what depends on the crate: the
            # Python extension would bear the name, too.
            f"--codegen=link-arg=-Wl,-soname,{soname(number)}",
            # Its threads may still run when a program closes the library.
            "--codegen=link-arg=-Wl,-z,nodelete",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=clean_environment(),
    )
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = [entry["message"] for entry in messages if entry["reason"] == "compiler-message"]
    if done.returncode != 0:
        errors = [message["rendered"] for message in told if message["level"] == "error"]
        raise SetupError(f"cargo failed with status {done.returncode}\n{''.join(errors)}")
    made = next(
        entry
        for entry in messages
        if entry["reason"] == "compiler-artifact" and entry["target"]["name"] == "boc"
    )
    files = {file.suffix: file for file in map(Path, made["filenames"])}
    return Library(number, files[".so"], files[".a"], native_flags(told))


def soname(version: str) -> str:
    """The name under which programs look for the shared library, whatever its minor version."""
    return f"libboc.so.{version.split('.')[0]}"


def version() -> str:
    """That of boc-capi."""
    answer = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version=1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=clean_environment(),
    )
    packages = json.loads(answer.stdout)["packages"]
    return str(next(entry["version"] for entry in packages if entry["name"] == "boc-capi"))


def native_flags(messages: list[dict[str, str]]) -> tuple[str, ...]:
    """From what rustc was told to print."""
    start = "native-static-libs: "
    for message in messages:
        if message["message"].startswith(start):
            flags = message["message"].removeprefix(start).split()
            return tuple(flag for flag in flags if flag not in IMPLIED)
    raise SetupError("rustc did not say which libraries the static one needs")
