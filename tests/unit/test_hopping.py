"""What is scheduled, from its publish to its delivery, on an SQS with a clock of its own."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.publishing.postponing import Postponing
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.receiving.hopper import Hopper
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.entities import Lifetime, Queue
from kombu_sns_sqs.wire import envelope
from tests.unit.virtual_sqs import Clock, VirtualClient, VirtualControl, VirtualHousekeeper, VirtualSQS

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Consuming:
    """A consumer of a queue."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.stopped = False


class Stepped(Hopper):
    """A hopper whose thread is the test."""

    def _wake(self) -> None:
        """Be driven."""


class World:
    """A producer, a service, and a worker whose application takes all it is handed, at once."""

    def __init__(self, name: str = "q", *, lifetime: Lifetime = Lifetime.SHARED, ttl_ms: int | None = None) -> None:
        self.clock = Clock()
        self.sqs = VirtualSQS(self.clock)
        self.control = VirtualControl(self.sqs)
        self.queue = Queue(
            name=name, urls=(f"sqs/{name}",), arn=f"arn:{name}", identity=Identity(), lifetime=lifetime, ttl_ms=ttl_ms
        )
        self.sqs.make(self.queue.url)
        #: (when, publish id) of all that the application was handed.
        self.delivered: list[tuple[float, str]] = []
        self.early: set[str] = set()
        #: Publish ids of what went back without having been handed over.
        self.unseen: list[str] = []
        self._published = 0
        self.start_worker()

    def start_worker(self, clock: Clock | None = None) -> None:
        """Start a worker; the one before, if any, has crashed."""
        options = Options()
        companions = Companions(control=cast("Any", self.control), options=options, clock=self.clock)
        self.client = VirtualClient(self.sqs)
        self.housekeeper = VirtualHousekeeper(self.clock)
        self.wall = clock or self.clock
        self.hopper = Stepped(
            client=lambda: cast("Any", self.client),
            settler=cast("Any", self.sqs),
            companions=companions,
            not_delivered=lambda delivery: self.unseen.append(delivery.content.publish_id),
            housekeeper=cast("Any", self.housekeeper),
            options=options,
            clock=self.clock,
            wall=self.wall,
        )
        self.consuming = Consuming(self.queue)
        self.hopper.attend(self.consuming)
        self.running = True

    def stop_worker(self) -> None:
        """Let nobody consume."""
        self.running = False

    def publish(self, seconds: float, *, through_sns: bool = False) -> str:
        """Publish a task that is due in so many seconds, by a process of its own."""
        self._published += 1
        options = Options()
        postponing = Postponing(
            companions=Companions(control=cast("Any", self.control), options=options, clock=self.clock),
            complete=lambda queue: queue,
            options=options,
            wall=self.clock,
        )
        eta = datetime.fromtimestamp(self.clock.now + seconds, timezone.utc).isoformat()
        message: dict[str, Any] = {"body": "x", "headers": {"task": "t", "id": "1", "eta": eta}}
        publish_id = f"p{self._published}"
        due = postponing.due(message, exchange="e" if through_sns else "")
        message["properties"] = {"message_group_id": "g"} if self.queue.fifo else {}
        out = envelope.encode(message, exchange="", routing_key="q", publish_id=publish_id, due=due)
        if through_sns:
            self.sqs.send(
                self.queue.url,
                {
                    "MessageBody": out.body,
                    "MessageAttributes": dict(out.attributes),
                    **({"MessageGroupId": "g", "MessageDeduplicationId": publish_id} if self.queue.fifo else {}),
                },
            )
        else:
            VirtualClient(self.sqs)._answer(postponing.pack(out, self.queue).operation())
        return publish_id

    def run(self, seconds: float, until: int | None = None) -> None:
        """Let time pass; stop when so many have been delivered."""
        end = self.clock.now + seconds
        while self.clock.now < end and (until is None or len(self.delivered) < until):
            moments = [end]
            if self.running:
                self.housekeeper.run()
                self._consume()
                pause = self.hopper.turn(cast("Any", self.client))
                if self.client.deliver():
                    continue
                moments += [self.clock.now + pause, self.client.next_answer, self.housekeeper.next_job]
                moments.append(self.sqs.next_visible([self.queue.url, *self.client.polled]))
            self.clock.now = max(min(moments), self.clock.now + 0.001)

    def _consume(self) -> None:
        for raw in self.sqs.receive(self.queue.url, 10, MINUTE):
            delivery = arrivals.read(raw, queue=self.queue, url=self.queue.url)
            arrival = arrivals.arrive(
                delivery, queue=self.queue, aws_now=float(int(self.clock.now)), now=self.clock.now, wall=self.wall
            )
            if self.hopper.postpone(arrival, self.queue):
                self.early.add(delivery.content.publish_id)
                continue
            self.delivered.append((self.clock.now, delivery.content.publish_id))
            self.sqs.discard(delivery)

    @property
    def ids(self) -> list[str]:
        """What was delivered, each publish once."""
        return sorted({publish_id for _, publish_id in self.delivered})

    @property
    def empty(self) -> bool:
        """Whether nothing is left on the service."""
        return not any(queue.messages for queue in self.sqs.queues.values())


@pytest.mark.parametrize(
    ("name", "wait"),
    [
        *((name, wait) for name in ("q", "q.fifo") for wait in (3.0, MINUTE, 15 * MINUTE, 16 * MINUTE, HOUR)),
        ("q", 30 * DAY),
        ("q.fifo", 2 * DAY),
    ],
)
def test_a_task_is_delivered_when_it_is_due(name: str, wait: float) -> None:
    """Never early but for the moments that Celery holds it, and at most two seconds late, after 30 days as well."""
    world = World(name)
    world.run(MINUTE)
    due = world.clock.now + wait
    world.publish(wait)
    world.run(wait + HOUR, until=1)
    ((at, _),) = world.delivered
    assert due - 2 <= at <= due + 2
    assert world.empty
    assert world.early == set()


@pytest.mark.parametrize("name", ["q", "q.fifo"])
@pytest.mark.parametrize("wait", [100.0, 20 * MINUTE, DAY])
def test_what_came_through_sns_is_sent_on_and_in_time(name: str, wait: float) -> None:
    """Also to the FIFO queue that has accepted its deduplication id a moment before."""
    world = World(name)
    due = world.clock.now + wait
    publish_id = world.publish(wait, through_sns=True)
    world.run(wait + HOUR, until=1)
    assert world.early == {publish_id}
    ((at, _),) = world.delivered
    assert due - 2 <= at <= due + 2
    assert world.empty


@pytest.mark.parametrize("options", [{"lifetime": Lifetime.PRIVATE}, {"lifetime": Lifetime.PREDEFINED}])
def test_a_queue_that_has_no_companion_keeps_its_own(options: dict[str, Any]) -> None:
    """A quarter of an hour at a time, and never into the application's hands."""
    world = World(**options)
    due = world.clock.now + HOUR
    world.publish(HOUR)
    world.run(2 * HOUR, until=1)
    assert world.delivered[0][0] == pytest.approx(due, abs=2)
    assert world.sqs.calls["create_queue"] == world.sqs.calls["get_queue_url"] == 0


def test_a_producer_without_the_permission_leaves_the_companion_to_the_worker() -> None:
    """The task passes its queue once, a quarter of an hour later."""
    world = World()
    world.control.denied = {"create_queue"}
    due = world.clock.now + 2 * HOUR
    world.publish(2 * HOUR)
    world.control.denied = set()
    world.run(3 * HOUR, until=1)
    assert world.delivered[0][0] == pytest.approx(due, abs=2)
    assert len(world.early) == 1
    assert len(world.sqs.queues) == 2


def test_a_companion_may_be_forgotten_while_it_is_looked_for() -> None:
    """By another thread, whose message it did not take."""
    world = World()

    def clock() -> float:
        companions.forget(world.queue)
        return world.clock.now

    companions = Companions(control=cast("Any", world.control), options=Options(), clock=clock)
    companions.find(world.queue)
    assert not companions.settled(world.queue)


def test_a_fifo_queue_without_a_companion_leaves_its_etas_to_celery() -> None:
    """Nothing is lost, and nothing turns in circles."""
    world = World("q.fifo")
    world.control.denied = {"create_queue"}
    world.publish(HOUR)
    world.run(2 * MINUTE, until=1)
    assert world.ids == ["p1"]
    assert world.sqs.calls["SendMessageBatch"] == 0


def test_a_queue_with_a_ttl_keeps_what_is_scheduled_in_its_companion() -> None:
    """Its short retention would end the task before it is due."""
    world = World(ttl_ms=60_000)
    world.sqs.queues[world.queue.url].retention = 60
    due = world.clock.now + 20 * MINUTE
    world.publish(20 * MINUTE)
    world.run(HOUR, until=1)
    assert due - 2 <= world.delivered[0][0] <= due + 2


def test_a_worker_may_be_away_for_minutes_and_nothing_is_late() -> None:
    """What is scheduled leaves its companion early enough."""
    world = World()
    due = world.clock.now + HOUR
    world.publish(HOUR)
    world.run(HOUR - 14 * MINUTE)
    world.stop_worker()
    world.run(5 * MINUTE)
    world.start_worker()
    world.run(HOUR, until=1)
    assert world.delivered[0][0] == pytest.approx(due, abs=2)


def test_a_crash_between_send_and_delete_makes_a_copy_and_loses_nothing() -> None:
    """Copies have one publish id, so that a process that has handled one knows the other; neither is early."""
    world = World()
    due = world.clock.now + HOUR
    world.publish(HOUR)
    world.run(14 * MINUTE)
    while not world.sqs.calls["SendMessageBatch"]:
        world.sqs.discard = lambda delivery: None  # type: ignore[method-assign]
        world.run(1.0)
    del world.sqs.discard
    world.start_worker()
    world.run(2 * HOUR)
    assert world.ids == ["p1"]
    assert len(world.delivered) == 2
    assert all(due - 2 <= at <= due + 2 for at, _ in world.delivered)
    assert world.empty


def test_a_deletion_that_failed_is_made_good_without_a_second_send() -> None:
    """The message comes again a minute later, to the same process."""
    world = World()
    world.publish(HOUR)
    forgotten: list[Any] = []
    world.sqs.discard = forgotten.append  # type: ignore[method-assign]
    world.run(20 * MINUTE)
    del world.sqs.discard
    assert len(forgotten) >= 1
    world.run(2 * HOUR)
    assert len(world.delivered) == 1
    assert world.empty


@given(st.lists(st.sampled_from([Kind.THROTTLED, Kind.UNREACHABLE, Kind.DENIED]), max_size=12))
@settings(max_examples=20, deadline=None)
def test_sends_that_fail_delay_and_lose_nothing(failures: list[Kind]) -> None:
    """The message stays where it is until it could be sent on, and there are minutes to spare."""
    world = World()
    due = world.clock.now + HOUR
    world.publish(HOUR)
    world.run(10 * MINUTE)
    world.sqs.refusals.extend(Failure(kind=kind, code=kind.value) for kind in failures)
    world.run(2 * HOUR, until=1)
    assert world.delivered[0][0] == pytest.approx(due, abs=2)


@given(waits=st.lists(st.floats(1, 6 * HOUR), min_size=1, max_size=30), fifo=st.booleans())
@settings(max_examples=20, deadline=None)
def test_many_tasks_each_in_its_time(waits: list[float], fifo: bool) -> None:
    """In any mixture."""
    world = World("q.fifo" if fifo else "q")
    world.run(1)
    due = {world.publish(wait): world.clock.now + wait for wait in waits}
    world.run(DAY, until=len(waits))
    assert world.ids == sorted(due)
    assert all(due[publish_id] - 2 <= at <= due[publish_id] + 2 for at, publish_id in world.delivered)
    assert world.empty


def test_hops_are_made_in_full_batches() -> None:
    """A thousand tasks cost a hundred sends a hop, not a thousand; and polls that bring ten."""
    world = World()
    for _ in range(1000):
        world.publish(5 * HOUR)
    world.sqs.calls.clear()
    world.run(HOUR)
    hops = world.sqs.calls["DeleteMessage"] / 1000
    assert hops in (3, 4)
    assert world.sqs.calls["SendMessageBatch"] <= 110 * hops
    assert world.sqs.calls["ReceiveMessage"] <= 110 * hops + 70
    assert world.delivered == []


def test_an_idle_companion_costs_a_call_a_minute_and_none_at_all_next_to_none() -> None:
    """A queue without a companion is looked at every four minutes or so."""
    world = World()
    world.run(HOUR)
    assert world.sqs.calls["ReceiveMessage"] == 0
    assert world.sqs.calls["get_queue_url"] <= 17
    world.publish(30 * DAY)
    world.run(10 * MINUTE)
    world.sqs.calls.clear()
    world.run(HOUR)
    assert world.sqs.calls["ReceiveMessage"] <= 85
    assert world.sqs.calls["get_queue_url"] == 0


def test_when_nobody_consumes_any_more_the_companion_is_left_alone() -> None:
    """It is others' to serve then."""
    world = World()
    world.publish(30 * DAY)
    world.run(20 * MINUTE)
    world.consuming.stopped = True
    world.run(2 * MINUTE)
    world.sqs.calls.clear()
    world.run(HOUR)
    assert world.sqs.calls["ReceiveMessage"] == 0


def test_a_clock_that_is_far_ahead_does_not_make_tasks_early() -> None:
    """The worker's is ten minutes ahead of the service's."""
    world = World()

    class Ahead(Clock):
        def __call__(self) -> float:
            return world.clock.now + 10 * MINUTE

    world.start_worker(Ahead())
    due = world.clock.now + HOUR
    world.publish(HOUR)
    world.run(2 * HOUR, until=1)
    assert due - 32 <= world.delivered[0][0] <= due + 2


def test_a_stop_gives_back_what_is_not_sent_on() -> None:
    """At once, so that another worker has it."""
    world = World()
    published = world.publish(HOUR, through_sns=True)
    world._consume()
    world.sqs.refusals.extend([Failure(kind=Kind.THROTTLED, code="t")] * 100)
    world.hopper.stop(0)
    for _ in range(5):
        world.hopper.turn(cast("Any", world.client))
        world.client.deliver()
    (stored,) = world.sqs.queues[world.queue.url].messages.values()
    assert stored.visible_at <= world.clock.now
    assert world.unseen == [published], "it counts as a delivery"
