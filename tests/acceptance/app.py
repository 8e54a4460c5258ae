"""The app of the acceptance tests. It imports nothing of the transport: the scheme has to be known without."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery, group
from celery.worker.control import inspect_command
from kombu import Queue
from kombu.common import Broadcast

__all__ = (
    "add",
    "announce",
    "app",
    "delegate",
    "fail",
    "group",
    "note",
    "patient",
    "third_time_lucky",
    "tick",
    "trace",
    "when",
    "work",
)

app = Celery("app", broker=os.environ["BROKER_URL"], backend="rpc://")
app.conf.update(
    task_queues=[Queue("celery", exchange="celery", routing_key="celery"), Broadcast("everyone")],
    task_routes={"app.announce": {"queue": "everyone", "exchange": "everyone"}},
    broker_connection_retry_on_startup=True,
    beat_schedule={"tick": {"task": "app.tick", "schedule": 2}},
    worker_pool_restarts=True,
    worker_prefetch_multiplier=int(os.environ.get("PREFETCH", "4")),
    **({"worker_log_format": os.environ["LOG_FORMAT"]} if "LOG_FORMAT" in os.environ else {}),
)


def note(text: str) -> None:
    """Write a line where the test looks, from whichever process this is."""
    with open(os.environ["NOTES"], "a") as notes:  # noqa: PTH123 -- append is what makes it one line
        notes.write(f"{text}\n")


def note_lost(lost: Any) -> None:
    """Note a lost lease: a hook for ``on_lease_lost``."""
    note(f"lost {lost.reason.value}")


@app.task
def add(x: int, y: int) -> int:
    """Add."""
    return x + y


@app.task
def fail() -> None:
    """Raise."""
    raise ValueError("as it should")


@app.task(bind=True, max_retries=2)
def third_time_lucky(self) -> int:  # noqa: ANN001
    """Succeed at the third attempt."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.2)
    return int(self.request.retries)


@app.task(bind=True, max_retries=1)
def patient(self, since: float | None = None) -> float:  # noqa: ANN001
    """Try again in three seconds, and tell how long it took."""
    if since is None:
        raise self.retry(args=(time.time(),), countdown=3)
    return time.time() - since


@app.task(bind=True, acks_late=True)
def work(self, mark: str, seconds: float) -> str:  # noqa: ANN001
    """Note begin and end, and take some time in between; acked when it is done."""
    note(f"begin {mark} {self.request.hostname}")
    time.sleep(seconds)
    note(f"end {mark} {self.request.hostname}")
    return mark


@app.task(bind=True, ignore_result=True)
def announce(self, text: str) -> None:  # noqa: ANN001
    """Note who heard it."""
    note(f"heard {text} {self.request.hostname}")


@app.task(ignore_result=True)
def delegate(mark: str) -> None:
    """Publish from a child of the pool."""
    work.delay(mark, 0)


@app.task(ignore_result=True)
def tick() -> None:
    """Note that the clock has struck, where a worker has one."""
    note("tick")


@app.task(bind=True)
def trace(self) -> str | None:  # noqa: ANN001
    """Tell X-Ray's trace header of this very task."""
    return self.request.get("AWSTraceHeader")


@app.task
def when() -> float:
    """Tell the time."""
    return time.time()


@inspect_command(visible=False)
def flood(state: Any) -> str:
    """Answer with more than a message can hold."""
    return "x" * 2_000_000
