"""The C libraries that a CPython needs for ssl, zlib, ctypes and the like.

Where their development packages are not installed, private copies serve: the
distribution's own packages, unpacked into the cache folder. That takes no root
and does not change the machine.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .apt import PrivateApt
from .command import run_logged
from .messages import SetupError, say
from .places import cache

WANTED = (
    "libssl-dev",
    "zlib1g-dev",
    "libffi-dev",
    "libsqlite3-dev",
    "libbz2-dev",
    "liblzma-dev",
)


def settings(log: Path) -> list[str]:
    """What `configure` must be told to find the libraries."""
    missing = [package for package in WANTED if not installed(package)]
    if not missing:
        return []
    try:
        root = unpacked(missing, log)
    except SetupError:
        say(f"could not fetch {', '.join(missing)}; going on without (the log is {log})")
        return []
    triplet = multiarch()
    include = root / "usr/include"
    libraries = [root / "usr/lib" / triplet, root / "lib" / triplet]
    paths = " ".join(f"-L{folder} -Wl,-rpath,{folder}" for folder in libraries)
    told = [f"CPPFLAGS=-I{include} -I{include / triplet}", f"LDFLAGS={paths}"]
    if (include / "openssl").exists():
        # OpenSSL alone is looked for in a way of its own.
        told.append(f"--with-openssl={root / 'usr'}")
    return told


def installed(package: str) -> bool:
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
    )
    return answer.stdout == "installed"


def multiarch() -> str:
    """The name of the folders that hold this architecture's libraries."""
    answer = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True)
    return answer.stdout.strip() or f"{os.uname().machine}-linux-gnu"


def unpacked(packages: list[str], log: Path) -> Path:
    """The folder that holds these packages, with what they depend on."""
    root = cache() / "libraries"
    done = root / "packages"
    if done.exists() and set(packages) <= set(done.read_text().split()):
        return root
    say(f"fetching {', '.join(packages)} (into {root}; nothing is installed) …")
    apt = PrivateApt(cache() / "apt/machine", log)
    apt.update()
    with tempfile.TemporaryDirectory(prefix="libraries-", dir=cache()) as scratch:
        downloads, fresh = Path(scratch, "downloads"), Path(scratch, "root")
        (downloads / "partial").mkdir(parents=True)
        fresh.mkdir()
        download(apt, packages, downloads)
        for archive in sorted(downloads.glob("*.deb")):
            run_logged(["dpkg-deb", "--extract", archive, fresh], log)
        use_installed(fresh)
        (fresh / "packages").write_text("\n".join(packages))
        shutil.rmtree(root, ignore_errors=True)
        fresh.rename(root)
    return root


def download(apt: PrivateApt, packages: list[str], folder: Path) -> None:
    """The packages' archives, and what they need that the machine lacks."""
    try:
        apt.get(
            "install",
            "--download-only",
            "--no-install-recommends",
            "-o",
            f"Dir::Cache::archives={folder}",
            *packages,
        )
    except SetupError:
        # Where something else is broken or held back, apt resolves nothing. The
        # libraries themselves are most likely installed already.
        apt.get("download", *packages, folder=folder)


def use_installed(root: Path) -> None:
    """Points links at the machine's own shared libraries, where it has them.

    They get security updates, which a private copy does not; and a development
    package's link leads nowhere when the library itself is installed already.
    """
    triplet = multiarch()
    for folder in (Path("usr/lib") / triplet, Path("lib") / triplet):
        for link in (root / folder).glob("*.so*"):
            name = os.path.basename(os.readlink(link)) if link.is_symlink() else link.name
            machine = Path("/", folder, name)
            if machine.exists():
                link.unlink()
                link.symlink_to(machine)
