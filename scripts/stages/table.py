"""The stages, in the order in which they run: cheap and telling ones first.

To add one, add an entry to `STAGES`.
"""

from collections.abc import Iterator
from pathlib import Path

from setup.environment import Environment
from setup.interpreter import OLDEST_GIL
from setup.package import pyo3_settings
from setup.places import NO_STD, PACKAGE, REPOSITORY, TARGET

from .capi import capi
from .installed import capi_examples
from .stage import Command, Machine, Skipped, Stage, cargo
from .symbols import without_std
from .versions import versions


def fmt(_: Machine) -> Iterator[Command]:
    yield cargo("fmt", "--all", "--check")
    yield cargo("fmt", "--manifest-path", NO_STD, "--check")


def clippy(machine: Machine) -> Iterator[Command]:
    # PyO3 looks at an interpreter even if nothing is linked to it.
    environment = machine.bare_pythons["subinterpreters"]
    yield cargo(
        *("clippy", "--workspace", "--all-targets", "--", "-D", "warnings"),
        PYO3_PYTHON=str(environment.python),
        **pyo3_settings(environment.interpreter),
    )
    yield cargo(
        *("clippy", "--package", "boc-core", "--no-default-features", "--", "-D", "warnings")
    )
    yield cargo(
        *("clippy", "--manifest-path", NO_STD, "--", "-D", "warnings"),
        CARGO_TARGET_DIR=str(TARGET / "no-std"),
    )


def no_std(_: Machine) -> Iterator[Command]:
    """The crate without `std`, and a program that has none at all: its status says whether it works.

    Twice: unoptimised it takes most stack, optimised it is what a user would have.
    """
    yield cargo("build", "--package", "boc-core", "--no-default-features")
    target = TARGET / "no-std"
    for profile, folder in (("dev", "debug"), ("release", "release")):
        yield cargo(
            *("build", "--manifest-path", NO_STD, "--profile", profile),
            CARGO_TARGET_DIR=str(target),
        )
        program = target / folder / "boc-no-std"
        without_std(program)
        yield Command((program,))


def rust(_: Machine) -> Iterator[Command]:
    # Examples in the documentation are among them, and 300,000 schedules in `tests/schedules`.
    packages = ("--package", "boc-core", "--package", "boc-bench")
    yield cargo("test", *packages, "--profile", "checked")
    # Once more, since a stable `rustdoc` does not look why a wrong program in the documentation does
    # not compile.
    yield cargo(
        *("test", "--package", "boc-core", "--profile", "checked", "--doc"), RUSTC_BOOTSTRAP="1"
    )


def loom(_: Machine) -> Iterator[Command]:
    yield cargo(
        # Linked as a release is, which takes half of the time to explore.
        *("test", "--package", "boc-core", "--release", "--lib", "--test", "loom"),
        RUSTFLAGS="--cfg loom",
        CARGO_TARGET_DIR=str(TARGET / "loom"),
    )


def tsan(machine: Machine) -> Iterator[Command]:
    """ThreadSanitizer, as the stable toolchain offers it.

    The standard library comes compiled and without instrumentation, and to
    build it anew takes a nightly toolchain. What orders threads inside of it is
    not seen: its locks, which `cfg(tsan)` lets boc-core announce, and what the
    suppressions name. Fences are never seen. So a clean run says that no race
    showed in the core's own code; the orderings are the model checker's to judge.
    """
    suppressions = Path(__file__).with_name("tsan.suppressions")
    yield cargo(
        *("test", "--package", "boc-core", "--test", "stress", "--target", machine.triple),
        # The harness has channels of its own between threads of tests.
        *("--", "--test-threads=1"),
        RUSTC_BOOTSTRAP="1",
        RUSTFLAGS="--cfg tsan -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        TSAN_OPTIONS=f"suppressions={suppressions}",
        CARGO_TARGET_DIR=str(TARGET / "tsan"),
    )


def pytest(environment: Environment, *options: str) -> Command:
    return Command((environment.python, *options, "-m", "pytest", "--quiet", PACKAGE / "tests"))


def python_direct(machine: Machine) -> Iterator[Command]:
    yield pytest(machine.pythons["direct"])


def python_dev(machine: Machine) -> Iterator[Command]:
    yield pytest(machine.pythons["direct"], "-X", "dev")


def python_gil(machine: Machine) -> Iterator[Command]:
    yield pytest(machine.pythons["subinterpreters"])


def python_oldest(machine: Machine) -> Iterator[Command]:
    environment = machine.oldest_python
    if environment is None:
        version = ".".join(map(str, OLDEST_GIL))
        raise Skipped(f"no CPython {version} with its headers here that python-gil has not tested")
    print(f"testing on {environment.interpreter}", flush=True)
    yield pytest(environment)


def types(machine: Machine) -> Iterator[Command]:
    python = machine.pythons["subinterpreters"].python
    yield Command((python, "-m", "mypy", "--strict", "src"), folder=PACKAGE)
    yield Command(
        (python, "-m", "mypy.stubtest", "boc", "--allowlist", "stubtest-allowlist.txt"),
        folder=PACKAGE,
    )
    yield Command((python, PACKAGE / "tests" / "typing" / "check.py"))


def docs(machine: Machine) -> Iterator[Command]:
    """The pages as a site; their examples run with the tests of the package."""
    python = machine.pythons["subinterpreters"].python
    site = TARGET / "docs"
    options = ("--fail-on-warning", "--keep-going", "--quiet", "--builder", "html")
    yield Command((python, "-m", "sphinx", *options, REPOSITORY / "docs", site))
    print(f"see {site / 'index.html'}", flush=True)


def examples(machine: Machine) -> Iterator[Command]:
    """Each says by its status whether what came out is right."""
    folder = PACKAGE / "examples"
    shortened = (
        ("scan.py", str(folder), "--no-progress"),
        ("bank.py", "--accounts", "50", "--transfers", "5000"),
        ("philosophers.py", "--meals", "500"),
        ("testrunner.py", "--repeat", "2"),
        ("server.py", "--requests", "50"),
        ("pipeline.py", str(folder), "--limit", "4"),
        ("factors.py",),
    )
    for environment in machine.pythons.values():
        for name, *options in shortened:
            yield Command((environment.python, folder / name, *options))
    direct = machine.pythons["direct"]
    if [*direct.folder.glob("lib*/python*/site-packages/numpy")]:
        yield Command((direct.python, folder / "nbody.py", "--bodies", "400", "--steps", "5"))
    else:
        print(f"numpy has no wheel for {direct.interpreter}, so nbody.py is left out", flush=True)


STAGES = (
    Stage("fmt", "Rust code is formatted", fmt),
    Stage("clippy", "clippy has nothing to say", clippy),
    Stage("versions", "the bindings compile for each version of Python", versions),
    Stage("no-std", "the core works without the standard library", no_std),
    Stage("rust", "the core's tests and documentation examples", rust),
    Stage("loom", "the core's protocols under the model checker", loom, limit_minutes=60),
    Stage("tsan", "the core's stress test under ThreadSanitizer", tsan, limit_minutes=30),
    Stage("capi", "the C ABI: its header, programs in C and C++, sanitizers", capi),
    Stage("python-direct", "the package, free-threaded", python_direct),
    Stage("python-dev", "the same in Python's development mode", python_dev),
    Stage("python-gil", "the package on a GIL build", python_gil, limit_minutes=30),
    Stage("python-oldest", "the same on the oldest GIL build", python_oldest, limit_minutes=30),
    Stage("types", "annotations and stubs hold", types),
    Stage("docs", "a site is made of the documentation, without a warning", docs),
    Stage("capi-examples", "libboc installs, and the examples in C and C++ run", capi_examples),
    Stage("examples", "the examples run", examples),
)
