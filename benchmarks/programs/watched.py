"""The Celery app of workers whose events are counted: with all that Celery has by default, and gossip on demand."""

from __future__ import annotations

import os

from celery import Celery

from celery_integration import install

app = Celery("watched", broker=os.environ["BROKER_URL"])
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
install(app, mingle=False, gossip=os.environ.get("GOSSIP") == "1")


@app.task
def nothing() -> None:
    """Do nothing."""
