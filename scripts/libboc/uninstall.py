"""Removes what scripts/install has put into a folder, and nothing else."""

import argparse

from setup.messages import SetupError

from . import loader
from .install import add_prefix
from .prefix import Prefix


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/uninstall", description=__doc__)
    add_prefix(parser)
    options = parser.parse_args(arguments)
    prefix = Prefix(options.prefix, options.destdir)
    try:
        prefix.clear()
    except OSError as error:
        raise SetupError(f"libboc could not be removed from {prefix.place}: {error}") from None
    print(f"libboc is no longer in {prefix.place}")
    if not prefix.staged:
        loader.refresh()
