"""The app of the acceptance tests, with tasks that run until the test opens a gate: however long anything takes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from app import app, note

__all__ = ("app", "early", "late")


def run(mark: str, gate: str) -> None:
    """Note begin and end, and wait for a gate in between."""
    note(f"begin {mark}")
    path = Path(os.environ["NOTES"]).with_name(gate)
    while not path.exists():
        time.sleep(0.05)
    note(f"end {mark}")


@app.task(ignore_result=True)
def early(mark: str, gate: str = "gate") -> None:
    """Run, and be acked when it begins."""
    run(mark, gate)


@app.task(ignore_result=True, acks_late=True)
def late(mark: str, gate: str = "gate") -> None:
    """Run, and be acked when it is done."""
    run(mark, gate)
