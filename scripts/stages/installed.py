"""libboc as a user has it: installed, and examples built with nothing else in sight."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from setup.command import clean_environment
from setup.places import REPOSITORY, TARGET

from .stage import Command, Failure, Machine

EXAMPLES = REPOSITORY / "capi-examples"
VERSIONS = REPOSITORY / "tests" / "installed"
STRICT = "-O2 -Wall -Wextra -Wpedantic -Werror"

# What the programs get: less than by default, but enough for all cores.
SMALL = {
    "bank": '"$0" -a 50 -t 20000',
    "wordcount": '"$0" "{prefix}/include" .',
    "event_loop": 'printf "one\\ntwo\\nthree" | "$0"',
}


def capi_examples(machine: Machine) -> Iterator[Command]:
    """Installs, builds in all ways, moves what was installed, builds again, uninstalls."""
    cmake = tool(machine, "cmake")
    pkgconf = tool(machine, "pkg-config", "pkgconf")
    if shutil.which("c++") is None:
        print("there is no C++ compiler, so the examples in C++ are left out", flush=True)
    place = TARGET / "installed"
    shutil.rmtree(place, ignore_errors=True)
    # Outside of the repository, so that no header is found by chance.
    with tempfile.TemporaryDirectory(prefix="boc-examples-") as scratch:
        here, moved = place / "here", place / "moved"
        (here / "lib").mkdir(parents=True)
        foreign = here / "lib" / "foreign.txt"
        foreign.write_text("not ours\n")

        yield Command(("make", "install", f"PREFIX={here}"))
        check_links(here)
        yield from with_pkgconf(pkgconf, here, Path(scratch, "pkgconf"))
        yield from with_pkgconf(pkgconf, here, Path(scratch, "static"), static=True)
        yield from with_cmake(cmake, here, Path(scratch, "cmake"))
        yield from with_cmake(cmake, here, Path(scratch, "cmake-static"), static=True)
        yield Command(
            (
                *(cmake, "-S", VERSIONS, "-B", Path(scratch, "versions")),
                *(f"-DCMAKE_PREFIX_PATH={here}", f"-DINSTALLED={version(here)}"),
            )
        )

        here.rename(moved)
        yield from with_pkgconf(pkgconf, moved, Path(scratch, "pkgconf-moved"))
        yield from with_cmake(cmake, moved, Path(scratch, "cmake-moved"))

        yield Command(("make", "uninstall", f"PREFIX={moved}"))
        check_only(moved, moved / "lib" / foreign.name)

        # As for a package, in the manner of Debian: the folder of libraries is further away.
        libdir = "lib/some-machine"
        yield Command(
            ("make", "install", "PREFIX=/usr", f"LIBDIR={libdir}", f"DESTDIR={place / 'package'}")
        )
        packaged = place / "package" / "usr"
        check_links(packaged, libdir)
        yield from with_pkgconf(pkgconf, packaged, Path(scratch, "packaged"), libdir)
        yield Command(("make", "uninstall", "PREFIX=/usr", f"DESTDIR={place / 'package'}"))
        if packaged.exists():
            raise Failure(f"{packaged} is still there after it was uninstalled")


def tool(machine: Machine, *names: str) -> str | Path:
    """A program of this machine, or else of PyPI; the last name is what it is called there."""
    for name in names:
        if shutil.which(name):
            return name
    return machine.bare_pythons["subinterpreters"].program(names[-1])


def copy_examples(scratch: Path) -> None:
    """All but what somebody may have built there."""
    shutil.copytree(EXAMPLES, scratch, ignore=shutil.ignore_patterns("build"))


def with_pkgconf(
    pkgconf: str | Path,
    prefix: Path,
    scratch: Path,
    libdir: str = "lib",
    *,
    static: bool = False,
) -> Iterator[Command]:
    copy_examples(scratch)
    yield Command(
        (
            *("make", "--always-make", f"CFLAGS={STRICT}", f"CXXFLAGS={STRICT}"),
            f"PKG_CONFIG={pkgconf}{' --static' if static else ''}",
            *(["LDFLAGS=-static"] if static else []),
        ),
        {"PKG_CONFIG_PATH": f"{prefix / libdir / 'pkgconfig'}"},
        scratch,
    )
    yield from run_all(scratch, prefix, None if static else prefix / libdir)


def with_cmake(
    cmake: str | Path, prefix: Path, scratch: Path, *, static: bool = False
) -> Iterator[Command]:
    copy_examples(scratch)
    yield Command(
        (
            *(cmake, "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}"),
            *(f"-DCMAKE_C_FLAGS={STRICT}", f"-DCMAKE_CXX_FLAGS={STRICT}"),
            f"-DBOC_STATIC={'ON' if static else 'OFF'}",
        ),
        folder=scratch,
    )
    yield Command((cmake, "--build", "build"), folder=scratch)
    yield from run_all(scratch / "build", prefix, None if static else prefix / "lib")


def run_all(folder: Path, prefix: Path, library: Path | None) -> Iterator[Command]:
    """Runs the programs there, after a look at where they find the library, if they need it at all."""
    cxx = ["*.cc"] if shutil.which("c++") else []
    for source in sorted(file for kind in ("*.c", *cxx) for file in EXAMPLES.glob(kind)):
        program = folder / source.stem
        if loaded(program) != (library and (library / "libboc.so.0").resolve()):
            raise Failure(f"{program} loads {loaded(program)}, and not that of {library}")
        line = SMALL.get(source.stem, '"$0"').replace("{prefix}", str(prefix))
        yield Command(("sh", "-c", line, program), folder=folder)


def loaded(program: Path) -> Path | None:
    """The shared libboc that a program would be given, as the dynamic loader says."""
    # A static program makes ldd fail.
    found = re.search(r"^\s*libboc\S* => (\S+)", told("ldd", program, may_fail=True), re.M)
    return Path(found[1]).resolve() if found else None


def check_links(prefix: Path, libdir: str = "lib") -> None:
    """The soname is a name under which the library lies there, and has the major version only."""
    folder, major = prefix / libdir, version(prefix, libdir).split(".")[0]
    names = told("readelf", "--dynamic", "--wide", folder / "libboc.so")
    soname = re.search(r"Library soname: \[(.*)\]", names)
    if soname is None or soname[1] != f"libboc.so.{major}":
        raise Failure(f"the soname of {folder / 'libboc.so'} is {soname and soname[1]}")
    real = folder / f"libboc.so.{version(prefix, libdir)}"
    for name in ("libboc.so", soname[1]):
        if (folder / name).resolve() != real.resolve() or real.is_symlink():
            raise Failure(f"{folder / name} does not lead to {real}")


def check_only(prefix: Path, expected: Path) -> None:
    left = [path for path in prefix.rglob("*") if not path.is_dir()]
    if left != [expected]:
        raise Failure(f"after it was uninstalled, {prefix} has {left}")


def version(prefix: Path, libdir: str = "lib") -> str:
    """The version that pkg-config would tell."""
    text = (prefix / libdir / "pkgconfig" / "boc.pc").read_text()
    return text.split("Version: ")[1].split()[0]


def told(*words: str | Path, may_fail: bool = False) -> str:
    answer = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=not may_fail,
        env=clean_environment({"LC_ALL": "C"}),
    )
    return answer.stdout
