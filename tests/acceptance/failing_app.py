"""An app whose tasks do not end well, and whose queues say what is to become of them."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from kombu import Exchange, Queue

app = Celery("failing_app", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_queues=[
        Queue("refusing", Exchange("orders", type="topic"), "orders.#", queue_arguments={"x-dead-letter-queue": "bad"}),
        Queue("killing", queue_arguments={"x-max-receive-count": 2}),
    ],
    task_default_queue="killing",
    task_create_missing_queues=False,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


def note(text: str) -> None:
    """Write a line where the test looks."""
    with open(os.environ["NOTES"], "a") as notes:  # noqa: PTH123 -- append is what makes it one line
        notes.write(f"{text}\n")


@app.task(acks_late=True)
def refuse() -> None:
    """Reject the message for good."""
    raise Reject("no", requeue=False)


@app.task(acks_late=True)
def kill_the_worker() -> None:
    """End as the out-of-memory killer ends a process; in the solo pool that is the worker."""
    note("killed")
    os.kill(os.getpid(), signal.SIGKILL)


def letter(queue: str, seconds: float = 20) -> dict[str, Any]:
    """Take a dead letter: its task, and what is said about its death."""
    deadline = time.monotonic() + seconds
    with app.connection_for_read() as connection:
        dead = Queue(queue, no_declare=True)(connection)
        while (message := dead.get(no_ack=True)) is None:
            assert time.monotonic() < deadline, f"nothing in {queue}"
            time.sleep(0.1)
    (death,) = message.headers["x-death"]
    return {"task": message.headers["task"], **{name: death[name] for name in death if name != "time"}}
