"""The programs behind the scripts of this folder; see host-python for what runs them."""

import sys
from importlib import import_module

from setup.messages import tell

PROGRAMS = {
    "bench-c": "bench_c",
    "install": "libboc.install",
    "pythons": "setup.pythons",
    "test": "stages.run",
    "uninstall": "libboc.uninstall",
}

tell(import_module(PROGRAMS[sys.argv[1]]).main, sys.argv[2:])
