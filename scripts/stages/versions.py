"""The bindings compile for each version of Python, whether or not the machine has it."""

from collections.abc import Iterator

from setup.places import TARGET

from .stage import Command, Machine, cargo

FOLDER = TARGET / "versions"

# From the oldest that is supported to the newest that PyO3 knows of. `t` is for free-threaded. The tests run on 3.13.
VERSIONS = ("3.10", "3.11", "3.12", "3.14", "3.14t", "3.15", "3.15t")


def versions(_: Machine) -> Iterator[Command]:
    """PyO3 needs no interpreter if it is told what it would see there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for version in VERSIONS:
        described = FOLDER / f"{version}.txt"
        described.write_text(description(version))
        yield cargo(
            *("clippy", "--package", "boc-py", "--package", "boc-py-worker"),
            *("--", "-D", "warnings"),
            PYO3_CONFIG_FILE=str(described),
            CARGO_TARGET_DIR=str(FOLDER),
        )


def description(version: str) -> str:
    lines = [
        "implementation=CPython",
        f"version={version.removesuffix('t')}",
        "shared=true",
        "abi3=false",
        f"build_flags={'Py_GIL_DISABLED' if version.endswith('t') else ''}",
        "suppress_build_script_link_lines=true",
    ]
    return "\n".join(lines) + "\n"
