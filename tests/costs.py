"""What a worker's start and end cost, as docs/costs.md says it: the simulation and real workers are held to that."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "costs.md").read_text()
#: Calls that carry messages. How many there are depends on time, and on what others say: they are not in the rows.
DATA_PLANE = frozenset({"ReceiveMessage", "SendMessage", "DeleteMessageBatch", "Publish", "PublishBatch"})


def row(name: str) -> list[str]:
    """Give the cells of a row of the page's tables, without the first."""
    (found,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


def calls_in(name: str) -> Counter[str]:
    """Give the calls that a row lists, by action."""
    return Counter({action: int(count) for count, action in re.findall(r"(\d+) `(\w+)`", row(name)[0])})


#: Of the second worker and all that follow; the first makes what all share.
START = calls_in("a start")
END = calls_in("an end in order")
