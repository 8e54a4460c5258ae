"""A worker that Prometheus can watch: ``PROMETHEUS_MULTIPROC_DIR=$(mktemp -d) celery -A prometheus_metrics worker``."""

from __future__ import annotations

# [readme: prometheus]
import os

from celery import Celery
from celery.signals import worker_ready
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

app = Celery("prometheus_metrics", broker=os.environ.get("BROKER_URL", "sns-sqs://"))
app.conf.broker_transport_options = {"hooks": "prometheus"}


@worker_ready.connect  # in the main process, which answers for all
def expose(**_kwargs: object) -> None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # of what the processes leave in PROMETHEUS_MULTIPROC_DIR
    start_http_server(int(os.environ.get("METRICS_PORT", "9100")), registry=registry)


@app.task(ignore_result=True)
def work() -> None:
    print("worked")


@app.task(ignore_result=True)
def delegate() -> None:
    work.delay()  # published, and counted, by a child of the pool


if __name__ == "__main__":
    delegate.delay()
# [end]
