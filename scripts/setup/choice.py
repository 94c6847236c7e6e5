"""Which interpreter serves each backend, decided once and kept while nothing changes."""

import json
from pathlib import Path

from .cpython_build import build
from .interpreter import Interpreter
from .messages import SetupError, say
from .places import VENVS
from .search import Search, fingerprint

ADVICE = {
    "direct": "a free-threaded CPython, such as `uv python install 3.14t` or "
    "`pyenv install 3.14t` gives",
    "subinterpreters": "a CPython >= 3.12 with its headers, such as `uv python install 3.14` or "
    "`pyenv install 3.14` gives",
}
VARIABLE = {"direct": "BOC_PYTHON", "subinterpreters": "BOC_PYTHON_GIL"}


def choose() -> dict[str, Interpreter]:
    """The interpreter of each kind, built if there is none; raises SetupError."""
    remembered = recall()
    if remembered is not None:
        return remembered
    say("looking for interpreters …")
    search = Search().run()
    chosen = {kind: search.found.get(kind) or make(kind, search) for kind in ADVICE}
    for kind, interpreter in chosen.items():
        say(f"{kind}: {interpreter}")
    remember(chosen)
    return chosen


def make(kind: str, search: Search) -> Interpreter:
    for program, why in sorted(search.unfit.items()):
        say(f"  passed over {program}: it {why}")
    try:
        return build(free_threaded=kind == "direct")
    except SetupError as error:
        raise SetupError(
            f"{error}\ninstall {ADVICE[kind]}, and if it is not on PATH, "
            f"name it in {VARIABLE[kind]}"
        ) from None


def memory() -> Path:
    return VENVS / "interpreters.json"


def remember(chosen: dict[str, Interpreter]) -> None:
    entries = {
        kind: {
            "executable": str(interpreter.executable),
            "version": interpreter.version,
            "final": interpreter.final,
            "free_threaded": interpreter.free_threaded,
        }
        for kind, interpreter in chosen.items()
    }
    VENVS.mkdir(exist_ok=True)
    # The fingerprint is taken now: what has just been built belongs to it.
    memory().write_text(json.dumps({"search": fingerprint(), "chosen": entries}, indent=2))


def recall() -> dict[str, Interpreter] | None:
    """The last choice, unless another search might choose differently."""
    try:
        kept = json.loads(memory().read_text())
        chosen = {
            kind: Interpreter(
                Path(entry["executable"]),
                tuple(entry["version"]),
                entry["final"],
                entry["free_threaded"],
            )
            for kind, entry in kept["chosen"].items()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if kept["search"] != fingerprint() or chosen.keys() != ADVICE.keys():
        return None
    if not all(interpreter.executable.exists() for interpreter in chosen.values()):
        return None
    return chosen
