"""On what the numbers were measured."""

import os
import platform
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version


def free_threaded() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def judged_backend() -> str:
    """The backend that has targets on this interpreter."""
    return "direct" if free_threaded() else "subinterpreters"


def load() -> list[float] | None:
    return list(os.getloadavg()) if hasattr(os, "getloadavg") else None


def packages() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in ("boc", "bocpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def environment() -> dict[str, object]:
    return {
        "python": sys.version,
        "implementation": platform.python_implementation(),
        "free_threaded_build": free_threaded(),
        "gil_enabled": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "executable": sys.executable,
        "machine": platform.platform(),
        "cpu_count": os.cpu_count(),
        "packages": packages(),
    }
