"""Which messages this process holds, and which it has handled: so that no copy of either is run.

A copy is another receive of a message (same message id), or another message made by the same ``basic_publish`` (a
request repeated after its answer was lost, an SNS delivery repeated): same publish id, same queue.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.messages import Delivery

#: Handled messages remembered per queue.
MEMORY: Final = 1000


class Verdict(Enum):
    """What to do with a message that has just arrived."""

    #: Deliver it.
    NEW = "new"
    #: The same message is held already: its newer receipt handle has been taken over.
    HELD = "held"
    #: It was handled already, or its twin is held: delete it, do not run it.
    COPY = "copy"
    #: It was given out so long ago that it may be ours no more: do not run it, say nothing to SQS.
    LAPSED = "lapsed"


@dataclass(slots=True)
class Lease:
    """A held message: where and how it is settled now, and until when it is ours."""

    delivery: Delivery
    #: The message that stands for it on SQS now.
    message_id: str
    queue_url: str
    receipt_handle: str
    #: When the visibility timeout ends, on the clock of leases.
    ends_at: float
    #: When the message was received; AWS counts its twelve hours from there.
    since: float
    lost: bool = False
    renewing: bool = False
    #: Whether a request to renew it is on its way.
    asked: bool = False
    #: Whether the message is to be deleted, and that request has not left yet.
    closing: bool = False
    #: Whether it is being handed over to a fresh message; None: that has failed.
    handing_over: bool | None = False
    #: Whether it is being sent on: its twin is then no copy, but what it goes on as.
    moving: bool = False


class Holdings:
    """The messages of one process. Not thread-safe: its owner holds the lock."""

    def __init__(self, *, memory: int = MEMORY) -> None:
        self._memory = memory
        self._held: dict[tuple[str, str], Lease] = {}
        self._handled: dict[str, OrderedDict[str, None]] = {}
        #: No lease ends before this. It is reckoned anew when it has come, not whenever a message leaves.
        self._earliest: float | None = None

    def __len__(self) -> int:
        """Count what is held."""
        return len(self._held)

    def admit(self, delivery: Delivery, *, now: float, lease_seconds: float) -> Verdict:
        """Decide about an arrival, and hold it where it is new."""
        key = delivery.copy_key
        lease = self._held.get(key)
        twin = lease is not None and (lease.message_id, lease.queue_url) != (delivery.message_id, delivery.queue_url)
        if lease is not None and not (twin and lease.moving):
            # Where the lease is lost the twin may be the only one that is left on SQS.
            if twin and not lease.lost:
                return Verdict.COPY  # Another of the same publish, or what was handed over and deleted.
            lease.message_id, lease.queue_url = delivery.message_id, delivery.queue_url
            lease.receipt_handle = delivery.receipt_handle
            # SQS counts its twelve hours from the last receive.
            lease.lost, lease.since, lease.handing_over = False, now, False
            self.extended(lease, ends_at=now + lease_seconds)
            return Verdict.HELD
        if key[1] in self._handled.get(key[0], ()):
            return Verdict.COPY
        lease = Lease(
            delivery=delivery,
            message_id=delivery.message_id,
            queue_url=delivery.queue_url,
            receipt_handle=delivery.receipt_handle,
            ends_at=0.0,
            since=now,
        )
        self._held[key] = lease
        self.extended(lease, ends_at=now + lease_seconds)
        return Verdict.NEW

    def extended(self, lease: Lease, *, ends_at: float) -> None:
        """Note until when a lease is ours now."""
        lease.ends_at = ends_at
        if self._earliest is None or ends_at < self._earliest:
            self._earliest = ends_at

    def moving(self, delivery: Delivery) -> None:
        """Note that a held message is being sent on."""
        lease = self._held.get(delivery.copy_key)
        if lease is not None and lease.delivery.message_id == delivery.message_id:
            lease.moving = True

    def handled(self, delivery: Delivery) -> Lease | None:
        """Note that a message is done with; the lease it was held by has the receipt that deletes it."""
        key = delivery.copy_key
        url, publish_id = key
        queue = self._handled.get(url)
        if queue is None:
            queue = self._handled[url] = OrderedDict()
        queue[publish_id] = None
        if len(queue) > self._memory:
            queue.popitem(last=False)
        return self._drop(key, delivery)

    def drop(self, delivery: Delivery) -> Lease | None:
        """Hold a message no longer, without having handled it; give the lease it was held by."""
        return self._drop(delivery.copy_key, delivery)

    def _drop(self, key: tuple[str, str], delivery: Delivery) -> Lease | None:
        lease = self._held.get(key)
        if lease is None or lease.delivery.message_id != delivery.message_id:
            return None
        return self._held.pop(key)

    def has(self, delivery: Delivery) -> bool:
        """Whether a message is held."""
        lease = self._held.get(delivery.copy_key)
        return lease is not None and lease.delivery is delivery

    def everything(self) -> list[Delivery]:
        """List the messages that are held."""
        return [lease.delivery for lease in self._held.values()]

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is of a message that is still held."""
        return self._held.get(lease.delivery.copy_key) is lease

    def to_renew(self, *, latest: float, before: float) -> list[Lease]:
        """List the leases to renew, if there is one that ends by ``latest``: the next to end come first.

        Those are the ones that end until ``before``, and of each queue as many others as its requests have room for. So
        leases that began one after the other come to be renewed together, and a message is renewed again only after all
        others of its queue.
        """
        if self._earliest is None or self._earliest > latest:
            return []
        running = [lease for lease in self._held.values() if not lease.lost and not lease.renewing]
        self._earliest = min((lease.ends_at for lease in running), default=None)
        if self._earliest is None or self._earliest > latest:
            return []
        chosen: dict[str, list[Lease]] = {}
        for lease in sorted(running, key=lambda one: one.ends_at):
            others = chosen.setdefault(lease.queue_url, [])
            if lease.ends_at <= before or len(others) % quotas.MAX_BATCH_ENTRIES:
                others.append(lease)
        return [lease for leases in chosen.values() for lease in leases]

    def next_end(self) -> float | None:
        """When to look at the leases again, at the latest: none ends before; None with nothing held."""
        return self._earliest
