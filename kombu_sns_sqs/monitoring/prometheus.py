"""An adapter for prometheus_client: ``hooks="prometheus"``. It counts; to expose what is counted is the application's.

https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from kombu_sns_sqs.monitoring.hooks import ApiCall, Hooks, Published, Received, Settled
from kombu_sns_sqs.monitoring.naming import template_of
from kombu_sns_sqs.monitoring.updating import updating

if TYPE_CHECKING:
    from kombu_sns_sqs.settling.losses import LostLease

__all__ = ("PrometheusHooks",)

#: Seconds. A long poll takes up to 20 of them, a usual request some hundredths.
_CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
#: Seconds from a message's arrival on SQS to its delivery: what waits in a backlog waits for long.
_AGE_BUCKETS: Final = (0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1000.0, 3600.0, 10_000.0)


class PrometheusHooks(Hooks):
    """Counts messages and requests. UUIDs in the names of queues become ``{uuid}``, so that labels stay few.

    Args:
        registry: where the metrics are; that of ``prometheus_client`` unless given. A registry takes one of these.
        wall: the time in epoch seconds.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"kombu_sns_sqs_{name}", words, labels, registry=registry)

        def histogram(name: str, words: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"kombu_sns_sqs_{name}", words, labels, buckets=buckets, registry=registry)

        self._published = counter(
            "published_messages",
            "Messages published: sent, refused, of unknown outcome, or dropped for want of a queue.",
            *("service", "destination", "outcome"),
        )
        self._received = counter("received_messages", "Messages handed to the application.", "queue", "redelivered")
        self._age = histogram(
            "message_age_seconds",
            "Time from a message's arrival on SQS to its delivery, a delay that was asked for included.",
            "queue",
            buckets=_AGE_BUCKETS,
        )
        self._settled = counter(
            "settled_messages", "Messages acked, requeued, dead-lettered or discarded.", "queue", "how", "reason"
        )
        self._lost = counter("lost_leases", "Messages in hand that may run again elsewhere.", "queue", "reason")
        self._calls = histogram(
            "api_call_seconds",
            "Calls of AWS's, repeated requests and the wait of long polls included.",
            *("service", "action"),
            buckets=_CALL_BUCKETS,
        )
        self._errors = counter(
            "api_errors",
            "Calls of AWS's that failed, and entries of batches that did (error BatchEntry).",
            *("service", "action", "error"),
        )
        self._retries = counter("api_retries", "Requests to AWS that repeated another one.", "service", "action")

    def on_publish(self, published: Published) -> None:
        """Count it by where it went."""
        with updating:
            self._published.labels(published.service, template_of(published.destination), published.outcome).inc()

    def on_receive(self, received: Received) -> None:
        """Count it, and note how long it has waited."""
        queue = template_of(received.queue)
        with updating:
            self._received.labels(queue, "true" if received.receive_count > 1 else "false").inc()
            if received.sent_at:
                self._age.labels(queue).observe(max(0.0, self._wall() - received.sent_at))

    def on_settle(self, settled: Settled) -> None:
        """Count it by what became of it."""
        with updating:
            self._settled.labels(template_of(settled.queue), settled.how, settled.reason).inc()

    def on_lease_lost(self, lost: LostLease) -> None:
        """Count it by its reason."""
        with updating:
            self._lost.labels(template_of(lost.queue), lost.reason.value).inc()

    def on_api_call(self, call: ApiCall) -> None:
        """Note how long it took, and whether it failed or was a repetition."""
        with updating:
            self._calls.labels(call.service, call.action).observe(call.seconds)
            if call.error is not None:
                self._errors.labels(call.service, call.action, call.error).inc()
            if call.failed:
                self._errors.labels(call.service, call.action, "BatchEntry").inc(call.failed)
            if call.retries:
                self._retries.labels(call.service, call.action).inc(call.retries)
