"""An app whose workers know of each other, as `install` lets them: beside the tasks of `app`, by another name."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from celery import Celery

from celery_integration import install

if TYPE_CHECKING:
    from collections.abc import Callable

app = Celery("gossiping_app", broker=os.environ["BROKER_URL"], backend="rpc://")
app.conf.update(task_default_queue="gossip", worker_pool_restarts=True)
install(app, gossip=True)

__all__ = ("app", "elect", "elected", "known_as_revoked", "time", "until")


def note(text: str) -> None:
    """Write a line where the test looks."""
    with open(os.environ["NOTES"], "a") as notes:  # noqa: PTH123 -- append is what makes it one line
        notes.write(f"{text}\n")


@app.task(bind=True)
def elected(self: Any, mark: str) -> None:
    """Note that an election has a winner."""
    note(f"elected {mark}")


@app.task
def hold(seconds: float) -> None:
    """Take some time."""
    time.sleep(seconds)


def elect(mark: str) -> str:
    """Have the workers choose one of them, which sends a task."""
    app.control.election(mark, "task", action=elected.si(mark))
    return mark


def known_as_revoked(task: str, nodes: list[str]) -> list[str]:
    """Tell which of some workers remember that a task was revoked."""
    answers = app.control.inspect(destination=nodes, timeout=20).revoked() or {}
    return sorted(node for node, tasks in answers.items() if task in tasks)


def until(true: Callable[[], Any], timeout: float = 40) -> bool:
    """Wait until something is true."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
