"""Bodies that attract each other, in numpy arrays that cowns hold.

The bodies are dealt out to blocks.  In each step all pairs count, so the forces
on a block depend on where the bodies of all blocks are: a behaviour for each
block reads them, together with those of the other blocks, and notes the
accelerations in a cown of its own.  Another one then moves the block, which
nobody reads any more by then, and that order comes from the cowns alone.  So all
steps are scheduled in a row, and nobody waits in between.

numpy supports one interpreter in a process only, so this takes the direct
backend, and a free-threaded Python to be any faster than one thread.

    python nbody.py --bodies 2000 --steps 20 --picture orbits.svg
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import boc
from boc import Cown, read, when

try:
    import numpy as np
    from numpy.typing import NDArray
except ImportError:
    sys.exit("this example needs numpy: pip install numpy")

SOFTENING = 0.05
"""Closer than that, bodies do not attract each other any more strongly."""

Vectors = NDArray[np.float64]


@dataclass
class Block:
    """Some of the bodies, of mass 1 over their number altogether: three coordinates in each row."""

    places: Vectors
    speeds: Vectors


def attraction(places: Vectors, others: Vectors, mass: float) -> Vectors:
    """What bodies at these places are accelerated with by others, all of one mass."""
    apart = others[None, :, :] - places[:, None, :]
    squared = np.einsum("ijk,ijk->ij", apart, apart) + SOFTENING**2
    return mass * np.einsum("ijk,ij->ik", apart, squared**-1.5)


def schedule_step(
    blocks: list[Cown[Block]], accelerations: list[Cown[Vectors]], mass: float, duration: float
) -> None:
    """One step of the leapfrog method, half of which is the one before."""
    for own, (block, acceleration) in enumerate(zip(blocks, accelerations)):

        @when(acceleration, read(blocks))
        def attract(acceleration: Cown[Vectors], blocks: list[Cown[Block]], own: int = own) -> None:
            places = blocks[own].value.places
            acceleration.value = sum_of([attraction(places, other.value.places, mass) for other in blocks])

    for block, acceleration in zip(blocks, accelerations):

        @when(block, acceleration)
        def move(block: Cown[Block], acceleration: Cown[Vectors]) -> None:
            block.value.speeds += duration * acceleration.value
            block.value.places += duration * block.value.speeds


def sum_of(parts: list[Vectors]) -> Vectors:
    """In the order of the blocks, so that the result is the same each time, to the last bit."""
    total = np.zeros_like(parts[0])
    for part in parts:
        total += part
    return total


def one_after_the_other(blocks: list[Block], mass: float, duration: float, steps: int) -> None:
    """The same without behaviours."""
    for _ in range(steps):
        accelerations = [
            sum_of([attraction(block.places, other.places, mass) for other in blocks]) for block in blocks
        ]
        for block, acceleration in zip(blocks, accelerations):
            block.speeds += duration * acceleration
            block.places += duration * block.speeds


def ball(bodies: int, count: int, seed: int) -> list[Block]:
    """A ball of bodies that turns, in so many blocks."""
    chance = np.random.default_rng(seed)
    places = chance.normal(size=(bodies, 3))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    places *= chance.uniform(0.2, 1.0, size=(bodies, 1))
    speeds = 0.8 * np.cross([0.0, 0.0, 1.0], places)
    return [
        Block(places[part].copy(), speeds[part].copy())
        for part in np.array_split(np.arange(bodies), count)
    ]


def picture(tracks: list[Vectors]) -> str:
    """Where some of the bodies have been, from above, as SVG."""
    lines = []
    for body in range(tracks[0].shape[0]):
        points = " ".join(f"{track[body, 0]:.3f},{track[body, 1]:.3f}" for track in tracks)
        hue = 360 * body // tracks[0].shape[0]
        lines.append(f'<polyline points="{points}" stroke="hsl({hue} 70% 60%)"/>')
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="800" height="800" viewBox="-1.5 -1.5 3 3">'
    ground = '<rect x="-1.5" y="-1.5" width="3" height="3" fill="#111"/><g fill="none" stroke-width="0.004">'
    return "\n".join([head, ground, *lines, "</g></svg>\n"])


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers, backend="direct")
    mass, duration = 1 / options.bodies, 0.01
    start = ball(options.bodies, options.blocks, options.seed)
    blocks = [Cown(Block(block.places.copy(), block.speeds.copy())) for block in start]
    accelerations = [Cown(np.zeros_like(block.places)) for block in start]

    tracks = []
    began = perf_counter()
    for _ in range(options.steps):
        if options.picture is not None:
            # A look at the first block, in its place between the steps.
            tracks.append(when(read(blocks[0]))(lambda block: block.value.places[:60].copy()))
        schedule_step(blocks, accelerations, mass, duration)
    boc.quiesce()
    parallel = perf_counter() - began

    began = perf_counter()
    one_after_the_other(start, mass, duration, options.steps)
    alone = perf_counter() - began

    same = when(read(blocks))(
        lambda blocks: all(
            np.array_equal(block.value.places, expected.places) for block, expected in zip(blocks, start)
        )
    ).result()
    if options.picture is not None:
        options.picture.write_text(picture([track.result() for track in tracks]))
        print(f"see {options.picture}")
    boc.wait()
    pairs = options.bodies**2 * options.steps
    print(f"{options.bodies} bodies in {options.blocks} blocks, {options.steps} steps, {options.workers} workers")
    print(f"  behaviours: {parallel:.2f} s, {pairs / parallel / 1e6:.0f} million pairs a second")
    print(f"  one thread: {alone:.2f} s; {alone / parallel:.2f} times as long")
    print("both came to the same places, to the last bit" if same else "WRONG: the places differ")
    return 0 if same else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bodies that attract each other, in parallel.")
    parser.add_argument("--bodies", type=int, default=1_500, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--blocks", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--picture", type=Path, help="where to draw the ways of some bodies, as SVG")
    options = parser.parse_args()
    if min(options.steps, options.blocks, options.workers) < 1 or options.bodies < options.blocks:
        parser.error("needs at least 1 step, block and worker, and a body for each block")
    return options


if __name__ == "__main__":
    sys.exit(main())
