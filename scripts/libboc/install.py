"""Builds libboc and installs it."""

import argparse
import subprocess
from pathlib import PurePosixPath

from setup.messages import SetupError

from . import loader
from .build import build
from .layout import layout
from .prefix import Prefix


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/install", description=__doc__)
    add_prefix(parser)
    parser.add_argument(
        "--libdir", default="lib", help="the folder of libraries, below the prefix (%(default)s)"
    )
    parser.add_argument(
        "--debug", action="store_true", help="the build that notices handles that were released"
    )
    options = parser.parse_args(arguments)
    prefix = Prefix(options.prefix, options.destdir)
    libdir = below(prefix, options.libdir)
    prefix.check_writable()
    library = build(debug=options.debug)
    try:
        prefix.fill(layout(library, libdir))
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"libboc could not be put into {prefix.place}: {error}") from None
    print(f"libboc {library.version} is installed in {prefix.place}")
    if not prefix.staged:
        introduce(prefix, libdir)


def add_prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prefix", default="/usr/local", help="where to (%(default)s)")
    parser.add_argument(
        "--destdir", default="", help="a folder that stands for / until a package is made of it"
    )


def below(prefix: Prefix, libdir: str) -> PurePosixPath:
    """The folder of libraries as seen from the prefix: all is found from each other's place."""
    relative = PurePosixPath(libdir)
    if relative.is_absolute() and relative.is_relative_to(prefix.folder):
        relative = relative.relative_to(prefix.folder)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise SetupError(f"LIBDIR must be a folder below {prefix.folder}, not {libdir}")
    return relative


def introduce(prefix: Prefix, libdir: PurePosixPath) -> None:
    """Says how programs find the library, which the system's own folders make needless."""
    folder = prefix.folder / libdir
    if loader.looks_in(folder):
        loader.refresh()
    else:
        print(f"export PKG_CONFIG_PATH={folder}/pkgconfig LD_LIBRARY_PATH={folder}")
        print(f"cmake … -DCMAKE_PREFIX_PATH={prefix.folder}")
    print("cc program.c $(pkg-config --cflags --libs boc)")
