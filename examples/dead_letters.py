"""The README's example of tasks that fail: `celery -A dead_letters worker`, then `python dead_letters.py`."""

# [readme: dead_letters]
import os

from celery import Celery
from celery.exceptions import Reject
from kombu import Queue

app = Celery("dead_letters", broker=os.environ.get("BROKER_URL", "sns-sqs://"))
app.conf.task_queues = [Queue("orders", queue_arguments={"x-max-receive-count": 5})]  # then to orders-dead
app.conf.task_default_queue = "orders"
app.conf.broker_transport_options = {"backoff_policy": {"base": 2, "cap": 600}}  # how long a requeued one stays away


@app.task(acks_late=True, ignore_result=True)
def ship(order: int) -> None:
    if order < 0:
        raise Reject("no such order", requeue=False)  # to orders-dead at once


if __name__ == "__main__":
    ship.delay(-1)
# [end]
