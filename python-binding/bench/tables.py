"""Cases and outcomes as tables: with rich where it is installed, else plain."""

from statistics import median

from cases import Case
from environment import judged_backend
from targets import Outcome, backends_of

try:
    from rich.console import Console
    from rich.table import Table
except ImportError:
    Console = Table = None  # type: ignore[assignment, misc]


def show_case(case: Case) -> None:
    header = [""]
    for column in case.columns:
        unit = f", {column.unit}" if column.unit else ""
        header += [f"{column.title}{unit}", "best"]
    header.append("to boc")
    rows = []
    notes: dict[str, list[str]] = {}
    first = case.columns[0]
    ours: float | None = None
    for lane in case.lanes:
        is_ours = lane.label.split(",")[0] == "boc"
        if lane.absent is not None:
            rows.append([lane.label, "absent", *[""] * (len(header) - 2)])
            notes.setdefault(lane.absent, []).append(lane.label)
            if is_ours:
                ours = None
            continue
        cells = [lane.label]
        for column in case.columns:
            values = [column.of(numbers) for numbers in lane.rounds]
            cells += [amount(median(values)), amount(column.best(values))]
        value = median(first.of(numbers) for numbers in lane.rounds)
        # Lanes come in groups of a kind, each led by boc's own.
        if is_ours:
            ours = value
        cells.append("" if ours is None or not lane.comparable else f"{amount(value / ours)}×")
        rows.append(cells)
    backend = "".join(f"; boc's backend: {name}" for name in backends_of([case]))
    show(f"{case.name}: {case.title}; median and best of {case.rounds}{backend}", header, rows)
    for reason, labels in notes.items():
        print(f"  absent: {'; '.join(labels)}: {reason}")


def show_outcomes(outcomes: list[Outcome], backends: list[str]) -> None:
    verdicts = {True: "reached", False: "not reached", None: "–"}
    rows = [
        [outcome.what, outcome.wanted, outcome.measured, verdicts[outcome.reached]]
        for outcome in outcomes
    ]
    title = f"Targets of the backend {judged_backend()}"
    if backends and backends != [judged_backend()]:
        title += f", for comparison only: boc ran with {', '.join(backends)}"
    show(title, ["", "wanted", "measured", "in this run"], rows)


def amount(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    print()
    if Table is not None:
        console = Console()
        if not console.is_terminal:
            # Into a file: nobody is served by lines broken at 80 columns.
            console = Console(width=130)
        table = Table(title=title, title_justify="left")
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    print(title)
    for row in [header, *rows]:
        first, *rest = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]))
