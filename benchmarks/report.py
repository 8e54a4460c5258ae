"""Results for people: tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.contenders import Contender
    from benchmarks.result import Figure, Result
    from benchmarks.testbed import Testbed


def show(result: Result, testbed: Testbed, console: Console) -> None:
    """Print the figures of one benchmark."""
    console.print(_table(result, testbed.contenders))
    for failure in result.failures:
        console.print(f"failed: {failure}", style="red", highlight=False, markup=False)


def conclude(results: Sequence[Result], testbed: Testbed, console: Console) -> None:
    """Print the marks, and what one has to know about the run."""
    if any(result.marks for result in results):
        console.print(_marks(results))
    for line in about(testbed):
        console.print(line, style="dim", highlight=False)


def about(testbed: Testbed) -> list[str]:
    """What one has to know about the run."""
    lines = [f"{one.name}: {one.note}" for one in testbed.contenders]
    lines.append(
        f"the relay: {testbed.capacity.requests:,.0f} requests/s with a core for itself; a round trip of"
        f" {testbed.rtt * 1000:g} ms takes {testbed.capacity.rtt * 1000:.1f} ms"
    )
    busiest = ", ".join(f"{name} {busy:.0%}" for name, busy in testbed.busiest.items())
    lines.append(f"busiest, of one core: {busiest or 'no phase took a second'}; AWS is played by {testbed.service}")
    return [*lines, *testbed.notes]


def number(value: float) -> str:
    """Three digits that matter: ``12,345``, ``1.23``, ``0``."""
    if value == 0:
        return "0"
    if abs(value) >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(result: Result, contenders: Sequence[Contender]) -> Table:
    names = [one.name for one in contenders if any(figure.contender == one.name for figure in result.figures)]
    table = Table(title=f"{result.benchmark}: {result.title} ({result.seconds:.0f} s)", title_justify="left")
    table.add_column("under")
    table.add_column("what")
    for name in names:
        table.add_column(name, justify="right", style="bold" if name == "sns-sqs" else "")
    sections: dict[str, dict[tuple[str, str], dict[str, Figure]]] = {}
    for figure in result.figures:
        rows = sections.setdefault(figure.condition, {})
        rows.setdefault((figure.name, figure.unit), {})[figure.contender] = figure
    for condition, rows in sections.items():
        table.add_section()
        for index, ((what, unit), row) in enumerate(rows.items()):
            cells = [number(row[name].value) if name in row else "" for name in names]
            table.add_row(condition if index == 0 else "", f"{what}, {unit}" if unit else what, *cells)
    return table


def _marks(results: Sequence[Result]) -> Table:
    table = Table(title="marks", title_justify="left")
    for column in ("benchmark", "what"):
        table.add_column(column)
    for column in ("found", "asked", ""):
        table.add_column(column, justify="right")
    for result in results:
        for mark in result.marks:
            met = "[green]met[/]" if mark.met else "[red]not met[/]"
            table.add_row(result.benchmark, mark.claim, number(mark.value), f"{mark.comparison} {mark.limit:g}", met)
    return table
