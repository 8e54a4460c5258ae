"""What is still to be said to SQS about messages, and when: batches that fill up, entries to be tried again."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from enum import Enum

from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.settling.holdings import Lease


class Verb(Enum):
    """What is done with a message."""

    DELETE = "delete"
    RELEASE = "release"
    RENEW = "renew"


@dataclass(slots=True)
class Entry:
    """One line of a batch.

    Args:
        queue_url: where the receipt handle is good.
        seconds: the visibility timeout to set.
        attempt: how often it has failed.
        lease: what a renewal renews, or what a message was held by until it was settled.
        sent_at: when it left the last time, on the clock of its owner.
        waited: whether it has waited for the answer to a renewal.
    """

    delivery: Delivery
    queue_url: str
    receipt_handle: str
    seconds: int = 0
    attempt: int = 0
    lease: Lease | None = None
    sent_at: float = 0.0
    waited: bool = False


#: What the entries of one request have in common: the verb, and the queue's URL.
Target = tuple[Verb, str]
Batch = tuple[Target, list[Entry]]


class Outbox:
    """Entries waiting to be sent. Not thread-safe: its owner holds the lock, and tells the time.

    Args:
        ack_delay: longest time in seconds that a delete waits for others.
        patience: longest time in seconds that what settles a message waits for the answer to a renewal on its way.
            SQS may see the two in any order: a refusal would not tell whether the lease was lost or the message
            deleted, and a renewal that comes after a give-back hides the message.
    """

    def __init__(self, *, ack_delay: float, patience: float) -> None:
        self._patience = patience
        self._behind: list[tuple[float, Verb, Entry]] = []
        self._deletes: Batcher[Target, Entry] = Batcher(max_age=ack_delay)
        self._changes: Batcher[Target, Entry] = Batcher(max_age=0)
        self._retries: list[tuple[float, int, Target, Entry]] = []
        self._order = itertools.count()

    def add(self, verb: Verb, entry: Entry, *, now: float) -> bool:
        """Take an entry in; True where that changes when the next batch is due."""
        if entry.lease is not None and entry.lease.asked and not entry.waited:
            entry.waited = True
            self._behind.append((now + self._patience, verb, entry))
            return True
        batcher = self._deletes if verb is Verb.DELETE else self._changes
        first = batcher.empty
        return batcher.add((verb, entry.queue_url), entry, now=now) or first

    def add_again(self, target: Target, entry: Entry, *, at: float) -> None:
        """Take back an entry that has failed, to be sent alone, at a point of the clock."""
        heapq.heappush(self._retries, (at, next(self._order), target, entry))

    def due(self, now: float, *, everything: bool = False) -> list[Batch]:
        """Hand out what is to be sent now; with ``everything`` also the deletes that wait for others."""
        behind, self._behind = self._behind, []
        for until, verb, entry in behind:
            if until <= now or entry.lease is None or not entry.lease.asked:
                self.add(verb, entry, now=now)
            else:
                self._behind.append((until, verb, entry))
        batches = self._deletes.drain() if everything else self._deletes.due(now)
        batches += self._changes.due(now)
        while self._retries and self._retries[0][0] <= now:
            _, _, target, entry = heapq.heappop(self._retries)
            batches.append((target, [entry]))
        return batches

    def full_deletes(self) -> list[Batch]:
        """Hand out the deletes that fill a request, and were not tried before."""
        return self._deletes.full()

    def next_due(self) -> float | None:
        """When the next batch is due; None with nothing waiting."""
        moments = [self._deletes.next_due(), self._changes.next_due(), self._retries[0][0] if self._retries else None]
        moments += [until for until, _, _ in self._behind]
        return min((moment for moment in moments if moment is not None), default=None)
