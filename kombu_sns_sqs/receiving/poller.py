"""One poller per queue of a channel: long polls, as many in flight as the queue and the window are good for.

A poller ends by being stopped and by nothing else. Whatever a poll comes back with, the next one follows; after a
failure it follows later, with the back-off growing, and the log says so once. The number of polls in flight doubles
while answers are full, halves when they are not, and falls to one when they are empty.

A queue with priorities is several SQS queues. A level is asked without waiting until it has nothing, and only then are
those below it asked: while an upper level has a backlog, no slot of the window goes to a lower one. A level that has
nothing costs what any idle queue costs, a long poll at a time.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
from collections.abc import Callable
from typing import Final, Protocol

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.receiving.arrivals import Arrival
from kombu_sns_sqs.receiving.attendance import Attendance
from kombu_sns_sqs.receiving.window import Window
from kombu_sns_sqs.settling.dead_letters import DeadLetters
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.knowledge import KnownBindings, Match
from kombu_sns_sqs.wire.deaths import Reason

logger = logging.getLogger(__name__)

#: Polls of one level in flight at most.
_MAX_POLLS: Final = 8
#: Without an event loop a connection may be closed at any moment, and a poll that is open then still takes messages.
#: So long polls begin short, in seconds, and grow while nothing comes.
FIRST_WAIT: Final = 1
_BACKOFF: Final = Backoff(base=0.5, cap=30.0, attempts=1)


class Listener(Protocol):
    """What a poller tells the receiver."""

    def news(self) -> None:
        """Something can be delivered, or polled, or has to be waited for."""

    def unsure(self, poller: Poller) -> None:
        """The bindings have to be read again before some messages can be judged."""


class _Level:
    """The polls of one SQS queue."""

    __slots__ = ("failures", "in_flight", "not_before", "probed", "probing", "wait", "want")

    def __init__(self) -> None:
        self.in_flight = 0
        self.probing = False
        self.probed = False
        self.want = 1
        self.wait = FIRST_WAIT
        self.failures = 0
        self.not_before = 0.0


class Poller:
    """Receives from one queue for one channel; driven by one thread.

    Args:
        queue: where from.
        window: the channel's prefetch window.
        listener: told of news.
        max_wait: longest long poll in seconds.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        window: Window,
        client: Callable[[], EventClient],
        settler: Settlers,
        dead_letters: DeadLetters,
        bindings: Callable[[], KnownBindings],
        listener: Listener,
        max_wait: int,
        lease_seconds: int,
    ) -> None:
        self.queue = queue
        self.window = window
        self._client = client
        self._settler = settler
        self._dead_letters = dead_letters
        self._bindings = bindings
        self._listener = listener
        self._max_wait = max_wait
        self._lease_seconds = lease_seconds
        self.attendance = Attendance(lease_seconds=lease_seconds)
        self._levels = [_Level() for _ in queue.urls]
        self._ready: list[tuple[int, int, Arrival]] = []
        self._parked: list[Arrival] = []
        self._order = itertools.count()
        self.stopped = False
        self._reserved = 0
        self._gathering = False
        self._era = 0

    # -- polling ---------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Polls that are not answered yet."""
        return sum(level.in_flight for level in self._levels)

    def poll(self, now: float, wait: int | None) -> None:
        """Start the polls that queue and window are good for, upper levels first.

        ``wait``: longest long poll, in seconds; None: short at first, and longer while nothing comes.
        """
        self._gathering = False
        if self.stopped:
            return
        for number in range(len(self._levels) - 1, -1, -1):
            level = self._levels[number]
            while level.in_flight < level.want and now >= level.not_before:
                count = self.window.grant(polling=level.in_flight > 0, now=now)
                if not count:
                    self._gathering = True
                    break
                self._start(number, level, count, wait)
            if not level.probed and not level.failures:
                break

    def _start(self, number: int, level: _Level, count: int, wait: int | None) -> None:
        probe = len(self._levels) > 1 and not level.probed
        if wait is None:
            wait = level.wait
            if not probe and not level.in_flight:
                level.wait = min(wait * 2, max(FIRST_WAIT, self._max_wait))
        level.in_flight += 1
        level.probing = level.probing or probe
        self._reserve(count)
        operation = operations.receive_message(
            identity=self.queue.identity,
            queue_url=self.queue.urls[number],
            max_messages=count,
            wait_seconds=0 if probe else min(wait, self._max_wait),
            visibility_timeout=self._lease_seconds,
        )
        era, asked_at = self._era, arrivals.monotonic()

        def answered(reply: Reply) -> None:
            level.in_flight -= 1
            level.probing = level.probing and not probe
            if era == self._era:
                self._reserve(-count)
            self._answered(number, level, count, reply, asked_at)

        self._client().call(operation).then(answered)

    def _reserve(self, count: int) -> None:
        self._reserved += count
        self.window.reserved += count

    def _answered(self, number: int, level: _Level, count: int, reply: Reply, asked_at: float) -> None:
        now = arrivals.monotonic()
        if reply.failure is not None:
            self._failed(level, reply.failure, now)
        else:
            if level.failures:
                logger.info("receiving from queue %r again", self.queue.name)
            level.failures = 0
            level.probed = not reply.value
            level.want = self._wanted(level, asked=count, got=len(reply.value))
            age = self.attendance.age(asked_at=asked_at, now=now)
            for raw in reply.value:
                delivery = arrivals.read(raw, queue=self.queue, url=self.queue.urls[number])
                if age is None:
                    logger.info("message %s came while nobody could read it: left to others", delivery.message_id)
                else:
                    self._arrived(delivery, age, reply.date, now)
        self._listener.news()

    @staticmethod
    def _wanted(level: _Level, *, asked: int, got: int) -> int:
        if got == quotas.MAX_RECEIVE_MESSAGES:
            return min(level.want * 2, _MAX_POLLS)
        if got == asked:
            return level.want
        return max(1, level.want // 2) if got else 1

    def _failed(self, level: _Level, failure: Failure, now: float) -> None:
        if self.stopped:
            return
        level.failures += 1
        level.want = 1
        pause = _BACKOFF.delay(level.failures, random.random)
        level.not_before = now + pause
        if level.failures == 1:
            serious = failure.kind in (Kind.DENIED, Kind.CREDENTIALS, Kind.MISSING, Kind.REFUSED)
            logger.log(
                logging.ERROR if serious else logging.WARNING,
                "cannot receive from queue %r, trying again until it works: %s",
                self.queue.name,
                failure,
            )

    @property
    def next_try(self) -> float | None:
        """When there may be something to poll though nothing has happened, on the monotonic clock; None: never.

        That is when a failed poll may be repeated, and when a few free slots have waited long enough for more.
        """
        waiting = [level.not_before for level in self._levels if level.failures and not level.in_flight]
        if self._gathering and self.window.next_grant is not None:
            waiting.append(self.window.next_grant)
        return min(waiting, default=None)

    # -- what arrives ----------------------------------------------------------------------------------------

    def _arrived(self, delivery: Delivery, age: float, aws_now: float | None, now: float) -> None:
        if self.stopped:
            self._release(delivery)
        elif self._settler.hold(delivery, age=age) is Verdict.NEW:
            self._judge(arrivals.arrive(delivery, queue=self.queue, aws_now=aws_now, now=now))

    def _judge(self, arrival: Arrival) -> None:
        verdict = arrivals.match(arrival.delivery, self._bindings(), received_at=arrival.since)
        if verdict is Match.YES:
            self.window.buffered += 1
            heapq.heappush(self._ready, (-arrival.level, next(self._order), arrival))
        elif verdict is Match.NO:
            self._settler.ack(arrival.delivery)
        else:
            self._parked.append(arrival)
            self._listener.unsure(self)

    def judge_parked(self) -> None:
        """Decide about the messages that waited for newer knowledge."""
        parked, self._parked = self._parked, []
        for arrival in parked:
            self._judge(arrival)

    # -- what leaves -----------------------------------------------------------------------------------------

    def take(self, now: float) -> Delivery | None:
        """Hand over the next message; None while there is none, or a higher level is being asked."""
        while self._ready and not self._probing_above(-self._ready[0][0]):
            _, _, arrival = heapq.heappop(self._ready)
            self.window.buffered -= 1
            reason = Reason.EXPIRED if arrival.expired(now) else self._dead_letters.overdue(arrival.delivery)
            if reason is None:
                return arrival.delivery
            self._dead_letters.bury(arrival.delivery, reason)
        return None

    def _probing_above(self, number: int) -> bool:
        return len(self._levels) > 1 and any(level.probing for level in self._levels[number + 1 :])

    def overflow_since(self) -> float | None:
        """When the oldest message that is not delivered arrived."""
        return min((arrival.since for _, _, arrival in self._ready), default=None)

    def give_back(self) -> None:
        """Give back what is not delivered."""
        arrivals_left = [arrival for _, _, arrival in self._ready] + self._parked
        self.window.buffered -= len(self._ready)
        self._ready, self._parked = [], []
        for arrival in arrivals_left:
            self._release(arrival.delivery)

    def _release(self, delivery: Delivery) -> None:
        self._dead_letters.not_delivered(delivery)
        self._settler.release(delivery)

    def stop(self) -> None:
        """Poll no more and give back what is not delivered; what polls in flight still bring is given back, too."""
        self.stopped = True
        # Its polls may be seen to their end in another thread, which must not count in this one's window.
        self._reserve(-self._reserved)
        self._era += 1
        self.give_back()

    def resume(self) -> None:
        """Go on polling: a new consumer has come while old polls were still open."""
        self.stopped = False
