"""An app with Broadcast queues of every kind of name, and a client that does not stop publishing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.common import Broadcast

__all__ = ("app", "hear", "publish_until_told", "tell")

app = Celery("broadcast_app", broker=os.environ["BROKER_URL"], backend="rpc://")
app.conf.task_default_queue = "plain"
app.conf.task_queues = [
    Queue("plain"),
    Broadcast("everyone"),
    Broadcast("named", queue="my-name", unique=True),
    Broadcast("shared", queue="one-for-all"),
    Broadcast("own", queue="one-each", exclusive=True),
]


@app.task(bind=True)
def hear(self: Any, mark: str) -> str:
    """Note what was heard, and who heard it."""
    with open(os.environ["NOTES"], "a") as notes:  # noqa: PTH123 -- append is what makes it one line
        notes.write(f"{mark} {self.request.hostname}\n")
    return mark


def tell(exchange: str, mark: str) -> Any:
    """Have a task run by who hears an exchange."""
    return hear.apply_async((mark,), queue=exchange, exchange=exchange)


def publish_until_told(folder: str) -> int:
    """Tell everyone one number after the other, and note the last one that is out; return it when told to stop."""
    number, last = 0, Path(folder) / "published"
    while not (Path(folder) / "stop").exists():
        hear.apply_async((str(number + 1),), queue="everyone", exchange="everyone", ignore_result=True)
        number += 1
        last.with_suffix(".new").write_text(str(number))
        last.with_suffix(".new").replace(last)
        time.sleep(0.02)
    return number
