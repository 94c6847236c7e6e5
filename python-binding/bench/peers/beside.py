"""What there is beside cowns, and what others offer in its place: the noticeboard, messages, results in an event loop, traces.

`BENCH_LIBRARY` names the package to import; without it, the case is done with what Python itself has.
"""

import asyncio
import importlib
import os
import queue
import tempfile
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from arithmetic import arithmetic
from program import Work, arguments, backend_of, report, timed

name = os.environ.get("BENCH_LIBRARY")
library: Any = importlib.import_module(name) if name else None


def notices(workers: int, count: int) -> Work:
    """So many reads of one key, dealt out to one behaviour for each worker."""
    library.notice_seed("number", 12345)
    each = count // workers
    results: list[Any] = []

    def schedule() -> None:
        for _ in range(workers):

            @library.when()
            def read(each=each, read=library.notice_read):
                total = 0
                for _ in range(each):
                    total += read("number")
                return total

            results.append(read)

    return schedule, lambda: sum(result.unwrap() for result in results) == 12345 * each * workers


def streaming(count: int) -> Work:
    """One thread sends numbers, another one receives them, as fast as each can."""
    send, receive = channel("numbers")
    total = 0

    def receive_all() -> None:
        nonlocal total
        for _ in range(count):
            total += receive()

    def schedule() -> None:
        thread = threading.Thread(target=receive_all, daemon=True)
        thread.start()
        for number in range(count):
            send(number)
        thread.join()

    return schedule, lambda: total == count * (count - 1) // 2


def ping_pong(count: int) -> Work:
    """Two threads send a number there and back."""
    there, from_there = channel("there")
    back, from_back = channel("back")
    last = None

    def answer() -> None:
        for _ in range(count):
            back(from_there() + 1)

    def schedule() -> None:
        nonlocal last
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for number in range(count):
            there(number)
            last = from_back()
        thread.join()

    return schedule, lambda: last == count


def channel(tag: str) -> tuple[Callable[[int], None], Callable[[], int]]:
    if library is None:
        between: queue.SimpleQueue[int] = queue.SimpleQueue()
        return between.put, between.get
    return partial(library.send, tag), lambda: library.receive(tag)[1]


def awaiting(count: int) -> Work:
    """One after the other: something that does nothing is started, and awaited."""
    done = 0

    async def main(start: Callable[[], Awaitable[object]]) -> None:
        nonlocal done
        for _ in range(count):
            await start()
            done += 1

    async def on_executor() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as executor:
            await main(lambda: loop.run_in_executor(executor, nothing))

    def schedule() -> None:
        asyncio.run(on_executor() if library is None else main(lambda: library.when()(nothing)))

    return schedule, lambda: done == count


def nothing() -> None:
    pass


def behaviours(traced: bool, count: int) -> Work:
    """CPU-bound behaviours of some tens of microseconds."""
    cowns = [library.Cown(0) for _ in range(16)]
    path = Path(tempfile.gettempdir(), f"boc-bench-{os.getpid()}.json")

    def schedule() -> None:
        with library.trace(path) if traced else nullcontext():
            for index in range(count):

                @library.when(cowns[index % len(cowns)])
                def work(cown):
                    arithmetic(1_000)
                    cown.value += 1

            library.quiesce()

    def right() -> bool:
        path.unlink(missing_ok=True)
        return sum(cown.unwrap() for cown in cowns) == count

    return schedule, right


def main() -> None:
    asked = arguments()
    cases: dict[str, Callable[[int], Work]] = {
        "notices": partial(notices, asked.workers),
        "streaming": streaming,
        "ping-pong": ping_pong,
        "awaiting": awaiting,
        "untraced": partial(behaviours, False),
        "traced": partial(behaviours, True),
    }
    if library is not None:
        library.start(worker_count=asked.workers)
    finish = (lambda: None) if library is None else library.quiesce
    numbers = timed(cases[asked.case], asked.count, finish, asked.passes)
    report(asked.count, numbers, {} if library is None else backend_of(library))
    if library is not None:
        library.wait()


if __name__ == "__main__":
    main()
