"""Where authors of extension modules find what they compile against."""

from __future__ import annotations

import os


def get_include() -> str:
    """The folder to give to a C or C++ compiler as include folder.

    ``#include <boc/boc_python.h>`` then gives an extension module the functions to make cowns and to
    schedule behaviours in the scheduler of the program that imports it. There is nothing to link.
    """
    return os.path.join(os.path.dirname(__file__), "include")


def get_sources() -> list[str]:
    """Source files that an extension module has to compile in: none, an empty list.

    For build scripts that were written for bocpy, which has some.
    """
    return []
