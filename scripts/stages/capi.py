"""The C ABI: tests of its header, and the programs of tests/capi against libboc in several forms."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from setup.environment import Environment
from setup.places import CAPI_TESTS, INCLUDE, TARGET

from .stage import Command, Failure, Machine, cargo

FOLDER = TARGET / "capi"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")

# How long the fuzzer runs against each form, and how often where everything takes longer.
SECONDS = ("--runs", "1000000", "--seconds", "6")
RUNS = ("--runs", "5", "--steps", "100")


@dataclass(frozen=True)
class Form:
    """libboc, built in some way, and how programs are built and run with it."""

    name: str
    # Where cargo puts the library.
    folder: Path
    flags: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    fuzz: tuple[str, ...] = SECONDS


def capi(machine: Machine) -> Iterator[Command]:
    """Each program runs four times.

    - Against the debug build, which notices handles that were released (`BOC_CHECKED`).
    - Against the release build, which is what users have.
    - With AddressSanitizer, which sees the library's own code and the programs: rustc instruments
      for the same interface of the runtime that the C compiler's library offers. It brings
      LeakSanitizer, too. Rust's standard library is not instrumented, but its memory comes from
      `malloc`, which is. UndefinedBehaviorSanitizer sees the programs alone.
    - Under valgrind, if that is installed, which sees everything. Here handles are addresses, as
      in a release build: one that is never released is a leak. Memory that is still referred to at
      the end, by threads that live as long as the program, is none.

    mimalloc would hide from both what happens to the library's memory, so it is left out there.
    """
    forms = [
        Form("debug", FOLDER / "debug", ("-DBOC_CHECKED",)),
        Form("release", FOLDER / "release"),
        Form(
            "asan",
            FOLDER / "asan" / machine.triple / "debug",
            ("-DBOC_CHECKED", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        ),
    ]
    yield build(FOLDER)
    yield build(FOLDER, "--release")
    yield build(
        FOLDER / "asan",
        *("--no-default-features", "--target", machine.triple),
        RUSTC_BOOTSTRAP="1",
        RUSTFLAGS="-Zsanitizer=address",
    )
    if shutil.which("valgrind"):
        yield build(
            FOLDER / "valgrind", "--no-default-features", CARGO_PROFILE_DEV_DEBUG_ASSERTIONS="false"
        )
        runner = (
            *("valgrind", "--quiet", "--error-exitcode=1", "--leak-check=full"),
            *("--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"),
            # Some programs spin until another thread has done something.
            "--fair-sched=yes",
        )
        forms.append(Form("valgrind", FOLDER / "valgrind" / "debug", (), runner, RUNS))
    else:
        print("valgrind is not installed, so nothing is run under it", flush=True)

    yield from header_tests(machine.bare_pythons["subinterpreters"])
    for form in forms:
        yield from programs(form)


def build(target: Path, *options: str, **environment: str) -> Command:
    words = ("build", "--package", "boc-capi", *options)
    return cargo(*words, CARGO_TARGET_DIR=str(target), **environment)


def header_tests(environment: Environment) -> Iterator[Command]:
    libraries = [*environment.folder.glob("lib*/python*/site-packages/clang/native")]
    if not libraries:
        raise Failure(f"libclang is not in {environment.folder}")
    asked = "import sysconfig; print(sysconfig.get_path('include'))"
    python = subprocess.run(
        [environment.python, "-c", asked], capture_output=True, text=True, check=True
    ).stdout.strip()
    yield cargo(
        *("test", "--package", "boc-capi"),
        LIBCLANG_PATH=str(libraries[0]),
        CARGO_TARGET_DIR=str(FOLDER),
        # An interpreter can come without its headers.
        **({"BOC_PYTHON_INCLUDE": python} if Path(python, "Python.h").exists() else {}),
    )


def programs(form: Form) -> Iterator[Command]:
    """Compiles and runs each program of tests/capi."""
    sources = sorted([*CAPI_TESTS.glob("*.c"), *CAPI_TESTS.glob("**/*.cc")])
    c, cpp = compiler("CC", "cc", "gcc", "clang"), compiler("CXX", "c++", "g++", "clang++")
    if c is None:
        raise Failure("there is no C compiler; set CC, or install one")
    if cpp is None:
        print("there is no C++ compiler, so programs in C++ are left out", flush=True)
    for source in sources:
        program = form.folder / "programs" / source.stem
        program.parent.mkdir(exist_ok=True)
        if source.suffix == ".c":
            words = (*c, "-std=c99", "-D_GNU_SOURCE")
        elif cpp is not None:
            words = (*cpp, "-std=c++17")
        else:
            continue
        library: tuple[str | Path, ...] = ("-L", form.folder, "-lboc", f"-Wl,-rpath,{form.folder}")
        yield Command(
            (
                *(*words, *WARNINGS, "-g", "-O1", "-pthread", *form.flags),
                *("-I", INCLUDE, source, "-o", program, *library),
            )
        )
        options = form.fuzz if source.stem == "fuzz" else ()
        yield Command((*form.runner, program, *options))


def compiler(variable: str, *names: str) -> tuple[str, ...] | None:
    """The words that call a compiler: what the user says, or the first one that there is."""
    chosen = os.environ.get(variable)
    if chosen:
        return tuple(shlex.split(chosen))
    return next(((name,) for name in names if shutil.which(name)), None)
