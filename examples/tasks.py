"""Celery in five lines. Start a worker with ``celery -A tasks worker``, then run this file."""

from __future__ import annotations

# [readme: celery]
import os

from celery import Celery

app = Celery("tasks", broker=os.environ.get("BROKER_URL", "sns-sqs://"), backend="rpc://")


@app.task
def add(x: int, y: int) -> int:
    return x + y


if __name__ == "__main__":
    print(add.delay(2, 3).get(timeout=30))
# [end]
