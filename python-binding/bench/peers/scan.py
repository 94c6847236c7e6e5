"""The code scan of the examples, in the way that is asked for.

All ways have to come to the same report; its digest is part of the answer, so
that the driver can tell if one did not.
"""

import argparse
import sys
from time import perf_counter, process_time

from codescan.progress import unwatched
from codescan.report import Report
from codescan.sources import Selection, select, standard_library
from program import backend_of, report


def behaviours(selection: Selection, workers: int) -> Report:
    from codescan import behaviours

    return behaviours.scan(selection, workers, unwatched)


def threads(selection: Selection, workers: int) -> Report:
    from codescan import by_hand

    return by_hand.scan(selection, workers, unwatched)


def one(selection: Selection, workers: int) -> Report:
    from codescan import sequential

    return sequential.scan(selection, unwatched)


WAYS = {"behaviours": behaviours, "threads": threads, "one": one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--count", type=int, required=True, help="files at most")
    parser.add_argument("--workers", type=int, required=True)
    asked = parser.parse_args()

    scan = WAYS[asked.way]
    # Once before the clock starts, for imports, caches and the start of workers.
    scan(select(standard_library(), 20), asked.workers)
    selection = select(standard_library(), asked.count)
    cpu = process_time()
    began = perf_counter()
    found = scan(selection, asked.workers)
    done = perf_counter()
    numbers = {"total_s": done - began, "cpu_s": process_time() - cpu}
    # Nothing is asked of a package that this way did without.
    backend = backend_of(sys.modules.get("boc"))
    report(len(selection.sources), numbers, {"digest": found.digest(), **backend})


if __name__ == "__main__":
    main()
