"""Sending messages on: in batches to wherever they have to go next, then deleting what they came in.

First the one, then the other: a crash between the two makes a copy, with the same publish id. Used by one thread.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.operation import SendEntry
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.delay import next_step
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving.arrivals import Clock
from kombu_sns_sqs.receiving.hops import Hop, Target, size
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.entities import Queue

logger = logging.getLogger(__name__)

#: How long a message waits for others of its batch.
_BATCH_SECONDS: Final = 0.05
#: Seconds until a companion that is being found or made is asked for again.
_LOOK_SECONDS: Final = 0.5
#: Messages sent on that are remembered: one whose deletion failed is deleted when it comes again, not sent twice.
_REMEMBERED: Final = 10_000
_BACKOFF: Final = Backoff(base=0.2, cap=10.0, attempts=4)


class Forwarder:
    """Sends on what is not due yet.

    Args:
        settler: deletes what was sent on, and keeps the leases of what came too early.
        want: has the companion of a queue found or made, in another thread.
        not_delivered: told of what goes back unseen by the application.
        lease_seconds: the visibility timeout of what came too early.
    """

    def __init__(
        self,
        *,
        settler: Settlers,
        companions: Companions,
        want: Callable[[Queue], None],
        not_delivered: Callable[[Delivery], None],
        lease_seconds: int,
        clock: Clock,
    ) -> None:
        self._settler = settler
        self._companions = companions
        self._want = want
        self._not_delivered = not_delivered
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._batches: Batcher[Target, tuple[Hop, SendEntry]] = Batcher(max_age=_BATCH_SECONDS)
        self._retries: list[tuple[float, int, Hop]] = []
        self._order = itertools.count()
        self._moved: OrderedDict[str, None] = OrderedDict()
        self._seldom = Seldom()
        self._stopping = False
        #: Messages taken in that are neither sent on nor given up.
        self.in_hand = 0

    def take(self, hop: Hop, now: float) -> None:
        """Take a message in."""
        self.in_hand += 1
        self._route(hop, now)

    def turn(self, client: EventClient, now: float) -> None:
        """Send what is due to be sent."""
        while self._retries and (self._retries[0][0] <= now or self._stopping):
            hop = heapq.heappop(self._retries)[2]
            if self._stopping:
                self._give_up(hop)
            else:
                self._route(hop, now)
        for target, batch in self._batches.drain() if self._stopping else self._batches.due(now):
            self._send(client, target, batch)

    def next_due(self) -> float | None:
        """When there is something to send, on the monotonic clock; None: not before more is taken in."""
        moments = [self._batches.next_due(), self._retries[0][0] if self._retries else None]
        return min((moment for moment in moments if moment is not None), default=None)

    def hurry(self) -> None:
        """Send all there is with the next turn, and give up what fails."""
        self._stopping = True

    def _route(self, hop: Hop, now: float) -> None:
        """Put a message into the batch that goes where it has to go; none may keep the others from that."""
        try:
            self._plan(hop, now)
        except Exception:
            told = fields("forward_failed", queue=hop.queue.name, message_id=hop.delivery.message_id)
            name = hop.queue.name
            logger.exception("message %s of queue %r cannot be sent on", hop.delivery.message_id, name, extra=told)
            self._give_up(hop)

    def _plan(self, hop: Hop, now: float) -> None:
        if hop.delivery.message_id in self._moved:
            self._done(hop)
            return
        left = hop.due_at - now
        far = left > quotas.MAX_DELAY_SECONDS or not hop.queue.takes_delay
        if far and left > 0 and not self._companions.settled(hop.queue):
            self._want(hop.queue)
            self._later(hop, now + _LOOK_SECONDS)
            return
        _, companion = self._companions.known(hop.queue)
        step = next_step(left, eta=hop.eta, takes_delay=hop.queue.takes_delay, has_companion=companion is not None)
        if step is None:
            self._give_up(hop)
            return
        target, entry = hop.entry(step, companion)
        self._batches.add(target, (hop, entry), now=now, size=size(entry))

    def _send(self, client: EventClient, target: Target, batch: list[tuple[Hop, SendEntry]]) -> None:
        for number, (hop, entry) in enumerate(batch):
            entry["id"] = str(number)
            if hop.held:
                self._settler.moving(hop.delivery)
        operation = operations.send_message_batch(
            identity=target.identity, queue_url=target.url, entries=[entry for _, entry in batch]
        )

        def answered(reply: Reply) -> None:
            now = self._clock()
            for number, (hop, _) in enumerate(batch):
                failure = reply.failure_of(str(number))
                if failure is None:
                    self._sent(hop)
                else:
                    self._failed(hop, failure, now)

        client.call(operation).then(answered)

    def _sent(self, hop: Hop) -> None:
        self._moved[hop.delivery.message_id] = None
        while len(self._moved) > _REMEMBERED:
            self._moved.popitem(last=False)
        self._done(hop)

    def _done(self, hop: Hop) -> None:
        self.in_hand -= 1
        self._settler.discard(hop.delivery)

    def _failed(self, hop: Hop, failure: Failure, now: float) -> None:
        hop.attempt += 1
        if failure.kind is Kind.MISSING:
            self._companions.forget(hop.queue)
        elif not failure.kind.passing and hop.attempt == 1 and self._seldom.count(hop.queue.name):
            told = fields("forward_failed", queue=hop.queue.name, message_id=hop.delivery.message_id, cause=failure)
            logger.error("cannot send on what is scheduled on queue %r: %s", hop.queue.name, failure, extra=told)
        if self._stopping or (hop.attempt >= _BACKOFF.attempts and not (hop.held and failure.kind.passing)):
            self._give_up(hop)
        else:
            self._later(hop, now + _BACKOFF.delay(hop.attempt, random.random))

    def _later(self, hop: Hop, moment: float) -> None:
        heapq.heappush(self._retries, (moment, next(self._order), hop))

    def _give_up(self, hop: Hop) -> None:
        """Leave a message where it is: it comes again, from the companion by itself, else when it is nearly due."""
        self.in_hand -= 1
        if hop.held:
            self._not_delivered(hop.delivery)
            longest = quotas.MAX_VISIBILITY_SECONDS - self._lease_seconds
            left = 0.0 if self._stopping or not hop.queue.takes_delay else hop.due_at - self._clock()
            self._settler.release(hop.delivery, delay=int(min(max(left, 0.0), longest)))
