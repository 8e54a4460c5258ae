"""The Celery app of the demo, run by both workers."""

from __future__ import annotations

from celery import Celery
from kombu import Queue
from kombu.common import Broadcast

app = Celery("demo", broker="sns-sqs://", backend="rpc://")
app.conf.task_queues = (Queue("celery", exchange="celery", routing_key="celery"), Broadcast("announcements"))
app.conf.task_routes = {"demo_app.announce": {"queue": "announcements", "exchange": "announcements"}}
app.conf.broker_connection_retry_on_startup = True

#: Where workers say that they have heard an announcement.
HEARD = "heard"


@app.task
def square(number: int) -> tuple[int, str]:
    """Return the square of a number, and who computed it."""
    return number * number, square.request.hostname


@app.task(ignore_result=True)
def announce(text: str) -> None:
    """Tell who has heard the announcement."""
    with app.connection_for_write() as connection:
        connection.SimpleQueue(HEARD).put({"worker": announce.request.hostname, "text": text})
