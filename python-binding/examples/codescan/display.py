"""The report as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .report import Report
from .timing import Way


def show_report(report: Report, console: Console, top: int) -> None:
    console.print(
        f"{report.files:,} files, {report.lines:,} lines, "
        f"{sum(package.functions for package in report.packages):,} functions, "
        f"{len(report.findings):,} findings"
    )
    console.print(_packages(report, top))
    if report.functions:
        console.print(_functions(report, top))
    if report.findings:
        console.print(_rules(report))
    if report.duplicates:
        console.print(_duplicates(report, top))
    if report.failures:
        console.print(_failures(report))


def show_times(compared: list[Way], same: bool, setting: str, console: Console) -> None:
    table = _table("Time", "way", ">seconds", ">CPU seconds", ">files/s", ">speed-up")
    sequential = compared[0].best.seconds
    for way in compared:
        best = way.best
        table.add_row(
            way.title,
            f"{best.seconds:.2f}",
            f"{best.cpu_seconds:.2f}",
            f"{way.reports[0].files / best.seconds:,.0f}",
            f"{sequential / best.seconds:.2f} ×",
        )
    console.print(table)
    console.print(setting, markup=False, highlight=False)
    digests = sorted({report.digest() for way in compared for report in way.reports})
    if same:
        console.print(f"[green]All ways gave the identical report[/] ({digests[0]}).")
    else:
        console.print(f"[bold red]The reports differ[/]: {', '.join(digests)}.")


def _packages(report: Report, top: int) -> Table:
    table = _table(
        "Packages", "package", ">files", ">lines", ">functions", ">complexity", ">findings"
    )
    rows = sorted(report.packages, key=lambda package: (-package.lines, package.name))
    for row in rows[:top]:
        table.add_row(Text(row.name), *(f"{count:,}" for count in row[1:-1]))
    if len(rows) > top:
        rest = rows[top:]
        sums = map(sum, zip(*(row[1:-1] for row in rest), strict=True))
        table.add_row(f"… {len(rest):,} more", *(f"{count:,}" for count in sums), style="dim")
    return table


def _functions(report: Report, top: int) -> Table:
    table = _table("Most complex functions", ">complexity", ">lines", "function", "place")
    for function in report.functions[:top]:
        table.add_row(
            str(function.complexity),
            str(function.lines),
            Text(function.name),
            Text(f"{function.file}:{function.line}"),
        )
    return table


def _rules(report: Report) -> Table:
    table = _table("Findings", ">count", "rule", "for example")
    for rule, count in report.by_rule():
        example = next(finding for finding in report.findings if finding.rule == rule)
        place = f"{example.file}:{example.line}"
        table.add_row(f"{count:,}", rule, Text(f"{place}: {example.message}"))
    return table


def _duplicates(report: Report, top: int) -> Table:
    table = _table("Duplicated function bodies", ">copies", ">lines", "places")
    for group in report.duplicates[:top]:
        places = [f"{place.file}:{place.line} {place.name}" for place in group.places[:3]]
        if len(group.places) > 3:
            places.append(f"… {len(group.places) - 3} more")
        table.add_row(str(len(group.places)), str(group.places[0].lines), Text("\n".join(places)))
    if len(report.duplicates) > top:
        table.add_row("…", "", f"{len(report.duplicates) - top:,} more groups", style="dim")
    return table


def _failures(report: Report) -> Table:
    table = _table(f"Not scanned: {len(report.failures):,}", "file", "why")
    for failure in report.failures:
        table.add_row(Text(failure.name), Text(f"{failure.kind}: {failure.detail}"))
    return table


def _table(title: str, *columns: str) -> Table:
    """A table; the columns marked with ``>`` hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        if column.startswith(">"):
            table.add_column(column[1:], justify="right")
        else:
            table.add_column(column, overflow="fold")
    return table
