"""The hooks: what a transport tells of its messages and requests to whoever wants to measure it. Pure.

Events are frozen values; fields may be added, so build none of them yourself by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.reply import Reply
    from kombu_sns_sqs.messages import Delivery
    from kombu_sns_sqs.settling.losses import LostLease

__all__ = ("ApiCall", "Hooks", "Published", "Received", "Settled")

Service = Literal["sqs", "sns"]
Outcome = Literal["sent", "refused", "unknown", "dropped"]
How = Literal["ack", "requeue", "dead letter", "discard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One message that the application has published, when its outcome was known.

    Args:
        exchange: as it was published; empty for the default exchange.
        routing_key: as it was published.
        destination: the queue or the exchange it went to, by its name in AMQP.
        service: ``sns`` where that is a topic, else ``sqs``.
        outcome: ``sent``; ``refused`` by AWS or by us; ``unknown``: no answer came; ``dropped``: no such queue, or
            an event for which there was no room, or no time at the stop.
        error: the name of the exception, see :mod:`kombu_sns_sqs.errors`; None where it was sent or dropped.
        seconds: how long it took, repeated requests included; None for an event or a message of a batch.
    """

    exchange: str
    routing_key: str
    destination: str
    service: Service
    outcome: Outcome
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message that is handed to the application.

    Args:
        queue: by its name in AMQP.
        exchange: the one it was published to; empty for the default exchange and for foreign messages.
        routing_key: the key it was published with.
        message_id: SQS's id.
        publish_id: the id its sender gave it; empty where the sender was not this transport.
        receive_count: how often SQS has given it out, 1 for the first time.
        sent_at: when SQS took it, in epoch seconds of AWS's clock; of a message that hopped, its last hop. 0: unknown.
    """

    queue: str
    exchange: str
    routing_key: str
    message_id: str
    publish_id: str
    receive_count: int
    sent_at: float

    @classmethod
    def of(cls, delivery: Delivery) -> Received:
        """Say it of a delivery."""
        content = delivery.content
        return cls(
            queue=delivery.queue,
            exchange=content.exchange,
            routing_key=content.routing_key,
            message_id=delivery.message_id,
            publish_id=content.publish_id,
            receive_count=delivery.receive_count,
            sent_at=delivery.sent_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One message that the application, or its age, has done with.

    Args:
        queue: by its name in AMQP.
        message_id: SQS's id.
        publish_id: the id its sender gave it; empty where the sender was not this transport.
        receive_count: how often SQS has given it out.
        how: ``ack``: it is being deleted; ``requeue``: given back; ``dead letter``: AWS has its dead letter;
            ``discard``: deleted, as its queue has no place for dead letters.
        reason: of the last two: ``rejected``, ``expired`` or ``delivery_limit``; else empty.
        delay: seconds for which a requeued message stays away.
    """

    queue: str
    message_id: str
    publish_id: str
    receive_count: int
    how: How
    reason: str = ""
    delay: int = 0

    @classmethod
    def of(cls, delivery: Delivery, how: How, *, reason: str = "", delay: int = 0) -> Settled:
        """Say it of a delivery."""
        return cls(
            queue=delivery.queue,
            message_id=delivery.message_id,
            publish_id=delivery.content.publish_id,
            receive_count=delivery.receive_count,
            how=how,
            reason=reason,
            delay=delay,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call of AWS's that has been answered, or given up: a request, and those that repeated it.

    Polls, batches and what settles messages are not repeated but made anew, by a call of their own; the batches of
    dead letters are repeated.

    Args:
        service: ``sqs`` or ``sns``.
        action: as in AWS's reference, ``SendMessageBatch``.
        seconds: until the last answer: the wait of a long poll and the pauses before repetitions are included.
        error: AWS's error code, or what the network did (``Timeout``); None where it was carried out.
        retries: how often the request was repeated.
        messages: how many messages it has sent, brought, deleted or given another visibility.
        failed: entries of a batch that were not carried out, though the request was.
    """

    service: str
    action: str
    seconds: float
    error: str | None = None
    retries: int = 0
    messages: int = 0
    failed: int = 0

    @classmethod
    def of(cls, reply: Reply, *, service: str, action: str, seconds: float, retries: int = 0) -> ApiCall:
        """Say it of a reply."""
        messages, failed = _counts(reply.value)
        error = None if reply.failure is None else reply.failure.code
        return cls(
            service=service,
            action=action,
            seconds=seconds,
            error=error,
            retries=retries,
            messages=messages,
            failed=failed,
        )


def _counts(value: Any) -> tuple[int, int]:
    """Count the messages an answer is about, and those of a batch that failed."""
    if isinstance(value, list):
        return len(value), 0
    if isinstance(value, str):
        return 1, 0
    if hasattr(value, "succeeded"):
        return len(value.succeeded), len(value.failed)
    return 0, 0


class Hooks:
    """What a transport tells: a class of methods that do nothing, to be subclassed; given as the option ``hooks``.

    A method that is not overridden is never called, and without hooks nothing is measured. They are called from
    several threads, also at the same time: the event loop's or the consumer's, publishers', those that renew leases,
    make dead letters and send events. Messages wait for them: be quick, and call no connection of this transport. What
    they raise is logged once for each method, and ignored.
    """

    def on_publish(self, published: Published) -> None:
        """Hear of a message that was published, sent or not."""

    def on_receive(self, received: Received) -> None:
        """Hear of a message just before the application gets it."""

    def on_settle(self, settled: Settled) -> None:
        """Hear of a message that was acked, requeued, dead-lettered or discarded."""

    def on_lease_lost(self, lost: LostLease) -> None:
        """Hear of a message in hand that may run a second time elsewhere; beside the option ``on_lease_lost``."""

    def on_api_call(self, call: ApiCall) -> None:
        """Hear of a request to AWS."""

    def __json__(self) -> str:
        """Give a name to Celery's ``inspect stats``, which shows the options as JSON."""
        return f"{type(self).__module__}.{type(self).__qualname__}"
