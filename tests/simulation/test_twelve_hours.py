"""A task of thirty hours, in virtual time: SQS leases a message for twelve."""

from __future__ import annotations

import heapq
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from vine import promise

from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.settling.handover import Handover
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.losses import Loss
from kombu_sns_sqs.settling.outbox import Verb
from kombu_sns_sqs.settling.settlements import Settlements
from kombu_sns_sqs.topology.entities import Lifetime
from kombu_sns_sqs.topology.entities import Queue as Address
from kombu_sns_sqs.wire import envelope
from kombu_sns_sqs.wire.attributes import sent_on
from tests.simulation.sqs import Message, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.settling.holdings import Lease

HOUR = 3600.0
WORK, HELD = "https://sqs/work", "https://sqs/held"
ADDRESS = Address(name="work", urls=(WORK,), arn="arn:work", identity=Identity())
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
CUT = Failure(kind=Kind.UNREACHABLE, code="OperationTimedOut")


class Service:
    """SQS with a queue and its holding queue; each request takes 50 ms of virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.queues = {WORK: Queue(), HELD: Queue()}
        self.texts: dict[tuple[str, str], tuple[str, dict[str, Any], dict[str, str]]] = {}
        #: Failures of the next requests, by action; None: that one works.
        self.failures: dict[str, list[Failure | None]] = {}
        #: How many answers are lost from now on, by action, after the request has been carried out.
        self.lost: dict[str, int] = {}
        self.asked: list[str] = []

    def call(self, operation: Operation) -> promise:
        """Carry out a request of the hand-over."""
        self.now += 0.05
        self.asked.append(operation.action)
        answered = promise()
        failures = self.failures.get(operation.action)
        failure = failures.pop(0) if failures else None
        reply = Reply(failure=failure) if failure else self._carry_out(operation.action, json.loads(operation.body))
        if self.lost.get(operation.action):
            self.lost[operation.action] -= 1
            reply = Reply(failure=CUT)
        answered(reply)
        return answered

    def _carry_out(self, action: str, asked: dict[str, Any]) -> Reply:
        url = asked["QueueUrl"]
        if action == "SendMessage":
            trace = asked.get("MessageSystemAttributes", {}).get("AWSTraceHeader", {}).get("StringValue")
            message = self.send(url, asked["MessageBody"], asked.get("MessageAttributes", {}), trace)
            return Reply(value=message.message_id, date=self.now)
        if action == "ReceiveMessage":
            return Reply(value=self.receive(url, asked["VisibilityTimeout"]), date=self.now)
        if action == "DeleteMessage":
            self.queues[url].delete(asked["ReceiptHandle"])
            return Reply()
        failure = self.queues[url].change(asked["ReceiptHandle"], asked["VisibilityTimeout"], self.now)
        return Reply(failure=failure)

    def send(self, url: str, body: str, attributes: dict[str, Any], trace: str | None = None) -> Message:
        """Put a message into a queue."""
        message = self.queues[url].send("", self.now)
        message.sent_at = self.now
        self.texts[url, message.message_id] = (body, attributes, {"AWSTraceHeader": trace} if trace else {})
        return message

    def receive(self, url: str, seconds: float) -> list[dict[str, Any]]:
        """Give out what there is."""
        rows = []
        for message in self.queues[url].receive(10, seconds, self.now):
            body, attributes, trace = self.texts[url, message.message_id]
            system = {
                **trace,
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(message.sent_at * 1000),
            }
            system["SentTimestamp"] = system["SentTimestamp"].partition(".")[0]
            rows.append(
                {
                    "MessageId": message.message_id,
                    "ReceiptHandle": message.handle,
                    "Body": body,
                    "MessageAttributes": attributes,
                    "Attributes": system,
                }
            )
        return rows


class Holding:
    """The holding queue of ``work``."""

    def __init__(self, *, possible: bool = True) -> None:
        self._possible = possible

    def possible(self, queue: Address) -> bool:
        """Whether there may be one."""
        return self._possible and queue.lifetime is Lifetime.SHARED

    def find(self, queue: Address) -> str:
        """Where it is."""
        return HELD

    get = find


class Process:
    """A worker with one task that takes its time: its settlements, and whoever hands over."""

    lease_seconds = 60

    def __init__(self, service: Service, *, possible: bool = True) -> None:
        self.service = service
        self.settlements = Settlements(lease_seconds=60, ack_delay=0.05, chance=lambda: 0.5, hands_over=True)
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.handover = Handover(
            client=service,
            holding_queues=Holding(possible=possible),  # type: ignore[arg-type]
            find_queue=lambda _: ADDRESS,
            call_later=self._call_later,
            clock=lambda: service.now,
        )

    def _call_later(self, delay: float, job: Callable[[], None]) -> None:
        heapq.heappush(self._jobs, (self.service.now + delay, next(self._order), job))

    # What the hand-over asks of a settler.

    def holds(self, lease: Lease) -> bool:
        """As the settler does."""
        return self.settlements.holds(lease)

    def adopt(self, lease: Lease, fresh: Delivery, *, since: float) -> None:
        """As the settler does."""
        self.settlements.adopt(lease, fresh, self.service.now, since=since)

    def give_up(self, lease: Lease) -> None:
        """As the settler does."""
        self.settlements.give_up(lease)

    # What a worker does.

    def receive(self) -> Delivery:
        """Take the message of the queue."""
        (raw,) = self.service.receive(WORK, 60)
        delivery = arrivals.read(raw, queue=ADDRESS, url=WORK)
        assert self.settlements.hold(delivery, self.service.now) is Verdict.NEW
        return delivery

    def work(self, until: float) -> None:
        """Let time go by, in which leases are renewed and handed over."""
        while self.service.now < until:
            self.turn()
            moments = [self.settlements.next_due() or until, until, *(at for at, _, _ in self._jobs[:1])]
            self.service.now = max(self.service.now + 0.01, min(moments))

    def turn(self) -> None:
        """Carry out what is due."""
        for target, entries in self.settlements.due(self.service.now, everything=True):
            for entry in entries:
                queue = self.service.queues[entry.queue_url]
                failure = None
                if target[0] is Verb.DELETE:
                    queue.delete(entry.receipt_handle)
                else:
                    failure = queue.change(entry.receipt_handle, entry.seconds, self.service.now)
                if failure is None or not self.settlements.failed(target, entry, failure, self.service.now):
                    self.settlements.done(target, entry)
        for lease in self.settlements.take_hand_overs():
            self.handover.hand_over(self, lease)  # type: ignore[arg-type]
        while self._jobs and self._jobs[0][0] <= self.service.now:
            heapq.heappop(self._jobs)[2]()


@pytest.fixture
def service() -> Service:
    """A service with a message in the queue."""
    service = Service()
    message = {
        "body": "hello",
        "content-type": "text/plain",
        "content-encoding": "utf-8",
        "headers": {"id": "task"},
        "properties": {"priority": 3},
    }
    outgoing = envelope.encode(message, exchange="e", routing_key="k", publish_id="p")
    attributes = {**outgoing.attributes, "rk": {"DataType": "String", "StringValue": ".k."}}
    service.send(WORK, outgoing.body, attributes, TRACE)
    return service


def seen_by_others(service: Service) -> int:
    """Count what another worker would find now."""
    return sum(
        not one.deleted and one.visible_at <= service.now for queue in service.queues.values() for one in queue.messages
    )


def left(service: Service) -> list[int]:
    """Count what is not deleted, in the queue and in its holding queue."""
    return [queue.left for queue in service.queues.values()]


def test_a_task_of_thirty_hours_runs_once(service: Service) -> None:
    """It is handed over twice; nobody else can receive it at any time, and its ack leaves nothing behind."""
    process = Process(service)
    delivery = process.receive()
    for minute in range(30 * 60):
        process.work(until=minute * 60.0)
        assert seen_by_others(service) == 0
        assert sum(left(service)) == 1
    assert service.asked.count("SendMessage") == 2
    assert left(service) == [0, 1]
    process.settlements.ack(delivery, service.now)
    process.turn()
    assert left(service) == [0, 0]
    assert process.settlements.take_losses() == []


def test_what_is_handed_over_is_the_same_message(service: Service) -> None:
    """What its holder loses goes back to its queue, and to nobody before that.

    Unchanged, but for what SNS filters by: it was sent to the queue itself, and is not to be matched again.
    """
    first, second = Process(service), Process(service)
    delivery = first.receive()
    first.work(until=13 * HOUR)
    # The first is killed; its lease ends, and somebody looks into the holding queue.
    assert second.handover.look(ADDRESS) == 0
    service.now += 61
    assert second.handover.look(ADDRESS) == 1
    assert left(service) == [1, 0]
    again = second.receive()
    assert again.content == delivery.content
    assert again.system_attributes["AWSTraceHeader"] == TRACE
    assert again.attributes == sent_on(delivery.attributes)
    assert "rk" in delivery.attributes


def test_what_is_just_being_handed_over_is_left_alone(service: Service) -> None:
    """Somebody looks at the worst of moments: the holder receives its message a little later."""
    process, other = Process(service), Process(service)
    process.receive()
    service.failures["ReceiveMessage"] = [CUT]
    process.work(until=12 * HOUR - 1900)
    while "SendMessage" not in service.asked:
        process.work(until=service.now + 1)
    assert other.handover.look(ADDRESS) == 0
    process.work(until=20 * HOUR)
    assert left(service) == [0, 1]
    assert seen_by_others(service) == 0


@pytest.mark.parametrize("action", ["SendMessage", "ReceiveMessage"])
def test_a_hand_over_is_tried_again(service: Service, action: str) -> None:
    """The service is out of reach for ten minutes, just then; there is one fresh message all the same."""
    process = Process(service)
    process.receive()
    service.failures[action] = [CUT] * 30
    process.work(until=20 * HOUR)
    assert left(service) == [0, 1]
    assert seen_by_others(service) == 0
    assert process.settlements.take_losses() == []


def test_a_send_whose_answer_is_lost_is_not_repeated(service: Service) -> None:
    """What it has made is found, and nobody else finds anything."""
    process, other = Process(service), Process(service)
    process.receive()
    service.lost["SendMessage"] = 1
    process.work(until=13 * HOUR)
    assert service.asked.count("SendMessage") == 1
    assert other.handover.look(ADDRESS) == 0
    assert (left(service), seen_by_others(service)) == ([0, 1], 0)


def test_a_task_that_ends_while_it_is_handed_over_leaves_nothing_behind(service: Service) -> None:
    """The fresh message is deleted as soon as it is received."""
    process = Process(service)
    delivery = process.receive()
    service.failures["ReceiveMessage"] = [CUT] * 3
    process.work(until=12 * HOUR - 1900)
    while "SendMessage" not in service.asked:
        process.work(until=service.now + 1)
    process.settlements.ack(delivery, service.now)
    process.work(until=service.now + 300)
    assert left(service) == [0, 0]


def test_the_message_that_was_handed_over_may_come_once_more(service: Service) -> None:
    """SQS gives out what was deleted: it is deleted again, and the lease stays with the fresh one."""
    process = Process(service)
    process.receive()
    process.work(until=13 * HOUR)
    old = service.queues[WORK].messages[0]
    service.queues[WORK].give(old, 0, service.now)
    (raw,) = service.receive(WORK, 60)
    copy = arrivals.read(raw, queue=ADDRESS, url=WORK)
    assert process.settlements.hold(copy, service.now) is Verdict.COPY
    process.work(until=14 * HOUR)
    assert left(service) == [0, 1]
    assert seen_by_others(service) == 0


def test_without_a_place_for_it_the_lease_is_lost_after_twelve_hours(service: Service) -> None:
    """Not before, and it is told."""
    process = Process(service, possible=False)
    process.receive()
    process.work(until=12 * HOUR - 300)
    assert process.settlements.take_losses() == []
    assert seen_by_others(service) == 0
    process.work(until=12 * HOUR)
    (loss,) = process.settlements.take_losses()
    assert loss.reason is Loss.TWELVE_HOURS


def test_a_hand_over_that_never_works_loses_the_lease(service: Service) -> None:
    """And says so."""
    process = Process(service)
    process.receive()
    service.failures["SendMessage"] = [CUT] * 10_000
    process.work(until=13 * HOUR)
    assert [loss.reason for loss in process.settlements.take_losses()] == [Loss.TWELVE_HOURS]
    assert service.asked.count("SendMessage") < 200
