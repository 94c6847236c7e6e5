"""The command line: options, what is run, and the exit status."""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import sysconfig
import warnings
from collections.abc import Sequence
from importlib.util import find_spec

from .export import as_json
from .report import Inconsistent
from .sources import Selection, select, standard_library
from .timing import Way, identical, measure, ways

# What shells report of a program that Ctrl-C ended.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    # Once, for all threads: catch_warnings around each parse would not be
    # safe, since before 3.14 the filters belong to the whole process.
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        # File names hold what they like; a narrow terminal encoding may not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(options)
    except Inconsistent as error:
        print(f"scan.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (``head``, say) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: the scan was not finished.", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # An orderly exit would first wait for the files that are queued.
        os._exit(INTERRUPTED)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scan.py",
        description="Scan Python code with boc, and compare with a plain loop.",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        default=standard_library(),
        help="a folder, or one file (default: the standard library, %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="workers of the parallel run (default: one per core, %(default)s)",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the first N files")
    parser.add_argument(
        "--rounds", type=_positive, default=1, metavar="N", help="best of N runs (default: 1)"
    )
    parser.add_argument(
        "--threads",
        action="store_true",
        help="compare with as many bare threads, the files dealt out by hand",
    )
    parser.add_argument(
        "--gc",
        action="store_true",
        help="leave the cyclic garbage collector on during the runs",
    )
    parser.add_argument(
        "--top", type=_positive, default=10, metavar="N", help="rows per table (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="everything as JSON, no tables")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    # lexists: what a broken link lacks is for the report to say.
    if not os.path.lexists(options.folder):
        parser.error(f"no such file or folder: {options.folder}")
    for module in ("boc",) if options.json and options.no_progress else ("boc", "rich"):
        if find_spec(module) is None:
            parser.error(f"the package {module!r} is not installed in {sys.executable}")
    return options


def _run(options: argparse.Namespace) -> int:
    selection = select(options.folder, options.limit)
    if not selection.sources:
        for failure in selection.failures:
            print(f"{failure.name}: {failure.kind}: {failure.detail}", file=sys.stderr)
        print(f"scan.py: no Python files in {selection.root}", file=sys.stderr)
        return 1
    compared = ways(
        selection,
        workers=sorted({1, options.workers}),
        threads=options.workers if options.threads else None,
    )
    measure(selection, compared, options.rounds, options.gc, not options.no_progress)
    same = identical(compared)
    _show(options, selection, compared, same)
    nothing = compared[0].reports[0].scanned == 0
    if nothing:
        print("scan.py: none of the files could be scanned", file=sys.stderr)
    return 1 if nothing or not same else 0


def _show(
    options: argparse.Namespace, selection: Selection, compared: list[Way], same: bool
) -> None:
    report = compared[0].reports[0]
    if options.json:
        json.dump(as_json(report, compared, same, _facts(selection)), sys.stdout, indent=1)
        print(flush=True)
        return

    from rich.console import Console

    from . import display

    console = Console()
    display.show_report(report, console, options.top)
    display.show_times(compared, same, _setting(options), console)


def _facts(selection: Selection) -> dict[str, object]:
    import boc

    return {
        "folder": selection.root,
        "bytes": selection.size,
        "python": platform.python_version(),
        "free_threaded": _is_free_threaded(),
        "gil": _has_gil(),
        "backend": boc.backend(),
        "cores": os.cpu_count(),
    }


def _setting(options: argparse.Namespace) -> str:
    """The circumstances without which the times mean nothing."""
    import boc

    if not _has_gil():
        build = "free-threaded, without GIL"
    elif _is_free_threaded():
        build = "free-threaded, but its GIL is on: one thread runs at a time"
    else:
        build = "with GIL"
    backend = boc.backend()
    if _has_gil() and backend == "direct":
        backend += ", serialised by the GIL"
    collector = "on" if options.gc else "off during each run, for all ways alike"
    return (
        f"Python {platform.python_version()}, {build}; backend of boc: {backend}; "
        f"{os.cpu_count()} cores; cyclic garbage collector {collector}."
    )


def _is_free_threaded() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def _has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number
