"""What an answer to a receive holds, message by message: read, matched, checked for its age."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kombu_sns_sqs import delay
from kombu_sns_sqs.addressing import is_reply_exchange
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.filters import ROUTING_KEY
from kombu_sns_sqs.topology.knowledge import KnownBindings, Match
from kombu_sns_sqs.topology.levels import priority_of
from kombu_sns_sqs.wire import envelope

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
#: Seconds by which this machine's clock may be ahead of AWS's before it is not believed.
_CLOCK_TRUST: Final = 30.0

_seldom: Final = Seldom()


@dataclass(slots=True)
class Arrival:
    """A received message that is not yet delivered.

    Args:
        level: the priority level it is delivered at.
        expires_at: when it must not be delivered any more, on the monotonic clock; None: never.
        since: when it arrived, on the monotonic clock.
        due_at: when it may be delivered, on the monotonic clock; None: at once.
    """

    delivery: Delivery
    level: int
    expires_at: float | None
    since: float
    due_at: float | None = None

    def expired(self, now: float) -> bool:
        """Whether its time to live has run out."""
        return self.expires_at is not None and now >= self.expires_at

    def early(self, now: float) -> bool:
        """Whether it has to wait until it is due: Celery holds a task for its last moments itself."""
        due = self.delivery.content.due
        if self.due_at is None or due is None:
            return False
        return self.due_at - now > (delay.TOLERANCE if due.eta else 0.0)


def read(raw: Mapping[str, Any], *, queue: Queue, url: str) -> Delivery:
    """Read one message of a ReceiveMessage answer."""
    system = raw.get("Attributes") or {}
    attributes = raw.get("MessageAttributes") or {}
    content = envelope.decode(raw.get("Body") or "", attributes)
    if content.foreign and envelope.is_marked(attributes) and _seldom.count(queue.name):
        told = fields("undecodable", queue=queue.name, message_id=raw["MessageId"])
        words = "message %s of queue %r is marked as ours and cannot be read: it is delivered as it is"
        logger.warning(words, raw["MessageId"], queue.name, extra=told)
    return Delivery(
        queue=queue.name,
        queue_url=url,
        identity=queue.identity,
        receipt_handle=raw["ReceiptHandle"],
        message_id=raw["MessageId"],
        receive_count=_number(system.get("ApproximateReceiveCount"), 1),
        sent_at=_number(system.get("SentTimestamp"), 0) / 1000,
        content=content,
        attributes=attributes,
        system_attributes=system,
        dead_letters=queue.dead_letters,
        lease_seconds=queue.lease_seconds,
        level=queue.urls.index(url) if len(queue.urls) > 1 and url in queue.urls else 0,
        text=raw["Body"] if content.due is not None else "",
    )


def arrive(delivery: Delivery, *, queue: Queue, aws_now: float | None, now: float, wall: Clock = time.time) -> Arrival:
    """Reckon from when and until when a message may be delivered.

    Its time to live is reckoned in AWS's time: two machines' clocks are never compared. That of a message that had to
    wait begins when it is due.

    ``aws_now``: the ``Date`` of the answer that brought it; ``wall`` tells this machine's time of day.
    """
    due_at = None
    begins = delivery.sent_at
    if delivery.content.due is not None:
        due_at = now + delivery.content.due.at - wall_clock(aws_now, wall())
        begins = max(begins, delivery.content.due.at)
    ttls = [ttl for ttl in (delivery.content.expiration_ms, queue.ttl_ms) if ttl is not None]
    expires_at = None
    if ttls and aws_now is not None and delivery.sent_at:
        expires_at = now + begins + min(ttls) / 1000 - aws_now
    return Arrival(
        delivery=delivery,
        level=min(delivery.content.priority, len(queue.urls) - 1),
        expires_at=expires_at,
        since=now,
        due_at=due_at,
    )


def wall_clock(aws_now: float | None, own: float) -> float:
    """Tell the time of day, for which an ETA is meant: this machine's, as Celery does, unless it is far ahead of AWS's.

    Only far ahead: the ``Date`` of an answer is in whole seconds, and of the moment at which a long poll was answered,
    or perhaps begun. A clock that is behind makes tasks late, here as in Celery.
    """
    return own if aws_now is None else min(own, aws_now + _CLOCK_TRUST)


def match(delivery: Delivery, known: KnownBindings, *, received_at: float) -> Match:
    """Say whether a message belongs into the queue it came to, and into the level of it.

    Only what came through a topic is asked: what was sent to the queue itself was meant for it, whatever exchange its
    envelope names; but a reply to a call that has ended is nobody's.
    """
    content = delivery.content
    if known.answers_to is not None and is_reply_exchange(content.exchange):
        return Match.YES if content.routing_key == known.answers_to else Match.NO
    if ROUTING_KEY not in delivery.attributes or not content.exchange:
        return Match.YES
    return known.match(
        content.exchange,
        content.routing_key,
        sent_at=delivery.sent_at,
        received_at=received_at,
        level=delivery.level,
        priority=priority_of(delivery.attributes),
    )


monotonic: Clock = time.monotonic


def _number(text: Any, default: int) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        return default
