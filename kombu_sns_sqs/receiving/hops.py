"""One message that is sent on: what it waits for, where to, and what of it changes on the way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import digest
from kombu_sns_sqs.aws.operation import SendEntry
from kombu_sns_sqs.delay import Step
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import DEFAULT_GROUP, Delivery
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire.trace import system_attributes, trace_received


@dataclass(frozen=True, slots=True)
class Target:
    """Where messages go: what one batch has in common."""

    url: str
    identity: Identity


@dataclass(slots=True, eq=False)
class Hop:
    """A message on its way from the companion of a queue, or from the queue itself, to wherever it is due.

    Args:
        delivery: as it was received, with its ``text``.
        queue: where it is due.
        due_at: when, on the monotonic clock.
        held: whether it came to the queue itself, too early, and is under lease for as long as it is in hand.
        attempt: how often sending it on has failed.
    """

    delivery: Delivery
    queue: Queue
    due_at: float
    held: bool
    attempt: int = 0

    @property
    def eta(self) -> bool:
        """Whether Celery looks at the time again."""
        due = self.delivery.content.due
        return due is not None and due.eta

    @property
    def ordering(self) -> tuple[str | None, str | None]:
        """Group and deduplication id for the queue; what has been in a FIFO queue gets another id than it had there.

        The one it had would have it accepted and thrown away, within five minutes.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
        """
        if not self.held:
            return attrs.kept_ordering(self.delivery.attributes)
        system = self.delivery.system_attributes
        had = system.get("MessageDeduplicationId") or self.delivery.copy_key[1]
        return system.get("MessageGroupId"), digest("later", had) if self.queue.fifo else None

    def entry(self, step: Step, companion: Queue | None) -> tuple[Target, SendEntry]:
        """Say where the message goes, and how it is sent there."""
        group_id, deduplication_id = self.ordering
        attributes = attrs.sent_on(self.delivery.attributes)
        trace = system_attributes(trace_received(self.delivery))
        entry = SendEntry(id="", body=self.delivery.text, attributes=attributes, system_attributes=trace)
        if step.delay_seconds:
            entry["delay_seconds"] = step.delay_seconds
        if step.companion and companion is not None:
            entry["attributes"] = {**attributes, **attrs.keep_ordering(group_id, deduplication_id)}
            return Target(companion.url, companion.identity), entry
        if self.queue.fifo:
            entry["group_id"] = group_id or DEFAULT_GROUP
            entry["deduplication_id"] = deduplication_id or digest("later", self.delivery.message_id)
        elif group_id is not None:
            entry["group_id"] = group_id
        return Target(self.queue.level_url(self.delivery.content.priority), self.queue.identity), entry


def can_be_sent_on(attributes: Mapping[str, Any]) -> bool:
    """Whether a message can wait in a companion: it needs one attribute of the ten there may be."""
    return len(attrs.sent_on(attributes)) < quotas.MAX_MESSAGE_ATTRIBUTES


def size(entry: SendEntry) -> int:
    """Count the bytes an entry adds to its batch."""
    return len(entry["body"].encode()) + attrs.size(entry["attributes"])
