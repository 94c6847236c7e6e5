"""CPython's source, as the distribution carries it for one of its releases."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .apt import PrivateApt, distribution, mirrors
from .messages import SetupError, say
from .places import cache

# A release may be too old to have what is wanted, so the newer ones are asked
# as well. Those that an archive does not have are passed over.
SUITES = {
    "debian": ("trixie", "forky", "sid"),
    "ubuntu": ("questing", "resolute", "devel"),
}
COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
KEYRINGS = Path("/usr/share/keyrings")

# Best first. PyO3 supports free-threaded builds from 3.14 on; 3.13 is made to
# do for development.
PACKAGES = ("python3.14", "python3.15", "python3.13")


@dataclass(frozen=True)
class Source:
    """A CPython release's source archive."""

    version: str
    archive: Path


def fetch(log: Path) -> Source:
    """Downloads the best source that can be had; raises SetupError."""
    family, _ = distribution()
    if family not in SUITES:
        raise SetupError("this distribution's source packages are not known here")
    for archive in mirrors(PrivateApt(cache() / "apt/machine", log)):
        apt = PrivateApt(cache() / "apt/sources", log, sources_list(family, archive))
        say(f"asking {family}'s archive for CPython's source …")
        apt.update()
        for package, revision in offers(apt):
            source = download(apt, package, revision)
            if source is not None:
                return source
    raise SetupError(
        f"no source package of CPython could be had from {family}'s archive; the log is {log}"
    )


def sources_list(family: str, archive: str) -> list[str]:
    keyring = KEYRINGS / f"{family}-archive-keyring.gpg"
    options = f"[signed-by={keyring}] " if keyring.exists() else ""
    return [f"deb-src {options}{archive} {suite} {COMPONENTS[family]}" for suite in SUITES[family]]


def offers(apt: PrivateApt) -> Iterator[tuple[str, str]]:
    """Package and revision of what the archive lists, best first."""
    for package in PACKAGES:
        text = apt.ask("apt-cache", "showsrc", "--only-source", package)
        revisions = set(re.findall(r"^Version: (\S+)$", text, re.M))
        # A tilde marks what came before a release: alphas, betas, candidates.
        finals = [revision for revision in revisions if "~" not in upstream(revision)]
        for revision in sorted(finals, key=release_order, reverse=True):
            yield package, revision


def upstream(revision: str) -> str:
    """CPython's own version in a package's version."""
    return re.sub(r"^\d+:", "", revision).rpartition("-")[0]


def release_order(revision: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", upstream(revision))]


def download(apt: PrivateApt, package: str, revision: str) -> Source | None:
    """The source archive, or None when the mirror does not hand it out."""
    folder = cache() / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    version = upstream(revision)
    try:
        apt.get("source", "--download-only", f"{package}={revision}", folder=folder)
    except SetupError:
        return None
    archives = sorted(folder.glob(f"{package}_{version}.orig.tar.*"))
    archives = [archive for archive in archives if archive.suffix != ".asc"]
    return Source(version, archives[0]) if archives else None
