"""The thread that settles: deletes what was acked, gives back what was not handled, renews what is held.

One daemon thread with a client of its own, because in the solo pool and in plain kombu a task runs inside the
consumer's thread, where neither hub nor ``drain_events`` turns. Any thread may call in. Requests are batched and
several are in flight; a failed entry is tried again alone. A forked child settles nothing of its parent's.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.native_threads import Joinable, start_native_thread
from kombu_sns_sqs.settling.holdings import Holdings, Lease, Verdict
from kombu_sns_sqs.settling.outbox import Batch, Entry, Outbox, Target, Verb

logger = logging.getLogger(__name__)

#: A lease may be renewed when this part of it is left, and is when that is: between the two it waits for others, so
#: that messages received one after the other are renewed in one request, and together ever after.
_RENEW_AT: Final = 0.5
_RENEW_LATEST: Final = 0.4
#: Longest sleep of the thread: what it does not hear of it finds out then.
_LONGEST_SLEEP: Final = 5.0
_BACKOFF: Final = Backoff(base=0.2, cap=10.0, attempts=12)


class Settler:
    """Holds, acks and gives back, for all connections of one process that share their options.

    Args:
        client: makes the thread's own event client.
        lease_seconds: the visibility timeout of held messages.
        ack_delay: longest time an ack waits for others.
    """

    def __init__(self, *, client: Callable[[], EventClient], lease_seconds: int, ack_delay: float) -> None:
        self._make_client = client
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._holdings = Holdings()
        self._outbox = Outbox(ack_delay=ack_delay)
        self._unsettled = 0
        self._hurry = False
        self._stopping = False
        self._pid = os.getpid()
        self._thread: Joinable | None = None
        self._client: EventClient | None = None

    # -- any thread ------------------------------------------------------------------------------------------

    def hold(self, delivery: Delivery, *, age: float = 0.0) -> Verdict:
        """Take under lease a message that arrived ``age`` seconds ago, and say whether it may be delivered."""
        with self._lock:
            verdict = self._holdings.admit(delivery, now=time.monotonic(), lease_seconds=self._lease_seconds - age)
            sleeping = len(self._holdings) == 1
        if verdict is Verdict.COPY:
            self.discard(delivery)
        elif sleeping:
            self._wake()
        return verdict

    def ack(self, delivery: Delivery) -> None:
        """Delete a handled message, soon and together with others."""
        if self._pid != os.getpid():
            return
        with self._lock:
            handle = self._holdings.handled(delivery)
            wake = self._add(Verb.DELETE, Entry(delivery, handle))
        if wake:
            self._wake()

    def discard(self, delivery: Delivery) -> None:
        """Delete a message that is not held: a copy."""
        with self._lock:
            wake = self._add(Verb.DELETE, Entry(delivery, delivery.receipt_handle))
        if wake:
            self._wake()

    def release(self, delivery: Delivery, *, delay: int = 0) -> None:
        """Give a message back: visible to all in ``delay`` seconds."""
        if self._pid != os.getpid():
            return
        with self._lock:
            handle = self._holdings.drop(delivery)
            self._add(Verb.RELEASE, Entry(delivery, handle, seconds=delay))
        self._wake()

    def flush(self, timeout: float) -> bool:
        """Wait until everything asked so far is answered; False where ``timeout`` seconds did not do."""
        if self._pid != os.getpid() or not self._unsettled:
            return True
        if self._stopping:
            return False
        deadline = time.monotonic() + timeout
        with self._idle:
            self._hurry = True
        self._wake()
        with self._idle:
            while self._unsettled:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(left)
        return True

    @property
    def held(self) -> int:
        """How many messages are under lease."""
        return len(self._holdings)

    def start(self) -> None:
        """Start the thread, once; it starts by itself with the first message."""
        with self._lock:
            if self._thread is not None or self._stopping or self._pid != os.getpid():
                return
            self._client = self._make_client()
            self._thread = start_native_thread(self._run, name="kombu-sns-sqs-settler")

    def stop(self, timeout: float) -> None:
        """Carry out what was asked, give back what is still held, within ``timeout`` seconds, and end."""
        with self._lock:
            held = self._holdings.everything()
        for delivery in held:
            self.release(delivery)
        settled = self.flush(timeout)
        if not settled:
            logger.warning("%d acks or give-backs were not carried out before the stop", self._unsettled)
        with self._lock:
            self._stopping = True
            thread = self._thread if self._pid == os.getpid() else None
        if thread is not None:
            self._wake()
            thread.join(timeout)

    # -- bookkeeping, under the lock -------------------------------------------------------------------------

    def _add(self, verb: Verb, entry: Entry) -> bool:
        """Put an entry into the outbox; True where the thread has to know."""
        self._unsettled += 1
        return self._outbox.add(verb, entry, now=time.monotonic())

    def _settled(self, count: int = 1) -> None:
        with self._idle:
            self._unsettled -= count
            if not self._unsettled:
                self._hurry = False
                self._idle.notify_all()

    def _wake(self) -> None:
        if self._thread is None:
            self.start()
        client = self._client
        if client is not None:
            client.wake()

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        client = self._client
        assert client is not None  # noqa: S101  # start() made it
        while not self._stopping:
            try:
                for target, entries in self._due(time.monotonic()):
                    self._send(client, target, entries)
                client.run_once(self._sleep(time.monotonic()))
            except Exception:
                # Whatever happens to one batch, the leases of all others depend on this thread.
                logger.exception("settling failed; the thread goes on")
        client.close()

    def _due(self, now: float) -> list[Batch]:
        with self._lock:
            renewals: Batcher[Target, Entry] = Batcher(max_age=0)
            leases = self._holdings.to_renew(
                latest=now + self._lease_seconds * _RENEW_LATEST, before=now + self._lease_seconds * _RENEW_AT
            )
            for lease in leases:
                if now - lease.since > quotas.MAX_VISIBILITY_SECONDS - self._lease_seconds:
                    self._lose(lease, "it has been held for the twelve hours that SQS allows")
                    continue
                lease.renewing = True
                self._unsettled += 1
                entry = Entry(lease.delivery, lease.receipt_handle, seconds=self._lease_seconds, lease=lease)
                renewals.add((Verb.RENEW, lease.delivery.queue_url), entry, now=now)
            return self._outbox.due(now, everything=self._hurry) + renewals.drain()

    def _sleep(self, now: float) -> float:
        with self._lock:
            ends = self._holdings.next_end()
            moments = [
                now + min(_LONGEST_SLEEP, self._lease_seconds * _RENEW_AT / 2),
                self._outbox.next_due(),
                None if ends is None else ends - self._lease_seconds * _RENEW_LATEST,
            ]
        return max(0.0, min(moment for moment in moments if moment is not None) - now)

    def _send(self, client: EventClient, target: Target, entries: list[Entry]) -> None:
        verb, queue_url = target
        identity = entries[0].delivery.identity
        lines = {str(number): entry for number, entry in enumerate(entries)}
        if verb is Verb.DELETE:
            operation = operations.delete_message_batch(
                identity=identity,
                queue_url=queue_url,
                entries={number: entry.receipt_handle for number, entry in lines.items()},
            )
        else:
            operation = operations.change_visibility_batch(
                identity=identity,
                queue_url=queue_url,
                entries={number: (entry.receipt_handle, entry.seconds) for number, entry in lines.items()},
            )
        client.call(operation).then(lambda reply: self._answered(target, lines, reply))

    def _answered(self, target: Target, lines: dict[str, Entry], reply: Reply) -> None:
        now = time.monotonic()
        for number, entry in lines.items():
            failure = reply.failure if reply.failure is not None else reply.value.failed.get(number)
            if failure is None:
                self._done(target, entry, now)
            else:
                self._failed(target, entry, failure, now)

    def _done(self, target: Target, entry: Entry, now: float) -> None:
        if target[0] is Verb.RENEW and entry.lease is not None:
            entry.lease.renewing = False
            with self._lock:
                self._holdings.extended(entry.lease, ends_at=now + self._lease_seconds)
        self._settled()

    def _failed(self, target: Target, entry: Entry, failure: Failure, now: float) -> None:
        entry.attempt += 1
        if entry.lease is not None and entry.lease.receipt_handle != entry.receipt_handle:
            failure = Failure(kind=Kind.UNREACHABLE, code="SupersededReceipt")
            entry.receipt_handle = entry.lease.receipt_handle
        if failure.kind.passing and entry.attempt < _BACKOFF.attempts and not self._stopping:
            with self._lock:
                due = now + _BACKOFF.delay(entry.attempt, random.random)
                self._outbox.add_again(target, entry, at=due)
            return
        if entry.lease is not None:
            self._lose(entry.lease, str(failure))
        elif failure.kind is Kind.STALE_RECEIPT:
            logger.info("message %s was no longer ours to %s: %s", entry.delivery.message_id, target[0].value, failure)
        else:
            logger.warning("could not %s message %s: %s", target[0].value, entry.delivery.message_id, failure)
        self._settled()

    def _lose(self, lease: Lease, reason: str) -> None:
        lease.lost, lease.renewing = True, False
        if not self._holdings.holds(lease):
            return  # Settled while its renewal was on the way.
        logger.warning(
            "lost the lease of message %s of queue %r, it may run a second time elsewhere: %s",
            lease.delivery.message_id,
            lease.delivery.queue,
            reason,
        )
