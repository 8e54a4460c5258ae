"""The values that travel: a message on its way out, and a delivery on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from kombu_sns_sqs.delay import Due
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.redelivery import NO_DEAD_LETTERS, DeadLetterPolicy

#: The group of messages on a FIFO queue or topic that were given none: one group, one order.
DEFAULT_GROUP: Final = "default"

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Outgoing(NamedTuple):
    """A message as AWS gets it.

    Args:
        body: the text of the message body.
        attributes: message attributes in AWS's form, ``{name: {"DataType": …, "StringValue": …}}``.
        publish_id: one id for one ``basic_publish``, kept through every retry of its request.
        priority: 0 for the lowest.
        group_id: ``MessageGroupId``: the order of a FIFO queue, fairness on a standard one.
        deduplication_id: ``MessageDeduplicationId`` of a FIFO queue, where the sender gave one.
        due: when it may be delivered; None: at once.
        trace: X-Ray's trace header, see :mod:`kombu_sns_sqs.wire.trace`.
    """

    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    publish_id: str
    priority: int = 0
    group_id: str | None = None
    deduplication_id: str | None = None
    due: Due | None = None
    trace: str | None = None


class Content(NamedTuple):
    """What a message says, whoever wrote it.

    Args:
        body: text, or bytes where the sender sent bytes.
        exchange: the exchange it was published to; empty for the default exchange and for foreign messages.
        routing_key: the key it was published with.
        expiration_ms: its own time to live in milliseconds, or None.
        publish_id: the id its sender gave it; empty where the sender was not this transport.
        due: when it may be delivered; None: at once.
        foreign: whether it is no message of AMQP at all: an S3 event, plain text.
    """

    body: str | bytes
    content_type: str | None
    content_encoding: str | None
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    exchange: str = ""
    routing_key: str = ""
    priority: int = 0
    expiration_ms: int | None = None
    publish_id: str = ""
    due: Due | None = None
    foreign: bool = False


class Delivery(NamedTuple):
    """One receive of one message, with all that is needed to settle it wherever and whenever.

    Args:
        queue: the AMQP name of the queue.
        queue_url: where it was received, and so where it is acked.
        receipt_handle: of this receive.
        message_id: SQS's id: the same for every receive of the message.
        receive_count: ``ApproximateReceiveCount``; 1 for the first.
        sent_at: when SQS took the message, in AWS's time, epoch seconds.
        dead_letters: what its queue does with a message that is refused.
        lease_seconds: the lease it was received with, where its queue has one of its own; None: the usual one.
        level: the priority level whose SQS queue it was received from.
        text: the message body as it came, of a message that may have to be sent on; else empty.
    """

    queue: str
    queue_url: str
    identity: Identity
    receipt_handle: str
    message_id: str
    receive_count: int
    sent_at: float
    content: Content
    attributes: Mapping[str, Any] = _NONE
    system_attributes: Mapping[str, str] = _NONE
    dead_letters: DeadLetterPolicy = NO_DEAD_LETTERS
    lease_seconds: int | None = None
    level: int = 0
    text: str = ""

    @property
    def redelivered(self) -> bool:
        """Whether it was received before."""
        return self.receive_count > 1

    @property
    def copy_key(self) -> tuple[str, str]:
        """What all copies of one published message have in common, in one queue."""
        return (self.queue_url, self.content.publish_id or self.message_id)
