"""Many tasks at once. Start a worker with ``celery -A batches worker``, then run this file."""

from __future__ import annotations

# [readme: batches]
import os

from celery import Celery, group

from celery_integration import install, publish_batch

app = Celery("batches", broker=os.environ.get("BROKER_URL", "sns-sqs://"), backend="rpc://")
install(app)


@app.task
def square(x: int) -> int:
    return x * x


if __name__ == "__main__":
    print(sum(group(square.s(x) for x in range(25)).apply_async().get(timeout=30)))  # three requests

    with publish_batch(app):  # ten tasks to a request, all sent when the block ends
        results = [square.delay(x) for x in range(25)]
    print(sum(result.get(timeout=30) for result in results))
# [end]
