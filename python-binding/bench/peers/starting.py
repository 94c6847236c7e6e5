"""From `start` to the result of the first behaviour, in a fresh process.

Nothing is imported at the top but what both libraries need: bocpy runs this
module again in each of its workers, and that is within what is measured.
"""

import importlib
import os
from time import perf_counter, process_time

began_import = perf_counter()
library = importlib.import_module(os.environ.get("BENCH_LIBRARY", "boc"))
imported = perf_counter()


def first(cown):
    cown.value += 1


def main() -> None:
    from program import arguments, backend_of, insist, report

    asked = arguments()
    cown = library.Cown(41)
    cpu = process_time()
    began = perf_counter()
    library.start(worker_count=asked.workers)
    started = perf_counter()
    library.when(cown)(first)
    library.quiesce()
    value = cown.unwrap()
    done = perf_counter()
    cpu = process_time() - cpu
    library.wait()
    stopped = perf_counter()
    insist(value == 42)
    numbers = {
        "import_s": imported - began_import,
        "start_s": started - began,
        "total_s": done - began,
        "cpu_s": cpu,
        "stop_s": stopped - done,
    }
    report(1, numbers, backend_of(library))


if __name__ == "__main__":
    main()
