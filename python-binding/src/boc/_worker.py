"""What the interpreter of a worker begins with, and ends with."""

from __future__ import annotations

import _thread
import contextlib
import importlib.machinery
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from boc import _module_cowns, _shipping
from boc._boc import (  # type: ignore[attr-defined,unused-ignore]
    ask,
    current_worker,
    flush_after_behaviour,
    set_importing,
    tell,
)

Settings = dict[str, Any]


def prepare(settings: Settings) -> None:
    """Make this interpreter like the main one, as far as programs look at that.

    Again for each pool that it serves.
    """
    sys.argv[:] = settings["argv"]
    sys.dont_write_bytecode = settings["dont_write_bytecode"]
    # Who needs a value that lives here, while a behaviour runs, waits so long at the most.
    sys.setswitchinterval(0.0001)
    flush()
    for name in "stdout", "stderr":
        setattr(sys, name, getattr(sys, f"__{name}__"))
        _write_at_once(getattr(sys, name))
    if sys.version_info < (3, 13):
        # It takes the extension module behind datetime for granted, which cannot be imported here; without it
        # zoneinfo uses what is written in Python.
        sys.modules.setdefault("_zoneinfo", None)  # type: ignore[arg-type]
    _take_over(settings)
    for name, connect in _CONNECT.items():
        if name in sys.modules:
            connect(sys.modules[name])
    if not any(isinstance(finder, _Hook) for finder in sys.meta_path):
        # Not derived from what importlib.abc has, which takes as long to import as all else here.
        sys.meta_path.insert(0, _Hook())  # type: ignore[arg-type,unused-ignore]
        sys.meta_path.append(_FromMain())  # type: ignore[arg-type,unused-ignore]


def adapt() -> None:
    """Take over once more what has changed in the main interpreter."""
    with contextlib.suppress(RuntimeError):  # it ends
        before = _settings.get("log_level")
        _take_over(ask("settings", None))
        if "logging" in sys.modules and _settings["log_level"] != before:
            sys.modules["logging"].root.setLevel(_settings["log_level"])


def _take_over(settings: Settings) -> None:
    """The streams, unless a body has put others there, and the environment."""
    for name in "stdout", "stderr":
        now, own = getattr(sys, name), getattr(sys, f"__{name}__")
        if name in settings["forward"]:
            if now is own:
                setattr(sys, name, _Forward(name))
        elif isinstance(now, _Forward):
            now.flush()
            setattr(sys, name, own)
    before, environment = _settings.get("environment"), settings["environment"]
    if before is None:
        before = dict(os.environ)
    _change_environment(before, environment)
    _settings.update(settings)


def _change_environment(before: dict[str, str], now: dict[str, str]) -> None:
    """Change only what has changed there. The environment of the process is what it is."""
    own: Any = os.environ
    for name, value in now.items():
        if before.get(name) != value:
            own._data[own.encodekey(name)] = own.encodevalue(value)
    for name in before.keys() - now.keys():
        own._data.pop(own.encodekey(name), None)


def finish() -> None:
    """Wait for threads, say what has not been said yet, and let go of what is remembered."""
    # Python waits for those of `threading` alone, and breaks if others are there.
    while _thread._count():
        time.sleep(0.005)
    for stream in sys.stdout, sys.stderr:
        with contextlib.suppress(AttributeError, ValueError, OSError):  # none, closed, full
            stream.flush()
    _shipping.forget()
    _disconnect_threading()


def flush() -> None:
    """Send on what was begun."""
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, _Forward):
            stream.flush()


def _write_at_once(stream: Any) -> None:
    """Line by line, as what several interpreters write goes to one place."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        stream.reconfigure(line_buffering=True)


class _Forward(io.TextIOBase):
    """A stream that the program has replaced in the main interpreter, which writes there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        if lines:
            tell(("write", (self._name, "\n".join(lines) + "\n")))
        if self._line:
            flush_after_behaviour()
        return len(text)

    def flush(self) -> None:
        if self._line:
            tell(("write", (self._name, self._line)))
            self._line = ""


_settings: Settings = {}


class _Hook:
    """Connects modules to the program when they are imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        connect = _CONNECT.get(name)
        if connect is None:
            if name.partition(".")[0] in _NOT_OF_THE_PROGRAM:
                return None
            connect = _connect_cowns
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        return _with(connect, spec)


def _with(
    connect: Callable[[Any], None], spec: importlib.machinery.ModuleSpec | None
) -> importlib.machinery.ModuleSpec | None:
    """A spec whose module is connected to the program; none if it is not a module of Python."""
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        return None
    execute = spec.loader.exec_module

    def and_connect(module: ModuleType) -> None:
        set_importing(True)
        try:
            execute(module)
        finally:
            set_importing(False)
        connect(module)

    spec.loader.exec_module = and_connect  # type: ignore[method-assign]
    return spec


class _FromMain:
    """Finds modules, as the last one that is asked, where the program has loaded them from.

    A program can load a module from any file, as pytest does with ``--import-mode=importlib``, and give it a name by
    which nobody would find it.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in _NOT_OF_THE_PROGRAM:
            return None
        try:
            place = ask("place", name)
        except RuntimeError:  # the main interpreter ends
            return None
        if place is None:
            return None
        import importlib.util

        file, inside = place
        if file is None:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = inside
            return spec
        found = importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=inside
        )
        return _with(_connect_cowns, found) or found


def _connect_logging(logging: Any) -> None:
    """Have its records handled by the main interpreter."""
    logging.root.setLevel(_settings["log_level"])
    if any(isinstance(handler, _Handler) for handler in logging.root.handlers):
        return

    class Handler(logging.Handler, _Handler):  # type: ignore[misc]
        def emit(self, record: Any) -> None:
            try:
                attributes = dict(record.__dict__)
                # As a text, since arguments and exceptions need not be able to leave.
                attributes["msg"], attributes["args"] = record.getMessage(), None
                if record.exc_info and not record.exc_text:
                    attributes["exc_text"] = logging.Formatter().formatException(record.exc_info)
                attributes["exc_info"] = None
                tell(("log", attributes))
            except Exception:
                self.handleError(record)

    logging.root.addHandler(Handler())


class _Handler:
    """Marks the handler that is there once."""


def _connect_threading(threading: Any) -> None:
    """Name the thread, of which that module knows nothing."""
    threading.current_thread().name = current_worker()


def _disconnect_threading() -> None:
    """Let go of what CPython 3.13 complains about when the interpreter ends."""
    local = getattr(sys.modules.get("threading"), "_thread_local_info", None)
    with contextlib.suppress(AttributeError):
        del local._track_dummy_thread_ref  # type: ignore[union-attr]


def _connect_cowns(module: Any) -> None:
    """Put the program's own cowns in the place of those that the module has just made here."""
    if _module_cowns.find(module):
        with contextlib.suppress(RuntimeError):  # some of what lies beside them stays there
            _module_cowns.put(module, ask("cowns", module.__name__))


def _connect_pydatetime(module: Any) -> None:
    """Have its classes say that they are those of ``datetime``, by which name they are found everywhere.

    They are used where the extension module behind ``datetime`` cannot be imported (CPython 3.12), and arrive as what
    another interpreter has by that name. From 3.13 on they say it themselves.
    """
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, type):
            thing.__module__ = "datetime"

    def reduce(timezone: Any) -> Any:
        return type(timezone), timezone.__getinitargs__()

    # It would pickle its slots as well, which that of the extension module does not have.
    module.timezone.__reduce__ = reduce


_NOT_OF_THE_PROGRAM = sys.stdlib_module_names | {"boc", "cloudpickle"}

_CONNECT: dict[str, Callable[[Any], None]] = {
    "_pydatetime": _connect_pydatetime,
    "logging": _connect_logging,
    "threading": _connect_threading,
}
