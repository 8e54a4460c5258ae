"""Worker processes in virtual time: the package's own decisions, a simulated SQS, and a hostile world around them."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Content, Delivery
from kombu_sns_sqs.receiving.answer_age import AnswerAge, Poll
from kombu_sns_sqs.receiving.pace import Pace
from kombu_sns_sqs.receiving.window import Grant, Window
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.outbox import Batch, Entry, Verb
from kombu_sns_sqs.settling.settlements import Settlements
from tests.simulation.sqs import STALE, Message, Queue

if TYPE_CHECKING:
    from kombu_sns_sqs.settling.losses import LostLease

LEASE = 60
#: For how long SQS waits for a message.
WAIT = 20
#: For how long an ack waits for others.
ACK_DELAY = 0.05
PROCESSES = 8
#: For how long tasks run: half of them for less than half a lease, one in eight for five.
TASKS = (0.1, 1.0, 3.0, 10.0, 20.0, 40.0, 90.0, 300.0)
URL = "https://sqs/q"
#: AWS's clock is not ours.
AWS_EPOCH = 1_700_000_000.0
THROTTLED = Failure(kind=Kind.THROTTLED, code="RequestThrottled")
UNREACHABLE = Failure(kind=Kind.UNREACHABLE, code="OperationTimedOut")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How hostile the world is.

    Args:
        crash_every: seconds between two crashes of a process, on average; 0: none. So for stalls.
        stall_seconds: how long a process stands still, at most.
        failing: share of the requests that fail, half of them after SQS has carried them out.
        refused: share of the renewals that SQS refuses, the message being visible at once.
        duplicates: share of the messages that are sent twice, of receives that bring what another has, and of deletions
            that SQS forgets: each.
        given_back: share of the messages that are given back instead of being run.
    """

    crash_every: float = 0.0
    stall_every: float = 0.0
    stall_seconds: float = 0.0
    failing: float = 0.0
    refused: float = 0.0
    duplicates: float = 0.0
    given_back: float = 0.0


@dataclass
class Report:
    """What has happened, by publish id where it is about messages."""

    began: dict[str, list[int]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    #: Reasons for which a message may be run once more.
    causes: Counter[str] = field(default_factory=Counter)
    losses: list[tuple[int, LostLease]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    #: Renewals and deletions, message by message, that have failed and may be tried again.
    failed_renewals: int = 0
    failed_deletions: int = 0
    #: Answers to receives: as full as can be, with some messages, without, and failures.
    answers: Counter[str] = field(default_factory=Counter)
    #: Messages that were received, those included that were not delivered.
    received: int = 0
    crashes: int = 0
    stalls: int = 0
    #: Of each process: when it renewed (first attempts), and when messages came and went.
    renewed: dict[int, list[float]] = field(default_factory=dict)
    came: dict[int, list[float]] = field(default_factory=dict)
    went: dict[int, list[float]] = field(default_factory=dict)
    #: Of each process: its deletions (first attempts), when and of how many messages; its first and last moment.
    deleted: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    lived: dict[int, tuple[float, float]] = field(default_factory=dict)


class World:
    """Virtual time, one queue, some processes, and chance with a seed.

    Args:
        seconds: for how long tasks run.
        within: in how many seconds all messages are sent.
    """

    def __init__(
        self,
        *,
        seed: int,
        weather: Weather,
        messages: int,
        seconds: tuple[float, ...] = TASKS,
        within: float | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.weather = weather
        self.queue = Queue()
        self.report = Report()
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._incarnations = itertools.count()
        self.messages = messages
        self.seconds = seconds
        for number in range(messages):
            self.at(self.chance.uniform(0, within or messages / 3), lambda number=number: self._send(f"p{number}"))
        for _ in range(PROCESSES):
            self.at(0.0, self.start_process)

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Let something happen."""
        heapq.heappush(self._events, (max(moment, self.now), next(self._order), event))

    def start_process(self) -> None:
        """Start a process, which may crash; another takes its place."""
        Process(self, next(self._incarnations)).start()

    def likely(self, share: float) -> bool:
        """Throw the dice."""
        return share > 0 and self.chance.random() < share

    def run(self, limit: float = 200_000.0) -> Report:
        """Let time go by until all messages are settled, and who stands still then has come to."""
        while self._events and self.now < limit:
            self.now, _, event = heapq.heappop(self._events)
            event()
            if len(self.report.finished) == self.messages and not self.queue.left:
                limit = min(limit, self.now + self.weather.stall_seconds)
        return self.report

    def _send(self, publish_id: str) -> None:
        self.queue.send(publish_id, self.now)
        if self.likely(self.weather.duplicates):
            self.report.causes[publish_id] += 1
            self.at(self.now + self.chance.uniform(0, 300), lambda: self.queue.send(publish_id, self.now) and None)


class Process:
    """A worker: eight tasks at a time, a window of twenty, late acks."""

    POOL = 8

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.alive = True
        self.stalled_until = 0.0
        self.window = Window(cap=1000, prefetch_count=20)
        self.window.sources = 1
        self.pace = Pace()
        self.settlements = Settlements(lease_seconds=LEASE, ack_delay=ACK_DELAY, chance=world.chance.random)
        self.ages = AnswerAge()
        self.waiting: deque[Delivery] = deque()
        self.running = 0
        #: Messages that were begun, and of which it has not been told that they are deleted.
        self.unsettled: set[str] = set()
        self._alarm = float("inf")
        for log in (world.report.renewed, world.report.came, world.report.went, world.report.deleted):
            log[number] = []
        self.born = world.now

    def start(self) -> None:
        """Begin to work, and to be in danger."""
        weather, chance = self.world.weather, self.world.chance
        if weather.crash_every:
            self.world.at(self.world.now + chance.expovariate(1 / weather.crash_every), self._crash)
        if weather.stall_every:
            self.world.at(self.world.now + chance.expovariate(1 / weather.stall_every), self._stall)
        self._do(self.world.now, lambda: None)

    # -- what goes wrong -------------------------------------------------------------------------------------

    def _crash(self) -> None:
        self.alive = False
        self.world.report.crashes += 1
        self.world.report.causes.update(self.unsettled)
        self.world.at(self.world.now + 5, self.world.start_process)

    def _stall(self) -> None:
        if self.alive:
            chance, weather = self.world.chance, self.world.weather
            self.world.report.stalls += 1
            self.stalled_until = self.world.now + chance.uniform(0, weather.stall_seconds)
            self.world.at(self.stalled_until + chance.expovariate(1 / weather.stall_every), self._stall)

    # -- turning ---------------------------------------------------------------------------------------------

    def _do(self, moment: float, what: Callable[[], None]) -> None:
        """Do something at a moment, or when the process can again; never after its crash."""

        def event() -> None:
            if not self.alive:
                return
            if self.world.now < self.stalled_until:
                self.world.at(self.stalled_until, event)
                return
            self.world.report.lived[self.number] = (self.born, self.world.now)
            what()
            self._turn()

        self.world.at(moment, event)

    def _turn(self) -> None:
        now = self.world.now
        while self.waiting and self.running < self.POOL:
            self._begin(self.waiting.popleft())
        self._poll_more(now)
        for batch in self.settlements.due(now):
            self._send(batch)
        self._report()
        moments = (self.settlements.next_due(), self.pace.next_try())
        alarm = min((moment for moment in moments if moment is not None), default=float("inf"))
        if alarm < self._alarm or self._alarm <= now:
            self._alarm = alarm
            if alarm < float("inf"):
                self._do(alarm + 1e-6, lambda: None)

    def _report(self) -> None:
        for loss in self.settlements.take_losses():
            self.world.report.losses.append((self.number, loss))
            self.world.report.causes[loss.publish_id] += 1

    # -- receiving -------------------------------------------------------------------------------------------

    def _poll_more(self, now: float) -> None:
        pace = self.pace
        pace.again = None
        while pace.in_flight < pace.want and now >= pace.not_before:
            grant = self.window.grant(pace.ask, polling=pace.in_flight > 0, since=pace.waiting_since, now=now)
            if not grant.messages:
                pace.wait_for_slots(now, grant.again)
                return
            self._poll(grant)

    def _poll(self, grant: Grant) -> None:
        world, count = self.world, grant.messages
        poll = Poll(asked_at=world.now, wait_seconds=WAIT, lease_seconds=LEASE)
        self.pace.polls()
        self.window.reserved += grant.reserved
        world.report.calls["receive"] += 1

        def arrive() -> None:
            if world.likely(world.weather.failing / 2):
                answer(None)
                return
            given = world.queue.receive(count, LEASE, world.now)
            if not given and world.now < poll.asked_at + WAIT:
                world.at(world.now + 1, arrive)
                return
            if given and world.likely(world.weather.duplicates):
                given += self._of_another()
            if world.likely(world.weather.failing / 2):
                answer(None)
                return
            answer([_delivery(one) for one in given], float(int(AWS_EPOCH + world.now)))

        def answer(deliveries: list[Delivery] | None, date: float | None = None) -> None:
            self._do(world.now + self._latency(), lambda: self._received(grant, deliveries, date, poll))

        world.at(world.now + self._latency(), arrive)

    def _of_another(self) -> list[Message]:
        """Choose a message in flight, or a deleted one: SQS gives it out although it should not."""
        world = self.world
        message = world.queue.messages[world.chance.randrange(len(world.queue.messages))]
        old = message.deleted and world.now - message.received_at > 900
        if old or message.visible_at <= world.now:
            return []
        world.report.causes[message.publish_id] += 1
        return [world.queue.give(message, LEASE, world.now)]

    def _received(self, grant: Grant, deliveries: list[Delivery] | None, date: float | None, poll: Poll) -> None:
        now = self.world.now
        self.pace.in_flight -= 1
        self.window.reserved -= grant.reserved
        answers = self.world.report.answers
        if deliveries is None:
            answers["failed"] += 1
            self.pace.failed(until=now + 0.2)
            return
        answers["full" if len(deliveries) >= 10 else "some" if deliveries else "empty"] += 1
        self.world.report.received += len(deliveries)
        self.pace.answered(asked=grant.messages, got=len(deliveries), at=now)
        since = self.ages.given_out_at(poll, date, empty=not deliveries, now=now)
        for delivery in deliveries:
            if self.settlements.hold(delivery, now, since=since) is not Verdict.NEW:
                continue
            self.world.report.came[self.number].append(now)
            if self.world.likely(self.world.weather.given_back):
                self.settlements.release(delivery, now, delay=self.world.chance.choice((0, 5)))
                self.world.report.went[self.number].append(now)
                continue
            self.window.in_hand += 1
            self.waiting.append(delivery)

    # -- running ---------------------------------------------------------------------------------------------

    def _begin(self, delivery: Delivery) -> None:
        publish_id = delivery.content.publish_id
        self.running += 1
        self.unsettled.add(publish_id)
        self.world.report.began.setdefault(publish_id, []).append(self.number)
        seconds = self.world.chance.choice(self.world.seconds)
        self._do(self.world.now + seconds, lambda: self._end(delivery))

    def _end(self, delivery: Delivery) -> None:
        self.running -= 1
        self.window.in_hand -= 1
        self.world.report.finished.add(delivery.content.publish_id)
        self.settlements.ack(delivery, self.world.now)
        self.world.report.went[self.number].append(self.world.now)

    # -- settling --------------------------------------------------------------------------------------------

    def _send(self, batch: Batch) -> None:
        (verb, url), entries = batch
        assert url == URL
        assert len(entries) <= 10
        world, weather = self.world, self.world.weather
        world.report.calls[verb.value] += 1
        self._note(verb, entries)
        fate = world.chance.random()

        def arrive() -> None:
            if fate < weather.failing / 2:
                failures = dict.fromkeys(range(len(entries)), THROTTLED)
            else:
                failures = {number: self._carry_out(verb, entry) for number, entry in enumerate(entries)}
                if fate < weather.failing:
                    failures = dict.fromkeys(failures, UNREACHABLE)
            self._do(world.now + self._latency(), lambda: answered(failures))

        def answered(failures: dict[int, Failure | None]) -> None:
            for number, entry in enumerate(entries):
                failure = failures[number]
                if failure is None:
                    self.settlements.done(batch[0], entry)
                    if verb is Verb.DELETE:
                        self.unsettled.discard(entry.delivery.content.publish_id)
                else:
                    world.report.failed_renewals += verb is Verb.RENEW and failure.kind.passing
                    world.report.failed_deletions += verb is Verb.DELETE and failure.kind.passing
                    if not self.settlements.failed(batch[0], entry, failure, world.now):
                        self.settlements.done(batch[0], entry)

        world.at(world.now + self._latency(), arrive)

    def _note(self, verb: Verb, entries: list[Entry]) -> None:
        if verb is Verb.RENEW and not entries[0].attempt:
            self.world.report.renewed[self.number].append(self.world.now)
        if verb is Verb.DELETE and not entries[0].attempt:
            self.world.report.deleted[self.number].append((self.world.now, len(entries)))

    def _carry_out(self, verb: Verb, entry: Entry) -> Failure | None:
        world = self.world
        if verb is Verb.DELETE:
            return world.queue.delete(entry.receipt_handle)
        if verb is Verb.RENEW and world.likely(world.weather.refused):
            world.queue.change(entry.receipt_handle, 0, world.now)
            return STALE
        return world.queue.change(entry.receipt_handle, entry.seconds, world.now)

    def _latency(self) -> float:
        return self.world.chance.uniform(0.002, 0.1)


def _delivery(message: Message) -> Delivery:
    content = Content(
        body="",
        content_type=None,
        content_encoding=None,
        headers={},
        properties={},
        publish_id=message.publish_id,
    )
    return Delivery(
        queue="q",
        queue_url=URL,
        identity=Identity(),
        receipt_handle=message.handle,
        message_id=message.message_id,
        receive_count=message.receives,
        sent_at=0.0,
        content=content,
    )
