"""A pipeline with an event loop in front: files are read, compressed on all cores, and added up.

asyncio is good at waiting, and behaviours are good at computing.  So the event
loop reads files, hands each of them to a behaviour, and awaits the results,
while other tasks go on.  What has been found out per kind of file is in cowns.
A semaphore limits how many files are on their way at the same time: reading is
quicker than compressing, and would fill the memory otherwise.

    python pipeline.py                     the standard library of this interpreter
    python pipeline.py FOLDER --limit 32
"""

import argparse
import asyncio
import os
import sys
import sysconfig
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import boc
from boc import Buffer, Cown, when


@dataclass
class Kind:
    """The files with one suffix."""

    files: int = 0
    size: int = 0
    packed: int = 0


@dataclass
class Flow:
    """What the event loop has seen. It has one thread, so this needs no cown."""

    read: int = 0
    on_their_way: int = 0
    most: int = 0
    failed: int = 0
    turns: int = 0
    """How often another task had its turn meanwhile."""


async def files(folder: Path, most: int) -> AsyncIterator[tuple[str, bytes]]:
    """The contents of the files in a folder, with their suffixes."""

    def found() -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file())

    for path in (await asyncio.to_thread(found))[:most]:
        try:
            yield path.suffix or "none", await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)


def compress(content: bytes) -> Cown[int]:
    """How large something is when it is packed; computed by a behaviour that shares nothing."""
    # Memory that goes to the worker, and not a copy of it.
    buffer = Buffer(content)

    @when()
    def packed(buffer: Buffer = buffer) -> int:
        with memoryview(buffer) as view:
            data = zlib.compress(view, 6)
            if zlib.decompress(data) != view:
                raise ValueError("what was packed is not what comes out")
        return len(data)

    return packed


def add(kind: Cown[Kind], size: int, packed: Cown[int]) -> Cown[float]:
    """Add a file when it is packed; how much of all files of its kind is left."""

    @when(kind, packed)
    def added(kind: Cown[Kind], packed: Cown[int]) -> float:
        total = kind.value
        total.files += 1
        total.size += size
        total.packed += packed.result()
        return total.packed / max(1, total.size)

    return added


async def run(options: argparse.Namespace, kinds: dict[str, Cown[Kind]]) -> Flow:
    flow, room = Flow(), asyncio.Semaphore(options.limit)

    async def pack(suffix: str, content: bytes) -> None:
        try:
            kind = kinds.setdefault(suffix, Cown(Kind()))
            await add(kind, len(content), compress(content))
        except (zlib.error, ValueError) as error:
            flow.failed += 1
            print(f"a file of kind {suffix}: {error}", file=sys.stderr)
        finally:
            flow.on_their_way -= 1
            room.release()

    async def others() -> None:
        """What else a program does in its event loop."""
        while True:
            flow.turns += 1
            await asyncio.sleep(0.001)

    other = asyncio.create_task(others())
    # A task that nobody refers to can be collected.
    tasks: set[asyncio.Task[None]] = set()
    async for suffix, content in files(options.folder, options.files):
        await room.acquire()  # the backpressure: nothing is read while there is no room
        flow.read += 1
        flow.on_their_way += 1
        flow.most = max(flow.most, flow.on_their_way)
        task = asyncio.create_task(pack(suffix, content))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    other.cancel()
    return flow


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers)
    kinds: dict[str, Cown[Kind]] = {}
    began = perf_counter()
    flow = asyncio.run(run(options, kinds))
    seconds = perf_counter() - began
    boc.wait()

    found = {suffix: kind.unwrap() for suffix, kind in kinds.items()}
    for suffix, kind in sorted(found.items(), key=lambda item: -item[1].size)[:8]:
        left = kind.packed / max(1, kind.size)
        print(f"{suffix:<8} {kind.files:>7,} files {kind.size / 1e6:>9.1f} MB, {left:>4.0%} of it packed")
    size, count = (sum(getattr(kind, name) for kind in found.values()) for name in ("size", "files"))
    print(f"{count:,} files in {seconds:.2f} s, {size / 1e6 / seconds:.1f} MB/s, {options.workers} workers")
    print(f"at most {flow.most} on their way; other tasks had {flow.turns:,} turns")
    whole = count == flow.read and not flow.failed and flow.on_their_way == 0
    bounded = flow.most <= options.limit
    print("every file was packed" if whole else f"WRONG: {flow}")
    if not bounded:
        print(f"WRONG: more than {options.limit} on their way")
    return 0 if whole and bounded else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compresses files, to see how small they get.")
    library = Path(sysconfig.get_path("stdlib"))
    parser.add_argument("folder", type=Path, nargs="?", default=library, help="(%(default)s)")
    parser.add_argument("--files", type=int, default=2_000, help="the first so many (%(default)s)")
    parser.add_argument("--limit", type=int, default=16, help="on their way (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"no folder: {options.folder}")
    if min(options.files, options.limit, options.workers) < 1:
        parser.error("needs at least 1 file, 1 on its way and 1 worker")
    return options


if __name__ == "__main__":
    sys.exit(main())
