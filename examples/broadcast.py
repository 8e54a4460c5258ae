"""One task, run by every worker. Start two workers with ``celery -A broadcast worker -n …``, then run this file."""

from __future__ import annotations

# [readme: broadcast]
import os

from celery import Celery
from kombu import Queue
from kombu.common import Broadcast

app = Celery("broadcast", broker=os.environ.get("BROKER_URL", "sns-sqs://"))
app.conf.task_queues = [Queue("celery", exchange="celery", routing_key="celery"), Broadcast("everyone")]
app.conf.task_routes = {"broadcast.reload_cache": {"queue": "everyone", "exchange": "everyone"}}


@app.task(ignore_result=True)
def reload_cache() -> None:
    print(f"cache reloaded by {reload_cache.request.hostname}")


if __name__ == "__main__":
    reload_cache.delay()
# [end]
