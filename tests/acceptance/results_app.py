"""An app whose results go where the environment says, its tasks through SQS."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chain, chord, group

__all__ = ("add", "app", "chord", "fail", "kinds", "kinds_without_chords", "refused_chord", "total", "within")

app = Celery("results_app", broker=os.environ["BROKER_URL"], backend=os.environ["RESULTS"])
app.conf.update(task_default_queue="results", worker_hijack_root_logger=False)


@app.task
def add(x: int, y: int) -> int:
    """Add."""
    return x + y


@app.task
def total(numbers: list[int]) -> int:
    """Sum up."""
    return sum(numbers)


@app.task
def fail() -> None:
    """Raise."""
    raise ValueError("as it should")


def kinds_without_chords() -> list[Any]:
    """Ask for a result, a group, a chain, and an error."""
    return [
        add.delay(1, 2).get(timeout=60),
        group(add.s(number, 1) for number in range(10))().get(timeout=60),
        chain(add.s(1, 2), add.s(10))().get(timeout=60),
        repr(fail.delay().get(timeout=60, propagate=False)),
    ]


def kinds() -> list[Any]:
    """Ask for these, and for a chord."""
    return [*kinds_without_chords(), chord(add.s(number, number) for number in range(5))(total.s()).get(timeout=60)]


def refused_chord() -> str:
    """Tell how a chord is refused."""
    try:
        chord(add.s(number, number) for number in range(5))(total.s())
    except NotImplementedError as exc:
        return str(exc)
    return ""


def within() -> list[Any]:
    """Do the same in one process, of which the worker is a thread."""
    from celery.contrib.testing.worker import start_worker  # noqa: PLC0415 -- it is wanted here alone

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=60):
        return kinds_without_chords()
