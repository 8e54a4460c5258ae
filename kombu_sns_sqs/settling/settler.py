"""The thread that settles: deletes what was acked, gives back what was not handled, renews what is held.

One daemon thread with a client of its own, because in the solo pool and in plain kombu a task runs inside the
consumer's thread, where neither hub nor ``drain_events`` turns. Any thread may call in. Requests are batched and
several are in flight; a failed entry is tried again alone. A forked child settles nothing of its parent's.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.clock import Clock, lease_clock
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.native_threads import Joinable, native_lock, start_native_thread
from kombu_sns_sqs.settling.batch_requests import request_of
from kombu_sns_sqs.settling.holdings import Lease, Verdict
from kombu_sns_sqs.settling.loans import Loan, Loans
from kombu_sns_sqs.settling.losses import Losses
from kombu_sns_sqs.settling.outbox import Entry, Target, Verb
from kombu_sns_sqs.settling.reports import Reports
from kombu_sns_sqs.settling.rhythm import Rhythm
from kombu_sns_sqs.settling.settlements import Settlements

#: Seconds between two looks of a flush: the thread tells nobody when it has done, as greenlets wait in their own way.
_LOOK_AGAIN: Final = 0.005


class Settler:
    """Holds, acks and gives back, for all connections of one process that share their options.

    Args:
        client: makes the thread's own event client.
        lease_seconds: the visibility timeout of held messages.
        ack_delay: longest time an ack waits for others.
        losses: told of lost leases.
        hand_over: told of messages that SQS will not lease for much longer; see :meth:`adopt` and :meth:`give_up`.
        carrier: gives the client of the event loop that is being turned in the calling thread, or None.
        clock: the clock of leases.
    """

    def __init__(
        self,
        *,
        client: Callable[[], EventClient],
        lease_seconds: int,
        ack_delay: float,
        losses: Losses | None = None,
        hand_over: Callable[[Settler, Lease], None] | None = None,
        carrier: Callable[[], EventClient | None] = lambda: None,
        clock: Clock = lease_clock,
    ) -> None:
        self._make_client = client
        self.lease_seconds = lease_seconds
        self._losses = losses or Losses()
        self._hand_over = hand_over
        self._carrier = carrier
        self._reports = Reports()
        self._clock = clock
        # Taken for moments, and never while anything is waited for: greenlets and the native thread share it.
        self._lock = native_lock()
        self._starting = threading.Lock()
        self._settlements = Settlements(
            lease_seconds=lease_seconds,
            ack_delay=ack_delay,
            chance=random.random,
            hands_over=hand_over is not None,
        )
        self._loans = Loans(lease_seconds=lease_seconds)
        self._forgotten: deque[Delivery] = deque()
        self.rhythm = Rhythm(lease_seconds=lease_seconds, ack_delay=ack_delay)
        self._hurry = False
        #: How often nothing was left to be answered.
        self._times_idle = 0
        self._stopping = False
        self._pid = os.getpid()
        self._thread: Joinable | None = None
        self._client: EventClient | None = None

    # -- any thread ------------------------------------------------------------------------------------------

    def hold(self, delivery: Delivery, *, since: float | None = None) -> Verdict:
        """Take an arrived message under lease, and say whether it may be delivered.

        ``since``: when SQS gave it out, on the clock of leases; None: now.
        """
        with self._lock:
            now = self._clock()
            verdict = self._settlements.hold(delivery, now, since=since)
            # The thread sleeps for less than it takes a fresh lease to need it, unless it has nothing to do at all.
            fresh = since is None or now - since < self.lease_seconds / 4
            rouse = not fresh or verdict is Verdict.COPY or len(self._settlements) == 1
        if rouse:
            self._wake()
        return verdict

    def ack(self, delivery: Delivery) -> None:
        """Delete a handled message, soon and together with others."""
        if self._pid != os.getpid():
            return
        with self._lock:
            now = self._clock()
            sooner = self._settlements.ack(delivery, now)
            due = self._settlements.next_due() if sooner else None
        if due == -math.inf:
            due = self._lend(now)
        if due is not None and not self.rhythm.in_time(due, now):
            self._wake()

    def discard(self, delivery: Delivery) -> None:
        """Delete a message that was not handled: a copy, or one that was sent on and comes again."""
        with self._lock:
            wake = self._settlements.discard(delivery, self._clock())
        if wake:
            self._wake()

    def moving(self, delivery: Delivery) -> None:
        """Note that a held message is being sent on: what it goes on as may come before that is known."""
        with self._lock:
            self._settlements.moving(delivery)

    def release(self, delivery: Delivery, *, delay: int = 0) -> None:
        """Give a message back: visible to all in ``delay`` seconds."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._settlements.release(delivery, self._clock(), delay=delay)
        self._wake()

    def forgotten(self, delivery: Delivery) -> None:
        """Give back what nobody has in hand any more, unless it was settled."""
        # Called by the garbage collector, wherever that is at work: it takes no lock.
        self._forgotten.append(delivery)
        if self._client is not None:
            self._client.wake()

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is of a message that is still held."""
        with self._lock:
            return self._settlements.holds(lease)

    def adopt(self, lease: Lease, fresh: Delivery, *, since: float) -> None:
        """Hold a message by a fresh one from now on, which was received at ``since``, and delete the old one.

        Where it was settled meanwhile it is the fresh one that is deleted.
        """
        with self._lock:
            self._settlements.adopt(lease, fresh, self._clock(), since=since)
        self._wake()

    def give_up(self, lease: Lease) -> None:
        """Take note that a lease cannot be handed over: it is lost when SQS renews it no more."""
        with self._lock:
            self._settlements.give_up(lease)
        self._wake()

    def flush(self, timeout: float) -> bool:
        """Wait until everything asked so far is answered; False where ``timeout`` seconds did not do."""
        if self._pid != os.getpid() or not self._settlements.unsettled:
            return True
        if self._stopping:
            return False
        deadline, before = time.monotonic() + timeout, self._times_idle
        self._hurry = True
        self._wake()
        while self._settlements.unsettled and self._times_idle == before:
            if time.monotonic() >= deadline:
                self._hurry = False
                return False
            time.sleep(_LOOK_AGAIN)
        return True

    @property
    def held(self) -> int:
        """How many messages are under lease."""
        return len(self._settlements)

    def start(self) -> None:
        """Start the thread, once; it starts by itself with the first message."""
        with self._starting:
            if self._thread is not None or self._stopping or self._pid != os.getpid():
                return
            self._client = self._make_client()
            self._thread = start_native_thread(self._run, name="kombu-sns-sqs-settler")

    def stop(self, timeout: float) -> None:
        """Carry out what was asked, give back what is still held, within ``timeout`` seconds, and end."""
        with self._lock:
            held = self._settlements.everything()
        for delivery in held:
            self.release(delivery)
        settled = self.flush(timeout)
        if not settled:
            self._reports.left(self._settlements.unsettled)
        with self._starting:
            self._stopping = True
            thread = self._thread if self._pid == os.getpid() else None
        if thread is not None:
            self._wake()
            thread.join(timeout)

    def _wake(self) -> None:
        if self._thread is None:
            self.start()
        if self._client is not None:
            self._client.wake()

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        client = self._client
        assert client is not None  # noqa: S101  # start() made it
        while not self._stopping:
            try:
                client.run_once(self._turn(client))
            except Exception as exc:  # noqa: BLE001
                # Whatever happens to one batch, the leases of all others depend on this thread.
                self._reports.thread_failed(exc)
        self._report()
        client.close()

    def _turn(self, client: EventClient) -> float:
        """Send what is due, report what is lost; give the seconds until there is more."""
        with self._lock:
            while self._forgotten:
                self._settlements.forgotten(self._forgotten.popleft(), self._clock())
            now, everything = self._clock(), self._hurry
            batches = self._settlements.due(now, everything=everything)
            batches += self._loans.take_back(now, everything=everything)
        for target, entries in batches:
            self._send(client, target, entries)
        self._report()
        with self._lock:
            leases = self._settlements.take_hand_overs()
        for lease in leases:
            if self._hand_over is not None:
                self._hand_over(self, lease)
        with self._lock:
            return self.rhythm.sleep(self._clock(), self._settlements.next_due(), self._loans.next_due())

    def _report(self) -> None:
        with self._lock:
            losses = self._settlements.take_losses()
        self._losses.report(losses)

    def _send(self, client: EventClient, target: Target, entries: list[Entry]) -> None:
        self.rhythm.sent(self._clock(), full=target[0] is Verb.DELETE and len(entries) == quotas.MAX_BATCH_ENTRIES)
        client.call(request_of(target, entries)).then(lambda reply: self._answered(target, entries, reply))

    # -- the thread, and an event loop -----------------------------------------------------------------------

    def _answered(self, target: Target, entries: list[Entry], reply: Reply) -> None:
        now, refused = self._clock(), []
        with self._lock:
            for number, entry in enumerate(entries):
                failure = reply.failure_of(str(number))
                if failure is not None:
                    if self._settlements.failed(target, entry, failure, now, last=self._stopping):
                        continue
                    refused.append((entry, failure))
                self._settlements.done(target, entry)
            if not self._settlements.unsettled:
                self._hurry = False
                self._times_idle += 1
        for entry, failure in refused:
            self._reports.not_settled(target[0], entry, failure)

    def _lend(self, now: float) -> float:
        """Have the event loop send the deletes that are full, where this is its thread; say when ours has to look."""
        try:
            client = self._carrier()
            if client is None:
                return -math.inf
            with self._lock:
                loans = [self._loans.lend(batch, now) for batch in self._settlements.due(now, full_deletes=True)]
            self.rhythm.sent(now)
            for loan in loans:
                client.call(request_of(*loan.batch)).then(partial(self._returned, loan))
        except Exception as exc:  # noqa: BLE001
            self._reports.lending_failed(exc)  # An ack that raised would end the loop; the thread sends what is out.
            return -math.inf
        return min((loan.until for loan in loans), default=math.inf)

    def _returned(self, loan: Loan, reply: Reply) -> None:
        with self._lock:
            waited_for = self._loans.returned(loan)
        if waited_for:
            self._answered(*loan.batch, reply)
            if reply.failure is not None or reply.value.failed:
                self._wake()
