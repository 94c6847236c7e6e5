"""What files have in common: the totals of a package, the index of bodies.

These are the objects that several workers want to change.  Nothing in here
knows how it is kept from being changed by two at once; the order in which
files are added makes no difference to the report.
"""

from __future__ import annotations

from collections.abc import Iterable

from .analysis import Body, FileFacts, Finding, FunctionFact
from .sources import Failure

SHARDS = 16

# Simpler functions are counted, but not remembered by name.
NOTABLE_COMPLEXITY = 10


class PackageTotals:
    """The sum over the files of one package."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files = 0
        self.lines = 0
        self.functions = 0
        self.complexity = 0
        self.notable: list[FunctionFact] = []
        self.findings: list[Finding] = []
        self.failures: list[Failure] = []
        # Bodies that were put into the index for this package.
        self.indexed = 0

    def add(self, facts: FileFacts) -> None:
        self.files += 1
        self.lines += facts.lines
        self.functions += len(facts.functions)
        for function in facts.functions:
            self.complexity += function.complexity
            if function.complexity > NOTABLE_COMPLEXITY:
                self.notable.append(function)
        self.findings += facts.findings
        if facts.failure is not None:
            self.failures.append(facts.failure)

    def merge(self, other: PackageTotals) -> None:
        """Add what somebody else summed up for the same package."""
        self.files += other.files
        self.lines += other.lines
        self.functions += other.functions
        self.complexity += other.complexity
        self.notable += other.notable
        self.findings += other.findings
        self.failures += other.failures
        self.indexed += other.indexed


class Shard:
    """The part of the index that holds some of all fingerprints."""

    def __init__(self) -> None:
        self.places: dict[str, list[Body]] = {}

    def add(self, bodies: Iterable[Body]) -> None:
        for body in bodies:
            self.places.setdefault(body.fingerprint, []).append(body)

    def merge(self, other: Shard) -> None:
        for bodies in other.places.values():
            self.add(bodies)


def by_shard(bodies: Iterable[Body]) -> dict[int, list[Body]]:
    """Sort bodies by the shard that they belong to."""
    parts: dict[int, list[Body]] = {}
    for body in bodies:
        parts.setdefault(int(body.fingerprint[:8], 16) % SHARDS, []).append(body)
    return parts


def put(bodies: list[Body], package: PackageTotals, shard: Shard) -> None:
    """Enter bodies of ``package``: what it counts and what is there agree."""
    shard.add(bodies)
    package.indexed += len(bodies)


class Results:
    """All packages and the whole index, for the use of one thread."""

    def __init__(self) -> None:
        self.packages: dict[str, PackageTotals] = {}
        self.shards = [Shard() for _ in range(SHARDS)]

    def add(self, facts: FileFacts) -> None:
        package = self.packages.setdefault(facts.package, PackageTotals(facts.package))
        package.add(facts)
        for number, bodies in by_shard(facts.bodies).items():
            put(bodies, package, self.shards[number])

    def merge(self, other: Results) -> None:
        for name, package in other.packages.items():
            self.packages.setdefault(name, PackageTotals(name)).merge(package)
        for shard, more in zip(self.shards, other.shards, strict=True):
            shard.merge(more)
