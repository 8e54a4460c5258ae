"""What is to be said to SQS about the messages of one process, and what its answers mean. Pure: the time is handed in.

:class:`~kombu_sns_sqs.settling.settler.Settler` is the thread around it, which sends, waits and reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.settling.holdings import Holdings, Lease, Verdict
from kombu_sns_sqs.settling.losses import Loss, LostLease
from kombu_sns_sqs.settling.outbox import Batch, Entry, Outbox, Target, Verb

#: A lease may be renewed when this part of it is left, and is when that is: between the two it waits for others, so
#: that messages received one after the other are renewed in one request, and together ever after.
_RENEW_AT: Final = 0.5
_RENEW_LATEST: Final = 0.4
_BACKOFF: Final = Backoff(base=0.2, cap=10.0, attempts=12)


class Settlements:
    """Holds, acks, gives back and renews. Not thread-safe: its owner holds the lock, and sends what is due.

    Args:
        lease_seconds: the visibility timeout of held messages.
        ack_delay: longest time an ack waits for others.
        chance: gives a number of [0, 1), for the jitter of repeated requests.
    """

    def __init__(self, *, lease_seconds: int, ack_delay: float, chance: Callable[[], float]) -> None:
        self._lease_seconds = lease_seconds
        self._chance = chance
        self._holdings = Holdings()
        self._outbox = Outbox(ack_delay=ack_delay)
        self._losses: list[LostLease] = []
        #: Entries that were asked for and are not answered for good.
        self.unsettled = 0

    def __len__(self) -> int:
        """Count what is held."""
        return len(self._holdings)

    # -- what is asked ---------------------------------------------------------------------------------------

    def hold(self, delivery: Delivery, now: float, *, since: float | None = None) -> Verdict:
        """Take an arrived message under lease, and say whether it may be delivered.

        ``since``: when SQS gave it out; None: now.
        """
        since = now if since is None else min(since, now)
        if since + self._lease_seconds <= now:
            detail = "its lease had ended when its arrival was noticed; it is not delivered here"
            self._losses.append(LostLease.of(delivery, Loss.LATE, held_seconds=now - since, detail=detail))
            return Verdict.LAPSED
        verdict = self._holdings.admit(delivery, now=since, lease_seconds=self._lease_seconds)
        if verdict is Verdict.COPY:
            self.discard(delivery, now)
        return verdict

    def ack(self, delivery: Delivery, now: float) -> bool:
        """Delete a handled message; True where that changes when the next batch is due."""
        return self._delete(delivery, self._holdings.handled(delivery), now)

    def discard(self, delivery: Delivery, now: float) -> bool:
        """Delete a message that was not handled, a copy; True where that changes when the next batch is due."""
        return self._delete(delivery, self._holdings.drop(delivery), now)

    def release(self, delivery: Delivery, now: float, *, delay: int = 0) -> None:
        """Give a message back: visible to all in ``delay`` seconds.

        With its lease lost nothing is said to SQS: the message is visible already, or somebody else's, from whom an
        emulator at least would take it.
        """
        lease = self._holdings.drop(delivery)
        if lease is not None:
            self._note_end(lease, now)
            if lease.lost:
                return
        handle = delivery.receipt_handle if lease is None else lease.receipt_handle
        self._add(Verb.RELEASE, Entry(delivery, handle, seconds=delay), now)

    def everything(self) -> list[Delivery]:
        """List the messages that are held."""
        return self._holdings.everything()

    def _delete(self, delivery: Delivery, lease: Lease | None, now: float) -> bool:
        handle = delivery.receipt_handle if lease is None else lease.receipt_handle
        return self._add(Verb.DELETE, Entry(delivery, handle, lease=lease), now)

    def _add(self, verb: Verb, entry: Entry, now: float) -> bool:
        self.unsettled += 1
        return self._outbox.add(verb, entry, now=now)

    # -- what is sent ----------------------------------------------------------------------------------------

    def due(self, now: float, *, everything: bool = False) -> list[Batch]:
        """Hand out what is to be sent now; with ``everything`` also the deletions that wait for others."""
        renewals: Batcher[Target, Entry] = Batcher(max_age=0)
        leases = self._holdings.to_renew(
            latest=now + self._lease_seconds * _RENEW_LATEST, before=now + self._lease_seconds * _RENEW_AT
        )
        for lease in leases:
            if now - lease.since > quotas.MAX_VISIBILITY_SECONDS - self._lease_seconds:
                self._lose(lease, Loss.TWELVE_HOURS, now, "it has been held for the twelve hours that SQS allows")
                continue
            lease.renewing = True
            self.unsettled += 1
            entry = Entry(lease.delivery, lease.receipt_handle, seconds=self._lease_seconds, lease=lease)
            renewals.add((Verb.RENEW, lease.delivery.queue_url), entry, now=now)
        batches = self._outbox.due(now, everything=everything) + renewals.drain()
        for (verb, _), entries in batches:
            for entry in entries:
                entry.sent_at = now
                if verb is Verb.DELETE and entry.lease is not None:
                    self._note_end(entry.lease, now)
        return batches

    def _note_end(self, lease: Lease, now: float) -> None:
        """Note that a lease has ended before its message was settled, where nobody has noticed yet."""
        if not lease.lost and lease.ends_at <= now:
            self._lose(lease, Loss.LATE, now, "it was settled when its lease had ended")

    def next_due(self) -> float | None:
        """When something is to be sent, at the latest; None with nothing held and nothing waiting."""
        ends = self._holdings.next_end()
        moments = (self._outbox.next_due(), None if ends is None else ends - self._lease_seconds * _RENEW_LATEST)
        return min((moment for moment in moments if moment is not None), default=None)

    # -- what comes back -------------------------------------------------------------------------------------

    def done(self, target: Target, entry: Entry) -> None:
        """Take in that SQS has carried out an entry."""
        if target[0] is Verb.RENEW and entry.lease is not None:
            entry.lease.renewing = False
            if entry.receipt_handle == entry.lease.receipt_handle:
                # SQS counts from when it was asked, which was not before the request left.
                self._holdings.extended(entry.lease, ends_at=entry.sent_at + self._lease_seconds)
        self.unsettled -= 1

    def failed(self, target: Target, entry: Entry, failure: Failure, now: float, *, last: bool = False) -> bool:
        """Take in that SQS has not carried out an entry; True where it will be tried again, or a lease is lost.

        ``last``: nothing is tried again.
        """
        entry.attempt += 1
        lease = entry.lease if target[0] is Verb.RENEW else None
        if lease is not None and lease.receipt_handle != entry.receipt_handle:
            failure = Failure(kind=Kind.UNREACHABLE, code="SupersededReceipt")
            entry.receipt_handle = lease.receipt_handle
        patient = entry.attempt < _BACKOFF.attempts or (lease is not None and now < lease.ends_at)
        if failure.kind.passing and patient and not last:
            self._outbox.add_again(target, entry, at=now + _BACKOFF.delay(entry.attempt, self._chance))
            return True
        self.unsettled -= 1
        if lease is None:
            return False
        lease.renewing = False
        if self._holdings.holds(lease):  # Else it was settled while its renewal was on the way.
            self._lose(lease, self._reason(entry, failure), now, str(failure))
        return True

    @staticmethod
    def _reason(entry: Entry, failure: Failure) -> Loss:
        if failure.kind.passing:
            return Loss.UNREACHABLE
        late = entry.lease is not None and entry.lease.ends_at <= entry.sent_at
        return Loss.LATE if late else Loss.REFUSED

    def _lose(self, lease: Lease, reason: Loss, now: float, detail: str) -> None:
        lease.lost = True
        self._losses.append(LostLease.of(lease.delivery, reason, held_seconds=now - lease.since, detail=detail))

    def take_losses(self) -> list[LostLease]:
        """Hand out the leases lost since the last call."""
        losses, self._losses = self._losses, []
        return losses
