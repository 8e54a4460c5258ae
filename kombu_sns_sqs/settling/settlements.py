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
#: For how long a message is held by one receive: a minute less than SQS allows, as the receive was before its answer.
_LONGEST_HELD: Final = quotas.MAX_VISIBILITY_SECONDS - 60
#: How long before the last renewal the hand-over to a fresh message begins: as long as it is tried.
_HAND_OVER_SECONDS: Final = 1800.0
#: What arrives with less than this part of its lease left is not delivered: its first renewal might come too late.
_LEAST_LEFT: Final = 0.1
#: For how long what settles a message waits for the answer to its renewal: so many seconds, or that part of a lease.
_PATIENCE: Final = 1.0
_PATIENT_PART: Final = 0.125
_BACKOFF: Final = Backoff(base=0.2, cap=10.0, attempts=12)


class Settlements:
    """Holds, acks, gives back and renews. Not thread-safe: its owner holds the lock, and sends what is due.

    Args:
        lease_seconds: the visibility timeout of held messages.
        ack_delay: longest time an ack waits for others.
        chance: gives a number of [0, 1), for the jitter of repeated requests.
        hands_over: whether there is somebody who hands messages over to fresh ones before SQS's twelve hours end.
    """

    def __init__(
        self, *, lease_seconds: int, ack_delay: float, chance: Callable[[], float], hands_over: bool = False
    ) -> None:
        self._hands_over = hands_over
        self._lease_seconds = lease_seconds
        self._chance = chance
        self._holdings = Holdings()
        self._outbox = Outbox(ack_delay=ack_delay, patience=min(_PATIENCE, lease_seconds * _PATIENT_PART))
        self._losses: list[LostLease] = []
        self._to_hand_over: list[Lease] = []
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
        if since + self._lease_seconds * (1 - _LEAST_LEFT) <= now:
            detail = "its lease may have ended when its arrival was noticed; it is not delivered here"
            self._losses.append(LostLease.of(delivery, Loss.LATE, held_seconds=now - since, detail=detail))
            return Verdict.LAPSED
        verdict = self._holdings.admit(delivery, now=since, lease_seconds=self._lease_seconds)
        if verdict is Verdict.COPY:
            self._add(Verb.DELETE, Entry(delivery, *_receipt(delivery)), now)
        return verdict

    def ack(self, delivery: Delivery, now: float) -> bool:
        """Delete a handled message; True where that changes when the next batch is due."""
        return self._delete(delivery, self._holdings.handled(delivery), now)

    def discard(self, delivery: Delivery, now: float) -> bool:
        """Delete a message that was not handled, a copy; True where that changes when the next batch is due."""
        return self._delete(delivery, self._holdings.drop(delivery), now)

    def moving(self, delivery: Delivery) -> None:
        """Note that a held message is being sent on: what it goes on as may come before that is known."""
        self._holdings.moving(delivery)

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
        place = _receipt(delivery if lease is None else lease)
        self._add(Verb.RELEASE, Entry(delivery, *place, seconds=delay, lease=lease), now)

    def forgotten(self, delivery: Delivery, now: float) -> None:
        """Give a message back that nobody has in hand any more, unless it was settled."""
        if self._holdings.has(delivery):
            self.release(delivery, now)

    def everything(self) -> list[Delivery]:
        """List the messages that are held."""
        return self._holdings.everything()

    def _delete(self, delivery: Delivery, lease: Lease | None, now: float) -> bool:
        place = _receipt(delivery if lease is None else lease)
        if lease is not None:
            lease.closing = True
        return self._add(Verb.DELETE, Entry(delivery, *place, lease=lease), now)

    def _add(self, verb: Verb, entry: Entry, now: float) -> bool:
        self.unsettled += 1
        return self._outbox.add(verb, entry, now=now)

    # -- what is sent ----------------------------------------------------------------------------------------

    def due(self, now: float, *, everything: bool = False, full_deletes: bool = False) -> list[Batch]:
        """Hand out what is to be sent now.

        ``everything``: also the deletions that wait for others; ``full_deletes``: only those that fill a request.
        """
        renewals: Batcher[Target, Entry] = Batcher(max_age=0)
        latest, before = now + self._lease_seconds * _RENEW_LATEST, now + self._lease_seconds * _RENEW_AT
        for lease in () if full_deletes else self._holdings.to_renew(latest=latest, before=before):
            if not self._may_renew(lease, now):
                continue
            lease.renewing = True
            self.unsettled += 1
            entry = Entry(lease.delivery, *_receipt(lease), seconds=self._lease_seconds, lease=lease)
            renewals.add((Verb.RENEW, entry.queue_url), entry, now=now)
        due = self._outbox.full_deletes() if full_deletes else self._outbox.due(now, everything=everything)
        batches: list[Batch] = []
        for target, entries in due + renewals.drain():
            # A renewal that is tried again must not hide what was given back meanwhile.
            wanted = [one for one in entries if target[0] is not Verb.RENEW or self.holds(one.lease)]
            self.unsettled -= len(entries) - len(wanted)
            for entry in wanted:
                entry.sent_at = now
                if entry.lease is not None and target[0] is Verb.RENEW:
                    entry.lease.asked = True
                elif entry.lease is not None and target[0] is Verb.DELETE:
                    entry.lease.closing = False
                    self._note_end(entry.lease, now)
            if wanted:
                batches.append((target, wanted))
        return batches

    def _may_renew(self, lease: Lease, now: float) -> bool:
        """Say whether SQS would renew a lease; when it soon will not, have it handed over."""
        left = lease.since + _LONGEST_HELD - self._lease_seconds - now
        if left < _HAND_OVER_SECONDS and self._hands_over and lease.handing_over is False:
            lease.handing_over = True
            self._to_hand_over.append(lease)
        if left >= 0:
            return True
        if lease.handing_over:
            lease.renewing = True  # Nothing to be renewed any more; the one who hands it over adopts it or gives it up.
        else:
            self._lose(lease, Loss.TWELVE_HOURS, now, "it has been held for the twelve hours that SQS allows")
        return False

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
        """Take in that SQS has carried out an entry, or will not."""
        if target[0] is Verb.RENEW and entry.lease is not None:
            entry.lease.renewing = entry.lease.asked = False
            if entry.receipt_handle == entry.lease.receipt_handle:
                # SQS counts from when it was asked, which was not before the request left.
                self._holdings.extended(entry.lease, ends_at=entry.sent_at + self._lease_seconds)
        self.unsettled -= 1

    def failed(self, target: Target, entry: Entry, failure: Failure, now: float, *, last: bool = False) -> bool:
        """Take in that SQS has not carried out an entry: it will be tried again, or a lease is lost.

        False where neither is so, for the caller to say so, and then to be :meth:`done` with it. ``last``: nothing is
        tried again.
        """
        entry.attempt += 1
        lease = entry.lease if target[0] is Verb.RENEW else None
        if lease is not None:
            lease.asked = False
        if lease is not None and lease.receipt_handle != entry.receipt_handle:
            # Which is no reason to wait: the lease is a new one.
            failure, entry.attempt = Failure(kind=Kind.UNREACHABLE, code="SupersededReceipt"), 0
            entry.queue_url, entry.receipt_handle = _receipt(lease)
        patient = entry.attempt < _BACKOFF.attempts or (lease is not None and now < lease.ends_at)
        wanted = lease is None or self.holds(lease)
        if failure.kind.passing and patient and wanted and not last:
            delay = _BACKOFF.delay(entry.attempt, self._chance) if entry.attempt else 0.0
            if lease is not None:  # Not so patient that the lease ends meanwhile.
                delay = min(delay, max(_BACKOFF.base, (lease.ends_at - now) / 2))
            self._outbox.add_again((target[0], entry.queue_url), entry, at=now + delay)
            return True
        if lease is None:
            return False
        self.unsettled -= 1
        lease.renewing = False
        # What was settled meanwhile may be refused because it is deleted: not before that has left.
        if self._holdings.holds(lease) or (lease.closing and not failure.kind.passing):
            self._lose(lease, _reason(entry, failure), now, str(failure))
        return True

    def _lose(self, lease: Lease, reason: Loss, now: float, detail: str) -> None:
        lease.lost = True
        self._losses.append(LostLease.of(lease.delivery, reason, held_seconds=now - lease.since, detail=detail))

    # -- handing over ----------------------------------------------------------------------------------------

    def take_hand_overs(self) -> list[Lease]:
        """Give out the leases that are to be handed over to a fresh message."""
        leases, self._to_hand_over = self._to_hand_over, []
        return leases

    def holds(self, lease: Lease | None) -> bool:
        """Whether a lease is of a message that is still held."""
        return lease is not None and self._holdings.holds(lease)

    def adopt(self, lease: Lease, fresh: Delivery, now: float, *, since: float) -> None:
        """Hold a message by a fresh one from now on, which was received at ``since``, and delete the old one.

        Where it was settled meanwhile it is the fresh one that is deleted.
        """
        if not self._holdings.holds(lease):
            self.discard(fresh, now)
            return
        self._add(Verb.DELETE, Entry(lease.delivery, *_receipt(lease)), now)
        lease.queue_url, lease.receipt_handle, lease.since = *_receipt(fresh), since
        lease.message_id = fresh.message_id
        lease.lost = lease.renewing = lease.handing_over = False
        self._holdings.extended(lease, ends_at=since + self._lease_seconds)

    def give_up(self, lease: Lease) -> None:
        """Take note that a lease cannot be handed over: it is lost when SQS renews it no more."""
        lease.handing_over, lease.renewing = None, False
        if self._holdings.holds(lease):
            self._holdings.extended(lease, ends_at=lease.ends_at)

    def take_losses(self) -> list[LostLease]:
        """Hand out the leases lost since the last call."""
        losses, self._losses = self._losses, []
        return losses


def _reason(entry: Entry, failure: Failure) -> Loss:
    """Say what a renewal that has failed tells."""
    if failure.kind.passing:
        return Loss.UNREACHABLE
    late = entry.lease is not None and entry.lease.ends_at <= entry.sent_at
    return Loss.LATE if late else Loss.REFUSED


def _receipt(held: Lease | Delivery) -> tuple[str, str]:
    """Say where a message is settled, and by which receipt."""
    return held.queue_url, held.receipt_handle
