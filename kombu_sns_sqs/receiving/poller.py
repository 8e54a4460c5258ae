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
import random
from collections.abc import Callable
from typing import Final

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.clock import lease_clock
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.receiving.answer_age import AnswerAge, Poll
from kombu_sns_sqs.receiving.arrivals import Arrival
from kombu_sns_sqs.receiving.listener import Listener
from kombu_sns_sqs.receiving.pace import FIRST_WAIT, Pace
from kombu_sns_sqs.receiving.reports import PollReports
from kombu_sns_sqs.receiving.window import Grant, Window
from kombu_sns_sqs.settling.dead_letters import DeadLetters
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.knowledge import KnownBindings, Match
from kombu_sns_sqs.wire.deaths import Reason

#: After so many readings of the bindings that say nothing of a message it is delivered. One may have begun too early.
_READINGS: Final = 2
_BACKOFF: Final = Backoff(base=0.5, cap=30.0, attempts=1)


class Poller:
    """Receives from one queue for one channel; driven by one thread.

    Args:
        queue: where from.
        window: the channel's prefetch window.
        postpone: takes over a message that is not due yet; False where it has to be delivered all the same.
        listener: told of news.
        ages: what is known of AWS's clock.
        max_wait: longest long poll in seconds.
        on_gone: told of a temporary queue that is not there any more.
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
        postpone: Callable[[Arrival, Queue], bool],
        listener: Listener,
        ages: AnswerAge,
        max_wait: int,
        lease_seconds: int,
        on_gone: Callable[[Poller], None] = lambda _: None,
    ) -> None:
        self.queue = queue
        self._on_gone = on_gone
        self.window = window
        self._client = client
        self._settler = settler
        self._dead_letters = dead_letters
        self._bindings = bindings
        self._postpone = postpone
        self._listener = listener
        self._max_wait = max_wait
        self._lease_seconds = lease_seconds
        self._levels = [Pace() for _ in queue.urls]
        window.sources += len(self._levels)
        self._ready: list[tuple[int, int, Arrival]] = []
        self._parked: list[tuple[Arrival, int]] = []
        self._order = itertools.count()
        self.stopped = False
        self._reserved = self._era = 0
        self._ages = ages
        self._reports = PollReports(queue.name)

    # -- polling ---------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Polls that are not answered yet."""
        return sum(level.in_flight for level in self._levels)

    @property
    def open_until(self) -> float:
        """By when they have to be answered, on the monotonic clock."""
        return max(level.open_until for level in self._levels)

    @property
    def paces(self) -> tuple[Pace, ...]:
        """What is known of each of its SQS queues, the lowest level first."""
        return tuple(self._levels)

    def poll(self, now: float, wait: int | None) -> None:
        """Start the polls that queue and window are good for, upper levels first.

        ``wait``: longest long poll, in seconds; None: short at first, and longer while nothing comes.
        """
        if self.stopped:
            return
        for number in range(len(self._levels) - 1, -1, -1):
            level = self._levels[number]
            level.again = None
            while level.in_flight < level.want and now >= level.not_before:
                grant = self.window.grant(level.ask, polling=level.in_flight > 0, since=level.waiting_since, now=now)
                if not grant.messages:
                    level.wait_for_slots(now, grant.again)
                    break
                self._start(number, level, grant, wait)
            if not level.probed and not level.failures:
                break

    def _start(self, number: int, level: Pace, grant: Grant, wait: int | None) -> None:
        probe = len(self._levels) > 1 and not level.probed
        if wait is None:
            wait = level.wait
            if not probe and not level.in_flight:
                level.wait = min(wait * 2, max(FIRST_WAIT, self._max_wait))
        level.polls()
        level.probing = level.probing or probe
        self._reserve(grant.reserved)
        alone = self.window.sources <= 1
        wait_seconds = 0 if probe else level.open_for(min(wait, self._max_wait), alone=alone)
        level.open_until = max(level.open_until, arrivals.monotonic() + wait_seconds)
        poll = Poll(asked_at=lease_clock(), wait_seconds=wait_seconds, lease_seconds=self._lease_seconds)
        operation = operations.receive_message(
            identity=self.queue.identity,
            queue_url=self.queue.urls[number],
            max_messages=grant.messages,
            wait_seconds=wait_seconds,
            visibility_timeout=self._lease_seconds,
        )
        era = self._era

        def answered(reply: Reply) -> None:
            level.in_flight -= 1
            level.probing = level.probing and not probe
            if era == self._era:
                self._reserve(-grant.reserved)
            self._answered(number, level, grant.messages, reply, poll)

        self._client().call(operation).then(answered)

    def _reserve(self, count: int) -> None:
        self._reserved += count
        self.window.reserved += count

    def _answered(self, number: int, level: Pace, asked: int, reply: Reply, poll: Poll) -> None:
        now = arrivals.monotonic()
        if reply.failure is not None:
            self._failed(level, reply.failure, now)
        else:
            if level.failures:
                self._reports.worked()
            level.answered(asked=asked, got=len(reply.value), at=now)
            given_out_at = self._ages.given_out_at(poll, reply.date, empty=not reply.value, now=lease_clock())
            for raw in reply.value:
                delivery = arrivals.read(raw, queue=self.queue, url=self.queue.urls[number])
                self._arrived(delivery, reply.date, now, given_out_at)
        self._listener.news()

    def _failed(self, level: Pace, failure: Failure, now: float) -> None:
        if self.stopped:
            return
        gone = failure.kind is Kind.MISSING and not self.queue.lasting
        if gone:
            self._on_gone(self)  # It is told there, too, unless the queue was meant to go: with this process, say.
        level.failed(until=now + _BACKOFF.delay(level.failures + 1, random.random))
        if level.failures == 1 and not gone:
            self._reports.failed(failure)

    @property
    def next_try(self) -> float | None:
        """When there may be something to poll though nothing has happened, on the monotonic clock; None: never.

        That is when a failed poll may be repeated, and when one that found no free slots may look again.
        """
        return min((at for level in self._levels if (at := level.next_try()) is not None), default=None)

    # -- what arrives ----------------------------------------------------------------------------------------

    def _arrived(self, delivery: Delivery, aws_now: float | None, now: float, given_out_at: float) -> None:
        verdict = self._settler.hold(delivery, since=given_out_at)
        if verdict is Verdict.NEW and self.stopped:
            self._release(delivery)
        elif verdict is Verdict.NEW:
            self._judge(arrivals.arrive(delivery, queue=self.queue, aws_now=aws_now, now=now))
        elif verdict is not Verdict.COPY:
            self._dead_letters.not_delivered(delivery)

    def _judge(self, arrival: Arrival, readings: int = 0) -> None:
        """Decide about a message for which the bindings have been read so many times."""
        verdict = arrivals.match(arrival.delivery, self._bindings(), received_at=arrival.since)
        if verdict is Match.UNSURE and readings >= _READINGS:
            verdict = Match.YES
        if verdict is Match.YES and arrival.due_at is not None and self._postpone(arrival, self.queue):
            return
        if verdict is Match.YES:
            self.window.buffered += 1
            heapq.heappush(self._ready, (-arrival.level, next(self._order), arrival))
        elif verdict is Match.NO:
            self._settler.ack(arrival.delivery)
        else:
            self.window.buffered += 1
            self._parked.append((arrival, readings))
            self._listener.unsure(self)

    def judge_parked(self) -> None:
        """Decide about the messages that waited for newer knowledge."""
        parked, self._parked = self._parked, []
        self.window.buffered -= len(parked)
        for arrival, readings in parked:
            self._judge(arrival, readings + 1)

    # -- what leaves -----------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether there are messages to hand out, now or when a higher level has been asked."""
        return bool(self._ready)

    def take(self, now: float) -> Delivery | None:
        """Hand over the next message; None while there is none, or a higher level is being asked."""
        while self._ready and (len(self._levels) == 1 or not self._probing_above(-self._ready[0][0])):
            _, _, arrival = heapq.heappop(self._ready)
            self.window.buffered -= 1
            reason = Reason.EXPIRED if arrival.expired(now) else self._dead_letters.overdue(arrival.delivery)
            if reason is None:
                return arrival.delivery
            self._dead_letters.bury(arrival.delivery, reason)
        return None

    def _probing_above(self, number: int) -> bool:
        return any(level.probing for level in self._levels[number + 1 :])

    @property
    def ready_since(self) -> float:
        """When the oldest of those messages arrived."""
        return min(arrival.since for _, _, arrival in self._ready)

    def give_back(self) -> None:
        """Give back what is not delivered."""
        arrivals_left = [arrival for _, _, arrival in self._ready] + [arrival for arrival, _ in self._parked]
        self.window.buffered -= len(arrivals_left)
        self._ready, self._parked = [], []
        for arrival in arrivals_left:
            self._release(arrival.delivery)

    def _release(self, delivery: Delivery) -> None:
        self._dead_letters.not_delivered(delivery)
        self._settler.release(delivery)

    def stop(self) -> None:
        """Poll no more and give back what is not delivered; what polls in flight still bring is given back, too."""
        if not self.stopped:
            self.window.sources -= len(self._levels)
        self.stopped = True
        # Its polls may be seen to their end in another thread, which must not count in this one's window.
        self._reserve(-self._reserved)
        self._era += 1
        self.give_back()

    def move(self, queue: Queue) -> None:
        """Go on with what stands for the queue now."""
        if queue.urls != self.queue.urls:
            self._levels = [Pace() for _ in queue.urls]
        self.queue = queue

    def resume(self) -> None:
        """Go on polling: a new consumer has come while old polls were still open."""
        if self.stopped:
            self.window.sources += len(self._levels)
        self.stopped = False
