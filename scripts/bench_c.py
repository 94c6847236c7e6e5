"""What a behaviour costs from C, beside the same in Rust: crates/boc-bench/c/shapes.c and boc-bench."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from setup.messages import SetupError
from setup.places import REPOSITORY, TARGET

SHAPES = ("chain1", "pairK", "fanK", "bank")
WORKERS = (1, 2)
BEHAVIOURS = 200_000
K = 64
ROUNDS = 9
# The first run of a program gets its memory from the system. Only the best one counts.
RUNS = 9

FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", TARGET)).absolute() / "release"
RUST, C = FOLDER / "boc-bench", FOLDER / "boc-bench-c"


@dataclass(frozen=True)
class Row:
    """One shape: nanoseconds per behaviour, in each of the rounds."""

    shape: str
    workers: int
    rust: Sequence[float]
    c: Sequence[float]

    def cells(self) -> Iterator[str]:
        rust, c = min(self.rust), min(self.c)
        ratios = [c / rust for rust, c in zip(self.rust, self.c, strict=True)]
        yield from (self.shape, str(self.workers), f"{rust:.1f}", f"{c:.1f}", f"{c - rust:+.1f}")
        yield from (f"{c / rust:.2f}", f"{median(ratios):.2f}")


def main(_: list[str]) -> None:
    build()
    heading = ("shape", "workers", "Rust", "C", "C - Rust", "C / Rust", "median")
    print(f"\nNanoseconds per behaviour, best of {ROUNDS} rounds, K = {K}; and the median of the")
    print("ratios of the rounds, in which Rust and C take turns")
    print(line(heading))
    for shape in SHAPES:
        for workers in WORKERS:
            print(line(measured(shape, workers).cells()), flush=True)


def build() -> None:
    """Each as its users have it: one by one, since Cargo would give both the features of both."""
    run("cargo", "build", "--release", "--package", "boc-bench")
    # Alone, so that it is optimised as a whole, which Cargo does not do if there is an rlib besides.
    run("cargo", "rustc", "--release", "--package", "boc-capi", "--crate-type", "cdylib")
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        raise SetupError("no C compiler found: install one, or name it in CC")
    run(
        *(compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"),
        *("-I", REPOSITORY / "include", REPOSITORY / "crates/boc-bench/c/shapes.c"),
        *("-L", FOLDER, "-lboc", f"-Wl,-rpath,{FOLDER}", "-o", C),
    )


def measured(shape: str, workers: int) -> Row:
    sizes = [str(size) for size in (workers, BEHAVIOURS, K, RUNS)]
    options = ("--workers", "--n", "--k", "--rounds")
    named = [word for pair in zip(options, sizes, strict=True) for word in pair]
    rust, c = [], []
    for _ in range(ROUNDS):
        rust.append(nanoseconds(RUST, "--peer", "boc", "--json", "--shape", shape, *named))
        c.append(nanoseconds(C, shape, *sizes))
    return Row(shape, workers, rust, c)


def nanoseconds(*command: str | Path) -> float:
    """What a benchmark says, which prints one object."""
    return float(json.loads(run(*command, stdout=subprocess.PIPE))["ns_per_behaviour"])


def run(*command: str | Path, stdout: int | None = None) -> str:
    ended = subprocess.run(command, cwd=REPOSITORY, stdout=stdout, text=True)
    if ended.returncode != 0:
        raise SetupError(f"{command[0]} failed with status {ended.returncode}")
    return ended.stdout


def line(cells: Iterator[str] | Sequence[str]) -> str:
    first, *others = cells
    return f"{first:8}" + "".join(f"{cell:>10}" for cell in others)
