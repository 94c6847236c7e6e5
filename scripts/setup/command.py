"""Running other programs: into a log file whose end is shown when they fail."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .messages import SetupError
from .progress import Progress

TAIL_LINES = 25

# They would make an interpreter or a build tool look at somebody else's set-up.
FOREIGN = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONDONTWRITEBYTECODE",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "__PYVENV_LAUNCHER__",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "DESTDIR",
)


def clean_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without what belongs to another Python or another make."""
    kept = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    return {**kept, **(changes or {})}


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs `command`, appends what it says to `log`; raises SetupError if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8", errors="replace") as out:
        out.write(f"$ {' '.join(map(str, command))}\n")
        out.flush()
        with subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder,
            env=clean_environment(environment),
            # A group of its own, so that what it has started ends with it.
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    out.write(line)
                    if progress is not None:
                        progress.advance(line)
            except BaseException:
                stop(process)
                raise
    if process.returncode != 0:
        raise SetupError(
            f"{command[0]} failed with status {process.returncode}; "
            f"its log is {log} and ends with\n{tail(log)}"
        )


def stop(process: subprocess.Popen[str]) -> None:
    """Ends a process that was started with a session of its own, and its children."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
