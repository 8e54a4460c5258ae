"""docs/costs.md: its totals are the sums of what is above them."""

from __future__ import annotations

import re

from tests.costs import PAGE, START, row

_ROWS = re.findall(r"^\| (?:polls|a look|heartbeats, |its |asking).*\|$", PAGE, re.MULTILINE)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _dollars(cell: str) -> float:
    return float(cell.removeprefix("$"))


def test_an_idle_worker_costs_the_sum_of_the_rows() -> None:
    """In calls and in dollars, an hour and a month; a thousand cost a thousand times that."""
    rows = [_cells(line) for line in _ROWS]
    counted = sum(float(number.replace(",", "")) for cells in rows for number in re.findall(r"[\d,.]*\d", cells[1]))
    calls, hour, month = row("in all, with two queues")
    assert round(counted) == int(calls.replace(",", ""))
    assert round(sum(_dollars(cells[2]) for cells in rows), 6) == _dollars(hour)
    assert round(sum(_dollars(cells[3]) for cells in rows), 3) == _dollars(month)
    assert _dollars(row("a thousand of them")[2]) == round(_dollars(month) * 1000)


def test_a_start_costs_as_many_calls_as_are_listed() -> None:
    """The number in the text."""
    assert f"{START.total()} calls" in PAGE
