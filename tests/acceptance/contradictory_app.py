"""An app whose settings contradict each other."""

from __future__ import annotations

import os

from celery import Celery

from celery_integration import install

app = Celery("contradictory", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_reject_on_worker_lost=True,
    broker_connection_retry=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 3600},
)
install(app, checks=os.environ["CHECKS"] == "yes")


@app.task(ignore_result=True)
def work() -> None:
    """Do nothing."""
