"""An adapter for OpenTelemetry's metrics: ``hooks="opentelemetry"``. Names are those of the messaging conventions.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import MeterProvider, get_meter

from kombu_sns_sqs import __version__
from kombu_sns_sqs.monitoring.hooks import ApiCall, Hooks, Published, Received, Service, Settled
from kombu_sns_sqs.monitoring.naming import template_of
from kombu_sns_sqs.monitoring.updating import updating

if TYPE_CHECKING:
    from kombu_sns_sqs.settling.losses import LostLease

__all__ = ("OpenTelemetryHooks",)

#: ``messaging.system`` of each service.
#: https://opentelemetry.io/docs/specs/semconv/registry/attributes/messaging/
_SYSTEMS: Final = {"sqs": "aws_sqs", "sns": "aws.sns"}
#: ``messaging.operation.type`` of each request that moves messages; the others are not operations of messaging.
_TYPES: Final = {
    "SendMessage": "send",
    "SendMessageBatch": "send",
    "Publish": "send",
    "PublishBatch": "send",
    "ReceiveMessage": "receive",
    "DeleteMessage": "settle",
    "DeleteMessageBatch": "settle",
    "ChangeMessageVisibility": "settle",
    "ChangeMessageVisibilityBatch": "settle",
}
#: Seconds, as the conventions have it.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

_Attributes = dict[str, str]


class OpenTelemetryHooks(Hooks):
    """Counts messages and times requests. Names with a UUID are told as ``messaging.destination.template``.

    Args:
        meter_provider: whose meter; the global one, also one that is set later, unless given.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        meter = get_meter("kombu_sns_sqs", __version__, meter_provider=meter_provider)
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Messages the producer attempted to send."
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "Messages delivered to the application."
        )
        self._duration = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Duration of requests that send, receive or settle messages; of a receive with its wait.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._control = meter.create_histogram(
            "kombu_sns_sqs.control.duration",
            "s",
            "Duration of the other requests: those that declare, bind and look up.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._retries = meter.create_counter(
            "kombu_sns_sqs.retries", "{request}", "Requests that repeated another one."
        )
        self._settled = meter.create_counter(
            "kombu_sns_sqs.settled.messages", "{message}", "Messages acked, requeued, dead-lettered or discarded."
        )
        self._lost = meter.create_counter(
            "kombu_sns_sqs.lost_leases", "{lease}", "Messages in hand that may run a second time elsewhere."
        )

    def on_publish(self, published: Published) -> None:
        """Count it, unless there was nowhere to send it."""
        if published.outcome == "dropped":
            return
        attributes = _operation(published.service, "publish", published.destination)
        if published.error is not None:
            attributes["error.type"] = published.error
        with updating:
            self._sent.add(1, attributes)

    def on_receive(self, received: Received) -> None:
        """Count it."""
        with updating:
            self._consumed.add(1, _operation("sqs", "deliver", received.queue))

    def on_settle(self, settled: Settled) -> None:
        """Count it by what became of it."""
        attributes = _operation("sqs", settled.how, settled.queue)
        if settled.reason:
            attributes["kombu_sns_sqs.reason"] = settled.reason
        with updating:
            self._settled.add(1, attributes)

    def on_lease_lost(self, lost: LostLease) -> None:
        """Count it by its reason."""
        attributes = {"messaging.system": _SYSTEMS["sqs"], **_destination(lost.queue)}
        with updating:
            self._lost.add(1, {**attributes, "kombu_sns_sqs.reason": lost.reason.value})

    def on_api_call(self, call: ApiCall) -> None:
        """Note how long it took, and whether it failed or was a repetition."""
        kind = _TYPES.get(call.action)
        attributes = {"messaging.system": _SYSTEMS[call.service], "messaging.operation.name": call.action}
        if kind is not None:
            attributes["messaging.operation.type"] = kind
        with updating:
            if call.retries:
                self._retries.add(call.retries, attributes)
            if call.error is not None:
                attributes = {**attributes, "error.type": call.error}
            (self._control if kind is None else self._duration).record(call.seconds, attributes)


def _operation(service: Service, name: str, destination: str) -> _Attributes:
    return {"messaging.system": _SYSTEMS[service], "messaging.operation.name": name, **_destination(destination)}


def _destination(name: str) -> _Attributes:
    template = template_of(name)
    return {"messaging.destination.name" if template == name else "messaging.destination.template": template}
