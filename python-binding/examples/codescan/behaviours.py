"""The scan with boc: what is shared lives in cowns, and nobody takes a lock.

One cown for the totals of each package, and one for each shard of the index
of function bodies.  Scanning a file needs none of them, so those behaviours
run in parallel without limit.  Each then schedules the short behaviours that
hand its facts over:

* over the package, to add up the totals;
* over the package *and* a shard, for every shard that gets bodies of the
  file: the package counts what it gave to the index, so the two have to
  change together.

The report is one more behaviour, over all packages and all shards at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import boc
from boc import Cown, when

from .analysis import Body, FileFacts, analyse
from .progress import INTERVAL, Watch
from .report import Report, assemble
from .sources import Selection, Source
from .totals import SHARDS, PackageTotals, Shard, by_shard, put


def scan(selection: Selection, workers: int, watch: Watch) -> Report:
    boc.start(worker_count=workers)
    names = sorted({source.package for source in selection.sources})
    packages = {name: Cown(PackageTotals(name)) for name in names}
    shards = [Cown(Shard()) for _ in range(SHARDS)]

    files = [
        _schedule_file(source, packages[source.package], shards) for source in selection.sources
    ]
    _wait(files, watch)
    report = _schedule_report(list(packages.values()), shards, selection)
    result = report.result()
    boc.wait()
    return result


def _schedule_file(
    source: Source, package: Cown[PackageTotals], shards: list[Cown[Shard]]
) -> Cown[None]:
    @when()
    def scanned() -> None:
        _hand_over(analyse(source), package, shards)

    return scanned


def _hand_over(facts: FileFacts, package: Cown[PackageTotals], shards: list[Cown[Shard]]) -> None:
    @when(package)
    def added(package: Cown[PackageTotals]) -> None:
        package.value.add(facts)

    for number, bodies in by_shard(facts.bodies).items():

        @when(package, shards[number])
        def indexed(
            package: Cown[PackageTotals], shard: Cown[Shard], bodies: list[Body] = bodies
        ) -> None:
            put(bodies, package.value, shard.value)


def _schedule_report(
    packages: list[Cown[PackageTotals]], shards: list[Cown[Shard]], selection: Selection
) -> Cown[Report]:
    @when(packages, shards)
    def report(packages: list[Cown[PackageTotals]], shards: list[Cown[Shard]]) -> Report:
        return assemble(
            (package.value for package in packages),
            (shard.value for shard in shards),
            selection.failures,
        )

    return report


def _wait(files: Sequence[Cown[None]], watch: Watch) -> None:
    """Wait until nothing is left to do, and look now and then how far it is."""
    done = 0
    while True:
        try:
            boc.quiesce(timeout=INTERVAL)
            break
        except TimeoutError:
            # Files are started in their order, so counting from the front is
            # as good as a counter, and shares nothing with the workers.
            while done < len(files) and _has_ended(files[done]):
                done += 1
            watch(done)
    for file in files:
        # An exception that the scanning of a file did not expect.
        file.result()


def _has_ended(file: Cown[None]) -> bool:
    try:
        file.result(timeout=0)
    except TimeoutError:
        return False
    return True
