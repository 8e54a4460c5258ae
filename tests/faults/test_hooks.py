"""What hooks hear of a connection: of every message and every call, on a good day and on a bad one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import BatchPublishError

from kombu_sns_sqs import Hooks, LostLease
from kombu_sns_sqs.errors import AccessDenied, MessageTooLarge, Throttled, Unreachable
from tests.faults import weather
from tests.faults.conftest import PATIENCE, drain_until, run_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.monitoring.hooks import ApiCall, Published, Received, Settled
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]


class Ear(Hooks):
    """Takes everything down."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.received: list[Received] = []
        self.settled: list[Settled] = []
        self.lost: list[LostLease] = []
        self.calls: list[ApiCall] = []

    def on_publish(self, published: Published) -> None:
        """Take it down."""
        self.published.append(published)

    def on_receive(self, received: Received) -> None:
        """Take it down."""
        self.received.append(received)

    def on_settle(self, settled: Settled) -> None:
        """Take it down."""
        self.settled.append(settled)

    def on_lease_lost(self, lost: LostLease) -> None:
        """Take it down."""
        self.lost.append(lost)

    def on_api_call(self, call: ApiCall) -> None:
        """Take it down."""
        self.calls.append(call)

    def calls_of(self, action: str) -> list[ApiCall]:
        """Give the calls of one action."""
        return [call for call in self.calls if call.action == action]


class Raging(Hooks):
    """Raises at everything."""

    def on_publish(self, published: Published) -> None:
        """Fail."""
        raise ArithmeticError

    on_receive = on_settle = on_lease_lost = on_api_call = on_publish  # type: ignore[assignment]


@pytest.fixture
def ear() -> Ear:
    """Hooks of this test's own."""
    return Ear()


def consume(connection: Connection, queue: Any, how: Callable[[Any], None], count: int = 1) -> None:
    """Do the same with so many messages of a queue, and see it carried out."""
    seen: list[Any] = []

    def settle(message: Any) -> None:
        seen.append(message)
        how(message)

    with connection.Consumer([queue], on_message=settle, auto_declare=False):
        drain_until(connection, lambda: len(seen) >= count)
        connection.default_channel.connection.services.settle(PATIENCE)


def test_a_message_is_heard_of_when_it_is_published_received_and_acked(connect: Connect, ear: Ear) -> None:
    """Each once, with names as the application knows them, and with one publish id from end to end."""
    connection = connect(hooks=ear)
    queue = Queue("q")(connection)
    queue.declare()
    Producer(connection).publish("m", routing_key="q")
    consume(connection, queue, lambda message: message.ack())
    (published,), (received,), (settled,) = ear.published, ear.received, ear.settled
    assert (published.destination, published.service, published.outcome) == ("q", "sqs", "sent")
    assert published.seconds is not None
    assert (received.queue, received.routing_key, received.receive_count) == ("q", "q", 1)
    assert received.sent_at > 0
    assert (settled.queue, settled.how, settled.message_id) == ("q", "ack", received.message_id)
    assert settled.publish_id == received.publish_id != ""


def test_the_event_loop_is_heard_as_well_as_drain_events(connect: Connect, ear: Ear) -> None:
    """It drives the same client: told are its polls, with what they have brought, and the batches that delete."""
    connection = connect(hooks=ear, ack_delay=0.5)
    queue = Queue("q")(connection)
    queue.declare()
    for number in range(3):
        Producer(connection).publish(f"m{number}", routing_key="q")
    got: list[Any] = []
    with connection.Consumer([queue], on_message=lambda m: (got.append(m), m.ack()), auto_declare=False):
        run_hub(connection, lambda: len(got) == 3)
        connection.default_channel.connection.services.settle(PATIENCE)
    assert [one.how for one in ear.settled] == ["ack"] * 3
    assert sum(call.messages for call in ear.calls_of("ReceiveMessage")) == 3
    assert sum(call.messages for call in ear.calls_of("DeleteMessageBatch")) == 3


def test_a_topic_is_told_from_a_queue_and_a_lost_name_from_both(connect: Connect, ear: Ear) -> None:
    """A message for a queue that is not there was dropped, and not sent."""
    connection = connect(hooks=ear)
    Queue("q", Exchange("news", "topic"), routing_key="a.*")(connection).declare()
    producer = Producer(connection, auto_declare=False)
    producer.publish("m", exchange="news", routing_key="a.b")
    producer.publish("m", routing_key="nowhere")
    told = [(one.destination, one.service, one.outcome, one.routing_key) for one in ear.published]
    assert told == [("news", "sns", "sent", "a.b"), ("nowhere", "sqs", "dropped", "nowhere")]


@pytest.mark.parametrize(
    ("fault", "outcome", "error"),
    [
        (weather.CutAfter(), "unknown", Unreachable),
        (weather.Throttled(), "refused", Throttled),
        (weather.Refused("AccessDenied"), "refused", AccessDenied),
    ],
)
def test_a_publish_that_fails_is_told_with_its_error(
    connect: Connect, relay: Relay, ear: Ear, fault: Any, outcome: str, error: type[Exception]
) -> None:
    """And raised all the same; the call says AWS's code, and how often it was repeated."""
    connection = connect(hooks=ear)
    Queue("q")(connection).declare()
    relay.fault("SendMessage", fault)
    with pytest.raises(error):
        Producer(connection).publish("m", routing_key="q")
    assert [(one.outcome, one.error) for one in ear.published] == [(outcome, error.__name__)]
    (call,) = ear.calls_of("SendMessage")
    assert call.error is not None
    assert call.retries == relay.calls["SendMessage"] - 1


def test_a_call_that_was_repeated_says_so(connect: Connect, relay: Relay, ear: Ear) -> None:
    """Of the data plane, and of botocore's."""
    connection = connect(hooks=ear)
    relay.fault("CreateQueue", weather.ServerError(), times=1)
    Queue("q")(connection).declare()
    relay.fault("SendMessage", weather.Throttled(), times=2)
    Producer(connection).publish("m", routing_key="q")
    assert [(one.retries, one.error, one.messages) for one in ear.calls_of("SendMessage")] == [(2, None, 1)]
    assert [(one.service, one.retries, one.error) for one in ear.calls_of("CreateQueue")] == [("sqs", 1, None)]
    repeated = Counter({"CreateQueue": 1, "SendMessage": 2})
    # What credentials need of STS is botocore's own affair.
    assert Counter(call.action for call in ear.calls) == relay.calls - repeated - Counter({"GetCallerIdentity": 1})


def test_every_message_of_a_batch_is_told_with_its_outcome(connect: Connect, relay: Relay, ear: Ear) -> None:
    """What AWS has not taken, too; the call says how many of its entries failed."""
    connection = connect(hooks=ear)
    Queue("q")(connection).declare()
    relay.fault("SendMessageBatch", weather.HalfFails("InvalidMessageContents", sender_fault=True))
    producer = Producer(connection)
    with pytest.raises(BatchPublishError), producer.batch():  # noqa: PT012  # it raises when the block ends
        for number in range(4):
            producer.publish(f"m{number}", routing_key="q")
        producer.publish("m", routing_key="nowhere")
        with pytest.raises(MessageTooLarge):
            producer.publish("m" * 2_000_000, routing_key="q")
    assert Counter((one.destination, one.outcome, one.error) for one in ear.published) == {
        ("q", "sent", None): 2,
        ("q", "refused", "ChannelFailed"): 2,
        ("q", "refused", "MessageTooLarge"): 1,
        ("nowhere", "dropped", None): 1,
    }
    assert [(one.messages, one.failed) for one in ear.calls_of("SendMessageBatch")] == [(2, 2)]


def test_an_event_is_told_when_aws_has_it(connect: Connect, relay: Relay, ear: Ear) -> None:
    """It was only taken when ``publish`` returned; also when it was published within a batch."""
    connection = connect(hooks=ear, event_delay=60)
    Queue("q")(connection).declare()
    Queue("audience", Exchange("celeryev", "topic"), "#")(connection).declare()
    producer = Producer(connection)
    producer.publish("m", exchange="celeryev", routing_key="task.sent", delivery_mode=1)
    with producer.batch():
        producer.publish("m", exchange="celeryev", routing_key="task.sent", delivery_mode=1)
        producer.publish("m", routing_key="q")
    assert [one.destination for one in ear.published] == ["q"]
    connection.release()
    told = [(one.destination, one.routing_key, one.service, one.outcome) for one in ear.published[1:]]
    assert told == [("celeryev", "task.sent", "sns", "sent")] * 2
    assert relay.calls["PublishBatch"] == 1


def test_what_is_given_back_buried_and_thrown_away_is_told_apart(connect: Connect, ear: Ear) -> None:
    """A reject with requeue and its delay, a dead letter once it is there, and what has no place to go."""
    connection = connect(hooks=ear)
    grave, plain = Queue("grave")(connection), Queue("plain")(connection)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave"}
    mortal = Queue("mortal", queue_arguments=arguments)(connection)
    for queue in (grave, plain, mortal):
        queue.declare()
    producer = Producer(connection)
    producer.publish("m", routing_key="plain")
    verbs = iter(("requeue", "reject"))
    consume(connection, plain, lambda message: getattr(message, next(verbs))(), count=2)
    producer.publish("m", routing_key="mortal")
    consume(connection, mortal, lambda message: message.reject())
    told = [(one.queue, one.how, one.reason, one.delay) for one in ear.settled]
    assert told == [
        ("plain", "requeue", "", 0),
        ("plain", "discard", "rejected", 0),
        ("mortal", "dead letter", "rejected", 0),
    ]


def test_a_lost_lease_is_told_beside_its_own_option(connect: Connect, relay: Relay, ear: Ear) -> None:
    """Both hear of it."""
    lost: list[LostLease] = []
    connection = connect(hooks=ear, on_lease_lost=lost.append, visibility_timeout=2)
    queue = Queue("q")(connection)
    queue.declare()
    Producer(connection).publish("m", routing_key="q")
    relay.fault("ChangeMessageVisibilityBatch", weather.Refused("AccessDenied"))
    with connection.Consumer([queue], on_message=lambda _: None, auto_declare=False):
        drain_until(connection, lambda: lost and ear.lost)
    assert ear.lost == lost


def test_hooks_that_raise_harm_nothing(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Messages come and go, and the log has one line for each method that fails."""
    connection = connect(hooks=Raging())
    queue = Queue("q")(connection)
    queue.declare()
    producer = Producer(connection)
    with producer.batch():
        producer.publish("m1", routing_key="q")
    producer.publish("m2", routing_key="q")
    bodies = []
    consume(connection, queue, lambda message: (bodies.append(message.payload), message.ack()), count=2)
    assert sorted(bodies) == ["m1", "m2"]
    assert queue.get() is None
    told = [vars(record)["sns_sqs_hook"] for record in caplog.records if "hook" in record.getMessage()]
    assert sorted(told) == ["on_api_call", "on_publish", "on_receive", "on_settle"]


def test_without_hooks_the_ways_of_messages_are_those_without_anybody_listening(connect: Connect) -> None:
    """Nothing stands between a verb and what carries it out."""
    connection = connect()
    connection.connect()
    services = connection.default_channel.connection.services
    assert services.ack == services.settler.ack
    assert type(services.publisher).__name__ == "Publisher"
    assert type(services.event_client()).__module__.startswith("kombu_sns_sqs.aws.")
    assert type(services.event_client()).__name__ != "WatchedClient"
