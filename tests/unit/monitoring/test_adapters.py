"""What the adapters make of events: the names and labels that dashboards are built on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from kombu_sns_sqs import LostLease
from kombu_sns_sqs.monitoring.hooks import ApiCall, Hooks, Published, Received, Settled
from kombu_sns_sqs.monitoring.opentelemetry import OpenTelemetryHooks
from kombu_sns_sqs.monitoring.prometheus import PrometheusHooks
from kombu_sns_sqs.settling.losses import Loss

UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


def tell(hooks: Hooks) -> None:
    """Tell of one of everything, and of what has failed."""
    for destination, outcome, error in (
        ("celery", "sent", None),
        ("celery", "unknown", "Unreachable"),
        (UUID, "sent", None),
        ("gone", "dropped", None),
    ):
        hooks.on_publish(
            Published(
                exchange="",
                routing_key=destination,
                destination=destination,
                service="sqs",
                outcome=outcome,  # type: ignore[arg-type]
                error=error,
            )
        )
    hooks.on_publish(Published(exchange="news", routing_key="a", destination="news", service="sns", outcome="sent"))
    for count in (1, 2):
        hooks.on_receive(
            Received(
                queue="celery",
                exchange="",
                routing_key="celery",
                message_id="m",
                publish_id="p",
                receive_count=count,
                sent_at=93.0,
            )
        )
    for how, reason in (("ack", ""), ("dead letter", "rejected")):
        hooks.on_settle(
            Settled(queue="celery", message_id="m", publish_id="p", receive_count=1, how=how, reason=reason)  # type: ignore[arg-type]
        )
    hooks.on_lease_lost(LostLease(queue="celery", message_id="m", publish_id="p", reason=Loss.LATE, held_seconds=61.0))
    hooks.on_api_call(ApiCall(service="sqs", action="ReceiveMessage", seconds=20.0, messages=0))
    hooks.on_api_call(ApiCall(service="sqs", action="DeleteMessageBatch", seconds=0.02, messages=8, failed=2))
    hooks.on_api_call(ApiCall(service="sns", action="Publish", seconds=1.5, error="Throttled", retries=4))
    hooks.on_api_call(ApiCall(service="sqs", action="GetQueueUrl", seconds=0.01))


def test_prometheus_counts_by_names_and_labels_that_stay() -> None:
    """Names are of Prometheus's own style: a prefix, a unit, and _total for what only grows."""
    registry = CollectorRegistry()
    tell(PrometheusHooks(registry, wall=lambda: 100.0))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"kombu_sns_sqs_{name}", labels)

    published = "published_messages_total"
    assert value(published, service="sqs", destination="celery", outcome="sent") == 1
    assert value(published, service="sqs", destination="celery", outcome="unknown") == 1
    assert value(published, service="sqs", destination="{uuid}", outcome="sent") == 1
    assert value(published, service="sqs", destination="gone", outcome="dropped") == 1
    assert value(published, service="sns", destination="news", outcome="sent") == 1
    assert value("received_messages_total", queue="celery", redelivered="false") == 1
    assert value("received_messages_total", queue="celery", redelivered="true") == 1
    assert value("message_age_seconds_sum", queue="celery") == 14
    assert value("settled_messages_total", queue="celery", how="ack", reason="") == 1
    assert value("settled_messages_total", queue="celery", how="dead letter", reason="rejected") == 1
    assert value("lost_leases_total", queue="celery", reason="late") == 1
    assert value("api_call_seconds_sum", service="sqs", action="ReceiveMessage") == 20
    assert value("api_call_seconds_bucket", service="sqs", action="ReceiveMessage", le="20.0") == 1
    assert value("api_errors_total", service="sns", action="Publish", error="Throttled") == 1
    assert value("api_errors_total", service="sqs", action="DeleteMessageBatch", error="BatchEntry") == 2
    assert value("api_retries_total", service="sns", action="Publish") == 4
    assert value("api_retries_total", service="sqs", action="GetQueueUrl") is None


def test_prometheus_takes_a_clock_that_is_behind() -> None:
    """AWS's clock and this machine's are two: no age is below nothing."""
    registry = CollectorRegistry()
    tell(PrometheusHooks(registry, wall=lambda: 50.0))
    assert registry.get_sample_value("kombu_sns_sqs_message_age_seconds_sum", {"queue": "celery"}) == 0


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """What an exporter would read."""
    return InMemoryMetricReader()


def points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """All data points by the name of the metric."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [(dict(point.attributes or {}), point) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_opentelemetry_speaks_the_messaging_conventions(reader: InMemoryMetricReader) -> None:
    """Names, attributes and units are those of semconv; a message without a destination was not sent."""
    tell(OpenTelemetryHooks(MeterProvider([reader])))
    found = points(reader)
    sent = [(attributes, point.value) for attributes, point in found["messaging.client.sent.messages"]]
    base = {"messaging.system": "aws_sqs", "messaging.operation.name": "publish"}
    assert ({**base, "messaging.destination.name": "celery"}, 1) in sent
    assert ({**base, "messaging.destination.name": "celery", "error.type": "Unreachable"}, 1) in sent
    assert ({**base, "messaging.destination.template": "{uuid}"}, 1) in sent
    assert ({**base, "messaging.system": "aws.sns", "messaging.destination.name": "news"}, 1) in sent
    assert len(sent) == 4
    ((attributes, consumed),) = found["messaging.client.consumed.messages"]
    assert (attributes["messaging.destination.name"], consumed.value) == ("celery", 2)
    settled = {
        attributes["messaging.operation.name"]: attributes for attributes, _ in found["kombu_sns_sqs.settled.messages"]
    }
    assert settled["dead letter"]["kombu_sns_sqs.reason"] == "rejected"
    ((attributes, _),) = found["kombu_sns_sqs.lost_leases"]
    assert attributes["kombu_sns_sqs.reason"] == "late"


def test_opentelemetry_times_what_moves_messages_apart_from_the_rest(reader: InMemoryMetricReader) -> None:
    """By the action, with the type of the operation where the conventions have one, and the error where there was."""
    tell(OpenTelemetryHooks(MeterProvider([reader])))
    found = points(reader)
    durations = {
        attributes["messaging.operation.name"]: (attributes, point)
        for attributes, point in found["messaging.client.operation.duration"]
    }
    kinds = {name: attributes["messaging.operation.type"] for name, (attributes, _) in durations.items()}
    assert kinds == {"ReceiveMessage": "receive", "DeleteMessageBatch": "settle", "Publish": "send"}
    assert durations["Publish"][0]["error.type"] == "Throttled"
    assert durations["ReceiveMessage"][1].sum == 20
    assert durations["ReceiveMessage"][1].explicit_bounds[0] == 0.005
    ((attributes, _),) = found["kombu_sns_sqs.control.duration"]
    assert attributes["messaging.operation.name"] == "GetQueueUrl"
    ((attributes, retries),) = found["kombu_sns_sqs.retries"]
    assert (attributes["messaging.operation.name"], retries.value) == ("Publish", 4)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")
def test_a_child_that_is_forked_during_an_update_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of the metrics that another thread held would be held for ever in the child."""
    hooks = PrometheusHooks(CollectorRegistry())
    lock, begun, labels = threading.Lock(), threading.Event(), hooks._calls.labels

    def slow(*names: str) -> Any:
        with lock:
            begun.set()
            time.sleep(0.2)
            return labels(*names)

    monkeypatch.setattr(hooks._calls, "labels", slow)
    call = ApiCall(service="sqs", action="GetQueueUrl", seconds=0.01)
    thread = threading.Thread(target=hooks.on_api_call, args=(call,))
    thread.start()
    assert begun.wait(5)
    child = os.fork()
    if not child:
        signal.alarm(5)
        hooks.on_api_call(call)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    thread.join(5)
