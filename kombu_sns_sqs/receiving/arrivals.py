"""What an answer to a receive holds, message by message: read, matched, checked for its age."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.filters import ROUTING_KEY
from kombu_sns_sqs.topology.knowledge import KnownBindings, Match
from kombu_sns_sqs.wire import envelope

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Arrival:
    """A received message that is not yet delivered.

    Args:
        level: the priority level it is delivered at.
        expires_at: when it must not be delivered any more, on the monotonic clock; None: never.
        since: when it arrived, on the monotonic clock.
    """

    delivery: Delivery
    level: int
    expires_at: float | None
    since: float

    def expired(self, now: float) -> bool:
        """Whether its time to live has run out."""
        return self.expires_at is not None and now >= self.expires_at


def read(raw: Mapping[str, Any], *, queue: Queue, url: str) -> Delivery:
    """Read one message of a ReceiveMessage answer."""
    system = raw.get("Attributes") or {}
    attributes = raw.get("MessageAttributes") or {}
    return Delivery(
        queue=queue.name,
        queue_url=url,
        identity=queue.identity,
        receipt_handle=raw["ReceiptHandle"],
        message_id=raw["MessageId"],
        receive_count=_number(system.get("ApproximateReceiveCount"), 1),
        sent_at=_number(system.get("SentTimestamp"), 0) / 1000,
        content=envelope.decode(raw.get("Body") or "", attributes),
        attributes=attributes,
        system_attributes=system,
        dead_letters=queue.dead_letters,
        lease_seconds=queue.lease_seconds,
    )


def arrive(delivery: Delivery, *, queue: Queue, aws_now: float | None, now: float) -> Arrival:
    """Reckon how long a message may still be delivered, in AWS's time: two machines' clocks are never compared.

    ``aws_now``: the ``Date`` of the answer that brought it.
    """
    ttls = [ttl for ttl in (delivery.content.expiration_ms, queue.ttl_ms) if ttl is not None]
    expires_at = None
    if ttls and aws_now is not None and delivery.sent_at:
        expires_at = now + delivery.sent_at + min(ttls) / 1000 - aws_now
    return Arrival(
        delivery=delivery,
        level=min(delivery.content.priority, len(queue.urls) - 1),
        expires_at=expires_at,
        since=now,
    )


def match(delivery: Delivery, known: KnownBindings, *, received_at: float) -> Match:
    """Say whether a message belongs into the queue it came to.

    Only what came through a topic is asked: what was sent to the queue itself was meant for it, whatever exchange its
    envelope names.
    """
    if ROUTING_KEY not in delivery.attributes or not delivery.content.exchange:
        return Match.YES
    content = delivery.content
    return known.match(content.exchange, content.routing_key, sent_at=delivery.sent_at, received_at=received_at)


Clock = Callable[[], float]
monotonic: Clock = time.monotonic


def _number(text: Any, default: int) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        return default
