"""The report as JSON, for other programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .report import Report
from .timing import Way


def as_json(
    report: Report, compared: list[Way], same: bool, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        **facts,
        "identical": same,
        "digest": report.digest(),
        "runs": [
            {
                "way": way.title,
                "workers": way.workers,
                "best": way.best.seconds,
                "seconds": [run.seconds for run in way.runs],
                "cpu_seconds": [run.cpu_seconds for run in way.runs],
            }
            for way in compared
        ],
        "totals": {
            "files": report.files,
            "scanned": report.scanned,
            "lines": report.lines,
            "findings": len(report.findings),
            "rules": dict(report.by_rule()),
        },
        "report": _named(asdict(report)),
    }


def _named(value: Any) -> Any:
    """``value`` with named tuples as objects, which JSON would write as lists."""
    if hasattr(value, "_asdict"):
        return {name: _named(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _named(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(part) for part in value]
    return value
