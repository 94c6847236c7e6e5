"""Where things are kept: in the clone, and in the user's cache folder."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "python-binding"
VENVS = REPOSITORY / ".venvs"
TARGET = REPOSITORY / "target"
INCLUDE = REPOSITORY / "include"
CAPI_TESTS = REPOSITORY / "tests" / "capi"
NO_STD = REPOSITORY / "tests" / "no-std" / "Cargo.toml"


def cache() -> Path:
    """The folder for what one machine needs once, however many clones it has."""
    chosen = os.environ.get("BOC_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    parent = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(parent).absolute() / "boc"


def built_interpreters() -> Path:
    """The folder of the interpreters that these scripts have built."""
    return cache() / "pythons"
