"""A folder that libboc is put into, and taken out of again."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from setup.messages import SetupError

from .layout import Copy, Layout, Link, Text

MANIFEST = PurePosixPath("share/boc/installed.txt")
HEADING = "# What `make install` of boc has put here; `make uninstall` removes it.\n"


class Prefix:
    """`folder` as it will be called, below `destdir` for now if that is given."""

    def __init__(self, folder: str, destdir: str) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.staged = bool(destdir)
        staging = Path(destdir).expanduser().absolute() if destdir else Path("/")
        self.place = staging / self.folder.relative_to("/")

    def check_writable(self) -> None:
        """Raises SetupError early, before minutes go into compiling."""
        there = next(folder for folder in (self.place, *self.place.parents) if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise SetupError(
                f"{there} cannot be written\n"
                "choose another folder:   make install PREFIX=$HOME/.local\n"
                "or copy the files as root:   make install "
                f"PREFIX={self.folder} DESTDIR=/tmp/boc && sudo cp -R /tmp/boc/. /"
            )

    def fill(self, files: Layout) -> None:
        """Puts the files there, in place of what was installed before."""
        before, made = self.installed(), self.folders_made()
        places = [*files, MANIFEST]
        new = {
            folder
            for place in places
            for folder in place.parents
            if not (self.place / folder).exists()
        }
        # The list first, so that what is interrupted can be removed.
        made = made | new
        listed = [*map(str, places), *(f"{folder}/" for folder in deepest_first(made))]
        self.put(MANIFEST, Text(HEADING + "".join(f"{line}\n" for line in listed)))
        for place, file in files.items():
            self.put(place, file)
        for place in before - set(places):
            (self.place / place).unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes what was installed, and folders made for that if nothing else is there."""
        installed, made = self.installed(), self.folders_made()
        if not installed:
            raise SetupError(f"{self.place} holds no libboc that `make install` has put there")
        for place in installed:
            (self.place / place).unlink(missing_ok=True)
        for folder in map(self.place.joinpath, deepest_first(made)):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def put(self, place: PurePosixPath, file: Copy | Link | Text) -> None:
        """Puts a file there at once, since programs may have the one before mapped into memory."""
        target = self.place / place
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        new.unlink(missing_ok=True)
        if isinstance(file, Link):
            new.symlink_to(file.target)
        elif isinstance(file, Text):
            new.write_text(file.content)
            new.chmod(0o644)
        else:
            copy(file, new)
            new.chmod(file.mode)
        new.replace(target)

    def installed(self) -> set[PurePosixPath]:
        return {PurePosixPath(line) for line in self.manifest() if not line.endswith("/")}

    def folders_made(self) -> set[PurePosixPath]:
        return {PurePosixPath(line) for line in self.manifest() if line.endswith("/")}

    def manifest(self) -> Iterator[str]:
        try:
            text = (self.place / MANIFEST).read_text()
        except FileNotFoundError:
            return
        yield from (line for line in text.splitlines() if not line.startswith("#"))


def copy(file: Copy, target: Path) -> None:
    strip = shutil.which(os.environ.get("STRIP") or "strip") if file.strip else None
    if strip is None:
        shutil.copyfile(file.source, target)
    else:
        subprocess.run([strip, "--strip-debug", "-o", target, file.source], check=True)


def deepest_first(folders: set[PurePosixPath]) -> list[PurePosixPath]:
    return sorted(folders, key=lambda folder: (-len(folder.parts), folder))
