"""The result of a scan, in a form in which equal results are equal."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from .analysis import Body, Finding, FunctionFact
from .sources import Failure
from .totals import PackageTotals, Shard


class PackageRow(NamedTuple):
    name: str
    files: int
    lines: int
    functions: int
    complexity: int
    findings: int
    failures: int


class Duplicate(NamedTuple):
    """Functions of the same body, at two places or more."""

    nodes: int
    places: tuple[Body, ...]

    @property
    def superfluous(self) -> int:
        """How many nodes would go if there were one function in place of all."""
        return self.nodes * (len(self.places) - 1)


@dataclass(frozen=True, slots=True)
class Report:
    """All tuples are sorted, so the order of the work leaves no trace."""

    packages: tuple[PackageRow, ...]
    # The notable ones, the most complex first.
    functions: tuple[FunctionFact, ...]
    findings: tuple[Finding, ...]
    duplicates: tuple[Duplicate, ...]
    failures: tuple[Failure, ...]

    @property
    def files(self) -> int:
        return sum(package.files for package in self.packages)

    @property
    def scanned(self) -> int:
        return self.files - sum(package.failures for package in self.packages)

    @property
    def lines(self) -> int:
        return sum(package.lines for package in self.packages)

    def by_rule(self) -> list[tuple[str, int]]:
        counts = Counter(finding.rule for finding in self.findings)
        return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))

    def digest(self) -> str:
        """A short name for the whole content, to compare reports by eye."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Inconsistent(Exception):
    """The packages and the index do not agree: an update was lost."""


def assemble(
    packages: Iterable[PackageTotals], shards: Iterable[Shard], failures: Iterable[Failure]
) -> Report:
    """Make the report.  ``failures`` are those from before the scan."""
    packages = list(packages)
    groups = [places for shard in shards for places in shard.places.values()]
    counted = sum(package.indexed for package in packages)
    found = sum(map(len, groups))
    if counted != found:
        raise Inconsistent(f"{counted} bodies were counted, {found} are in the index")
    return Report(
        packages=tuple(sorted(_row(package) for package in packages)),
        functions=tuple(
            sorted(
                (function for package in packages for function in package.notable),
                key=lambda function: (-function.complexity, function),
            )
        ),
        findings=tuple(sorted(found for package in packages for found in package.findings)),
        duplicates=tuple(
            sorted(
                (_duplicate(places) for places in groups if len(places) > 1),
                key=lambda group: (-group.superfluous, group),
            )
        ),
        failures=tuple(
            sorted([*failures, *(failure for package in packages for failure in package.failures)])
        ),
    )


def _row(package: PackageTotals) -> PackageRow:
    return PackageRow(
        package.name,
        package.files,
        package.lines,
        package.functions,
        package.complexity,
        len(package.findings),
        len(package.failures),
    )


def _duplicate(places: list[Body]) -> Duplicate:
    return Duplicate(places[0].nodes, tuple(sorted(places)))
