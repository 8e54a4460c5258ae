"""The thread that sends on what is not due yet: from companion queues, and what came to a queue too early.

Nothing of this passes the application's prefetch window. It is a thread with a client of its own, since in the solo
pool a task may keep the consumer's thread for hours.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.receiving.arrivals import Arrival, Clock
from kombu_sns_sqs.receiving.companion_polls import CompanionPolls
from kombu_sns_sqs.receiving.companion_watch import CompanionWatch, Consuming
from kombu_sns_sqs.receiving.forwarding import Forwarder
from kombu_sns_sqs.receiving.hops import Hop, can_be_sent_on
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.entities import Queue

logger = logging.getLogger(__name__)

#: Longest sleep of the thread: what it does not hear of it finds out then.
_LONGEST_SLEEP: Final = 60.0
#: Seconds for which a companion hides what it gave out: enough to send it on, and soon enough after a crash.
_HIDDEN_SECONDS: Final = 60
#: Messages in hand at most, beyond what polls in flight bring.
_MAX_IN_HAND: Final = 100


class Hopper:
    """Sends on what is not due yet, for all connections of one process that share their options.

    Args:
        client: makes the thread's own event client.
        settler: deletes what was sent on, and keeps the leases of what came too early.
        not_delivered: told of what goes back unseen by the application.
        clock: the monotonic clock; ``wall``: the time of day.
    """

    def __init__(
        self,
        *,
        client: Callable[[], EventClient],
        settler: Settlers,
        companions: Companions,
        not_delivered: Callable[[Delivery], None],
        housekeeper: Housekeeper,
        options: Options,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._make_client = client
        self._clock = clock
        self._wall = wall
        self._settler = settler
        self._companions = companions
        self._options = options
        self._watch = CompanionWatch(companions=companions, housekeeper=housekeeper, on_found=self._wake)
        self._lock = threading.Lock()
        self._seldom = Seldom()
        self._inbox: deque[Hop] = deque()
        self._polls: dict[str, CompanionPolls] = {}
        self._forwarder = Forwarder(
            settler=settler,
            companions=companions,
            want=self._watch.want,
            not_delivered=not_delivered,
            lease_seconds=options.visibility_timeout,
            clock=clock,
        )
        self._pid = os.getpid()
        self._stopping = False
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None
        self._client: EventClient | None = None

    # -- any thread ------------------------------------------------------------------------------------------

    def attend(self, consuming: Consuming) -> None:
        """Serve the companion of a queue for as long as somebody consumes from it."""
        self._watch.attend(consuming)

    def postpone(self, arrival: Arrival, queue: Queue) -> bool:
        """Take over a message that is held and came too early; False where it has to be delivered all the same."""
        delivery, due = arrival.delivery, arrival.delivery.content.due
        if due is None or not arrival.early(self._clock()) or (due.eta and not self._options.eta_by_sqs):
            return False
        if not queue.takes_delay and self._companions.settled(queue) and self._companions.known(queue)[1] is None:
            return False
        if not can_be_sent_on(delivery.attributes) or self._stopping:
            return False
        self._inbox.append(Hop(delivery, queue, arrival.due_at or 0.0, held=True))
        self._wake()
        return True

    def stop(self, timeout: float) -> None:
        """Send on what is in hand, within ``timeout`` seconds, and end."""
        with self._lock:
            self._stopping = True
            self._deadline = self._clock() + timeout
            thread = self._thread if self._pid == os.getpid() else None
        if thread is not None and self._client is not None:
            self._client.wake()
            thread.join(timeout + 1.0)

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopping and self._pid == os.getpid():
                self._client = self._make_client()
                self._thread = threading.Thread(target=self._run, name="kombu-sns-sqs-hopper", daemon=True)
                self._thread.start()
        if self._client is not None:
            self._client.wake()

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        client = self._client
        assert client is not None  # noqa: S101  # _wake() made it
        while not self._finished(client):
            try:
                client.run_once(self.turn(client))
            except Exception:
                # Whatever happens to one message, all others depend on this thread.
                if self._seldom.count("turn"):
                    logger.exception(
                        "sending on failed; the thread goes on", extra=fields("thread_failed", thread="hopper")
                    )
        client.close()

    def turn(self, client: EventClient) -> float:
        """Do what there is to do now; give the seconds until there is more."""
        now = self._clock()
        if self._stopping:
            self._forwarder.hurry()
        else:
            self._poll(client, now)
        while self._inbox:
            self._forwarder.take(self._inbox.popleft(), now)
        self._forwarder.turn(client, now)
        return self._sleep(self._clock())

    def _finished(self, client: EventClient) -> bool:
        if not self._stopping:
            return False
        return not (self._inbox or self._forwarder.in_hand or client.in_flight) or self._clock() >= self._deadline

    def _sleep(self, now: float) -> float:
        moments = [now + _LONGEST_SLEEP, self._forwarder.next_due(), self._deadline]
        if self._takes_more:
            moments += [polls.not_before for polls in self._polls.values() if polls.open]
        return max(0.0, min(moment for moment in moments if moment is not None) - now)

    @property
    def _takes_more(self) -> bool:
        return self._forwarder.in_hand < _MAX_IN_HAND and not self._stopping

    # -- companions ------------------------------------------------------------------------------------------

    def _poll(self, client: EventClient, now: float) -> None:
        served = {companion.url: (queue, companion) for queue, companion in self._watch.served()}
        for url in self._polls.keys() - served.keys():
            del self._polls[url]
        for url, (queue, companion) in served.items():
            polls = self._polls.get(url)
            if polls is None:
                # Not longer than a stop waits for: what an abandoned poll takes is away for a minute.
                longest = max(1, int(min(self._options.wait_time_seconds, self._options.shutdown_timeout)))
                polls = self._polls[url] = CompanionPolls(queue, companion, longest)
            while polls.open and now >= polls.not_before and self._takes_more:
                self._receive(client, polls)

    def _receive(self, client: EventClient, polls: CompanionPolls) -> None:
        polls.in_flight += 1
        operation = operations.receive_message(
            identity=polls.companion.identity,
            queue_url=polls.companion.url,
            max_messages=quotas.MAX_RECEIVE_MESSAGES,
            wait_seconds=polls.wait_seconds,
            visibility_timeout=_HIDDEN_SECONDS,
        )

        def answered(reply: Reply) -> None:
            polls.in_flight -= 1
            now, chance = self._clock(), random.random()
            if reply.failure is None:
                polls.answered(len(reply.value), now=now, chance=chance)
                for raw in reply.value:
                    self._arrived(polls, raw, reply.date, now)
            elif not self._stopping:
                polls.failed(now=now, chance=chance)
                self._cannot_receive(polls, reply.failure)

        client.call(operation).then(answered)

    def _cannot_receive(self, polls: CompanionPolls, failure: Failure) -> None:
        if failure.kind is Kind.MISSING:
            self._companions.forget(polls.queue)
        elif polls.failures == 1:
            told = fields("receive_failed", queue=polls.queue.name, cause=failure)
            name = polls.queue.name
            logger.warning("cannot receive what is scheduled on queue %r, trying again: %s", name, failure, extra=told)

    def _arrived(self, polls: CompanionPolls, raw: dict[str, Any], aws_now: float | None, now: float) -> None:
        delivery = arrivals.read(raw, queue=polls.queue, url=polls.companion.url)
        arrival = arrivals.arrive(delivery, queue=polls.queue, aws_now=aws_now, now=now, wall=self._wall)
        if self._stopping:
            self._settler.release(delivery)
            return
        # Without a time of its own it has waited for as long as SQS was told.
        due_at = now if arrival.due_at is None else arrival.due_at
        self._forwarder.take(Hop(delivery._replace(text=raw.get("Body") or ""), polls.queue, due_at, held=False), now)
