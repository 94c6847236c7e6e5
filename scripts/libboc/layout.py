"""Which files an installed libboc consists of, and where each of them is."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from setup.places import REPOSITORY

from .build import Library

HEADERS = REPOSITORY / "include" / "boc"
TEMPLATES = REPOSITORY / "crates" / "boc-capi" / "install"


@dataclass(frozen=True)
class Copy:
    source: Path
    mode: int = 0o644
    # The debug information is nearly all about Rust's standard library, and takes seven times as
    # much room as the rest. The names of functions stay, for debuggers and profilers.
    strip: bool = False


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Text:
    content: str


Layout = dict[PurePosixPath, Copy | Link | Text]


def layout(library: Library, libdir: PurePosixPath) -> Layout:
    """The files by their places below the prefix."""
    shared = f"libboc.so.{library.version}"
    files: Layout = {
        libdir / shared: Copy(library.shared, 0o755, strip=True),
        libdir / library.soname: Link(shared),
        libdir / "libboc.so": Link(library.soname),
        libdir / "libboc.a": Copy(library.static, strip=True),
    }
    for header in sorted([*HEADERS.glob("*.h"), *HEADERS.glob("*.hpp")]):
        files[PurePosixPath("include/boc") / header.name] = Copy(header)

    pkgconfig, cmake = libdir / "pkgconfig", libdir / "cmake" / "boc"
    major, minor, _ = library.version.split(".")
    values = {
        "VERSION": library.version,
        "VERSION_MAJOR": major,
        "VERSION_SHORT": f"{major}.{minor}",
        "LIBDIR": str(libdir),
        "SHARED": shared,
        "SONAME": library.soname,
        "NATIVE_FLAGS": " ".join(library.native_flags),
        "NATIVE_LIST": ";".join(library.native_flags),
        "SIZEOF_VOID_P": str(library.pointer_bytes),
        "PREFIX_FROM_PKGCONFIG": os.path.relpath(".", pkgconfig),
        "PREFIX_FROM_CMAKE": os.path.relpath(".", cmake),
    }
    for template in sorted(TEMPLATES.glob("*.in")):
        folder = cmake if template.suffixes[-2] == ".cmake" else pkgconfig
        files[folder / template.stem] = Text(filled(template, values))
    return files


def filled(template: Path, values: dict[str, str]) -> str:
    """The template with a value in place of each @NAME@."""
    text = template.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
