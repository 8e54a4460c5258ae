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
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.clock import Clock, lease_clock
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.native_threads import Joinable, native_lock, start_native_thread
from kombu_sns_sqs.settling.holdings import Lease, Verdict
from kombu_sns_sqs.settling.losses import Losses
from kombu_sns_sqs.settling.outbox import Entry, Target, Verb
from kombu_sns_sqs.settling.reports import Reports
from kombu_sns_sqs.settling.settlements import Settlements

#: Longest sleep of the thread: what it does not hear of it finds out then, and that the machine was suspended.
_LONGEST_SLEEP: Final = 5.0
#: For so many seconds after a request more of them are expected.
_BUSY_SECONDS: Final = 1.0
#: While full batches follow each other within so many seconds, the thread looks for them by itself, as often as that:
#: each wake by an ack would take the interpreter from who handles messages.
_CROWDED_SECONDS: Final = 0.1
_GATHER_SECONDS: Final = 0.02
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
        clock: Clock = lease_clock,
    ) -> None:
        self._make_client = client
        self.lease_seconds = lease_seconds
        self._losses = losses or Losses()
        self._hand_over = hand_over
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
        self._forgotten: deque[Delivery] = deque()
        self._ack_delay = ack_delay
        #: When the thread wakes by itself: often, while it is busy, so that the first ack of a batch lets it sleep.
        self.sleeps_until, self._busy_until, self._crowded_until = math.inf, -math.inf, -math.inf
        self._gather = min(_GATHER_SECONDS, ack_delay)
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
        if due is not None and max(due, now + self._gather) < self.sleeps_until:
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
        client = self._client
        if client is not None:
            client.wake()

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
            batches = self._settlements.due(self._clock(), everything=self._hurry)
        for target, entries in batches:
            self._send(client, target, entries)
        self._report()
        with self._lock:
            leases = self._settlements.take_hand_overs()
        for lease in leases:
            if self._hand_over is not None:
                self._hand_over(self, lease)
        with self._lock:
            next_due, now = self._settlements.next_due(), self._clock()
            longest = min(_LONGEST_SLEEP, self.lease_seconds / 4)
            if now < self._busy_until:
                often = self._gather if now < self._crowded_until else self._ack_delay
                longest = min(longest, often or longest)
            pause = longest if next_due is None else max(0.0, min(longest, next_due - now))
            self.sleeps_until = now + pause
        return pause

    def _report(self) -> None:
        with self._lock:
            losses = self._settlements.take_losses()
        self._losses.report(losses)

    def _send(self, client: EventClient, target: Target, entries: list[Entry]) -> None:
        verb, queue_url = target
        now = self._clock()
        self._busy_until = now + _BUSY_SECONDS
        if verb is Verb.DELETE and len(entries) == quotas.MAX_BATCH_ENTRIES:
            self._crowded_until = now + _CROWDED_SECONDS
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
        now = self._clock()
        for number, entry in lines.items():
            failure = reply.failure if reply.failure is not None else reply.value.failed.get(number)
            if failure is not None:
                with self._lock:
                    if self._settlements.failed(target, entry, failure, now, last=self._stopping):
                        continue
                self._reports.not_settled(target[0], entry, failure)
            with self._lock:
                self._settlements.done(target, entry)
        with self._lock:
            if not self._settlements.unsettled:
                self._hurry = False
                self._times_idle += 1
