"""apt with folders of its own: needs no root, and leaves the machine's apt as it is.

The machine's configuration (mirrors, proxies, keyrings) holds here too; apt
verifies signatures and checksums as it always does.
"""

import re
import shutil
import subprocess
from pathlib import Path

from .command import clean_environment, run_logged
from .messages import SetupError


class PrivateApt:
    """apt with state, cache and lists under `folder`.

    `sources` are the lines of a sources list to use in place of the machine's.
    """

    def __init__(self, folder: Path, log: Path, sources: list[str] | None = None) -> None:
        self._log = log
        for inner in ("state/lists/partial", "cache/archives/partial"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        settings = {
            "Dir::State": folder / "state",
            "Dir::Cache": folder / "cache",
            "Dir::State::status": "/var/lib/dpkg/status",
            # A cache folder below a private home is closed to apt's own user.
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "1",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        if sources is not None:
            listed = folder / "sources.list"
            listed.write_text("".join(line + "\n" for line in sources))
            settings["Dir::Etc::SourceList"] = listed
            settings["Dir::Etc::SourceParts"] = "/dev/null"
        self._options = [
            part for key, value in settings.items() for part in ("-o", f"{key}={value}")
        ]

    def update(self) -> None:
        """Fetches what the archives list."""
        try:
            self.get("update")
        except SetupError:
            # One bad entry in the sources spoils the status, not the others.
            pass

    def get(self, *arguments: str, folder: Path | None = None) -> None:
        """`apt-get` with these arguments, into the log; raises SetupError."""
        run_logged(
            ["apt-get", *self._options, "--yes", "--quiet", *arguments],
            self._log,
            folder=folder,
            environment={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )

    def ask(self, program: str, *arguments: str) -> str:
        """The output of `apt-get` or `apt-cache`, empty when it fails."""
        answer = subprocess.run(
            [program, *self._options, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment({"LC_ALL": "C"}),
        )
        return answer.stdout


def available() -> bool:
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def distribution() -> tuple[str, str]:
    """Whose packages the machine takes (`debian`, `ubuntu`, or ``), and their release."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return "", ""
    facts = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.M))
    relatives = [facts.get("ID", ""), *facts.get("ID_LIKE", "").split()]
    family = next((name for name in relatives if name in ("debian", "ubuntu")), "")
    return family, facts.get("UBUNTU_CODENAME") or facts.get("VERSION_CODENAME", "")


def mirrors(apt: PrivateApt) -> list[str]:
    """The archives that the machine's sources name, the distribution's own first."""
    # What an update would fetch is known before the first update has been made.
    planned = apt.ask("apt-get", "update", "--print-uris")
    uris = re.findall(r"^'(\S+?)/dists/(\S+?)/InRelease'", planned, re.M)
    _, release = distribution()
    suites: dict[str, set[str]] = {}
    for archive, suite in uris:
        suites.setdefault(archive, set()).add(suite)

    def foreignness(archive: str) -> tuple[bool, bool]:
        # Other archives may use the release's name too, but hardly its updates'.
        known = suites[archive]
        return (f"{release}-updates" not in known, release not in known)

    return sorted(suites, key=foreignness)
