"""No dead letter is lost on its way, and what it costs in calls."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from tests.faults.conftest import PATIENCE, drain_until
from tests.faults.test_calls import calls_of
from tests.faults.weather import CutAfter, HalfFails, Hangs, Refused, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Answer, Relay, Request

    Connect = Callable[..., Connection]


@pytest.fixture
def sqs(service: LocalService) -> Any:
    """A client of a stranger."""
    return boto3.client(
        "sqs",
        endpoint_url=service.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def eventually(what: Callable[[], Any]) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := what()):
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.05)
    return answer


def two_queues(connection: Connection, **arguments: Any) -> tuple[Any, Any]:
    """A queue, and the one its dead letters go to."""
    grave = Queue("grave")(connection)
    queue = Queue(
        "q", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave", **arguments}
    )
    queue = queue(connection)
    grave.declare()
    queue.declare()
    return queue, grave


def make_with_redrive_policy(sqs: Any, prefix: str) -> None:
    """A queue that somebody else has made, with a dead-letter queue of SQS's kind."""
    url = sqs.create_queue(QueueName=f"{prefix}theirs-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
    sqs.create_queue(QueueName=f"{prefix}theirs", Attributes={"RedrivePolicy": policy})


def refuse(connection: Connection, queue: Any, count: int) -> None:
    """Reject that many messages of a queue, and see it carried out."""
    messages: list[Any] = []
    with connection.Consumer([queue], on_message=messages.append, auto_declare=False, prefetch_count=count):
        drain_until(connection, lambda: len(messages) == count)
        for message in messages:
            message.reject()
        connection.default_channel.connection.services.settle(PATIENCE)


def test_ten_rejects_are_one_send_and_one_delete(connect: Connect, relay: Relay) -> None:
    """Dead letters are sent in batches, and their messages deleted in batches."""
    connection = connect(ack_delay=0.5)
    queue, grave = two_queues(connection)
    for number in range(11):
        connection.Producer().publish(number, routing_key="q")
    calls = calls_of(relay, lambda: refuse(connection, queue, 11))
    assert 1 <= calls["SendMessageBatch"] <= 3
    assert 1 <= calls["DeleteMessageBatch"] <= 3
    # A worker that begins to consume looks whether its queue has a companion.
    assert {name for name in calls if name.startswith(("Get", "List"))} <= {"GetQueueUrl"}
    assert sorted(eventually(lambda: grave.get(no_ack=True)).payload for _ in range(11)) == list(range(11))


def test_a_reject_to_a_topic_is_one_publish_and_one_delete(connect: Connect, relay: Relay) -> None:
    """However many queues are bound to it."""
    connection = connect()
    dead = Exchange("dead", type="fanout")
    Queue("grave", dead)(connection).declare()
    queue = Queue("q", queue_arguments={"x-dead-letter-exchange": "dead"})(connection)
    queue.declare()
    connection.Producer().publish("x", routing_key="q")
    calls = calls_of(relay, lambda: refuse(connection, queue, 1))
    assert (calls["PublishBatch"], calls["DeleteMessageBatch"]) == (1, 1)


@pytest.mark.parametrize(
    "weather",
    [ServerError(503), Refused("AccessDenied", 403), Refused("QueueDoesNotExist"), HalfFails()],
    ids=["503", "denied", "missing", "half"],
)
def test_a_dead_letter_that_cannot_be_sent_brings_the_message_back(
    connect: Connect, relay: Relay, caplog: pytest.LogCaptureFixture, weather: Any
) -> None:
    """After a while; it is not deleted before its dead letter is there, nor delivered here a second time."""
    connection = connect(visibility_timeout=2)
    queue, grave = two_queues(connection)
    for number in range(2):
        connection.Producer().publish(number, routing_key="q")
    relay.fault("SendMessageBatch", weather)
    delivered: list[Any] = []
    letters: list[Any] = []

    def refuse_it(message: Any) -> None:
        delivered.append(message.payload)
        message.reject()

    def bury(letter: Any) -> None:
        letters.append(letter.payload)
        letter.ack()

    with connection.Consumer([queue], on_message=refuse_it), connection.Consumer([grave], on_message=bury):
        drain_until(connection, lambda: "no dead letter could be made" in caplog.text, timeout=30)
        relay.clear()
        drain_until(connection, lambda: len(letters) == 2, timeout=60)
    assert sorted(letters) == sorted(delivered) == [0, 1]


def test_lost_answers_make_copies_that_are_known_for_what_they_are(
    connect: Connect, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attempt to bury a message has the same publish id, so a consumer of ours is given one dead letter."""
    connection = connect(visibility_timeout=2)
    queue, grave = two_queues(connection)
    connection.Producer().publish("hello", routing_key="q")
    relay.fault("SendMessageBatch", CutAfter())
    letters: list[Any] = []

    def bury(letter: Any) -> None:
        letters.append(letter.payload)
        letter.ack()

    with (
        connection.Consumer([queue], on_message=lambda message: message.reject()),
        connection.Consumer([grave], on_message=bury),
    ):
        drain_until(connection, lambda: "no dead letter could be made" in caplog.text, timeout=30)
        relay.clear()
        sent = relay.answered["SendMessageBatch"]
        drain_until(connection, lambda: relay.answered["SendMessageBatch"] > sent, timeout=30)
        connection.default_channel.connection.services.settle(PATIENCE)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=2)
    assert sent > 1
    assert letters == ["hello"]


def test_a_stop_publishes_what_was_rejected(connect: Connect) -> None:
    """Closing the connection waits for it."""
    connection = connect()
    queue, _ = two_queues(connection)
    connection.Producer().publish("hello", routing_key="q")
    eventually(queue.get).reject()
    connection.release()
    assert eventually(Queue("grave")(connect()).get).payload == "hello"


def test_a_stop_gives_back_what_could_not_be_published(connect: Connect, relay: Relay) -> None:
    """It does not wait for ever; what a request that hangs held, and what waits behind it, is another's at once."""
    connection = connect(shutdown_timeout=0.5)
    queue, _ = two_queues(connection)
    for number in range(2):
        connection.Producer().publish(number, routing_key="q")
    messages = [eventually(queue.get), eventually(queue.get)]
    relay.fault("SendMessageBatch", Hangs())
    watched = Watched()
    relay.fault("ChangeMessageVisibilityBatch", watched)
    messages[0].reject()
    assert relay.wait_for("SendMessageBatch", 1)
    messages[1].reject()
    kombu_sns_sqs.shutdown()
    assert watched.seconds == [0, 0]


def test_a_limit_makes_a_dead_letter_queue_with_sqs_as_the_backstop(connect: Connect, prefix: str, sqs: Any) -> None:
    """Its limit of receives is well above ours of deliveries."""
    queue = Queue("q", queue_arguments={"x-max-receive-count": 2})(connect())
    queue.declare()
    url = sqs.get_queue_url(QueueName=f"{prefix}q")["QueueUrl"]
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["RedrivePolicy"])
    assert policy["deadLetterTargetArn"].endswith(f":{prefix}q-dead")
    assert int(policy["maxReceiveCount"]) == 20


def test_a_message_is_delivered_as_often_as_its_queue_allows(connect: Connect) -> None:
    """And then found in the dead-letter queue, with the reason."""
    connection = connect()
    queue = Queue("q", queue_arguments={"x-max-receive-count": 2})(connection)
    queue.declare()
    connection.Producer().publish("hello", routing_key="q")
    for _ in range(2):
        eventually(queue.get).requeue()
    letter = eventually(lambda: queue.get() or Queue("q-dead")(connection).get())
    assert letter.headers["x-first-death-reason"] == "delivery_limit"
    assert letter.headers["x-first-death-queue"] == "q"


def test_what_was_never_delivered_does_not_count(connect: Connect, relay: Relay) -> None:
    """A message that a poll brought after its consumer had left has not been tried."""
    connection = connect(wait_time_seconds=2)
    queue = Queue("q", queue_arguments={"x-max-receive-count": 1})(connection)
    queue.declare()
    with connection.Consumer([queue], on_message=pytest.fail), pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.05)
    connection.Producer().publish("hello", routing_key="q")
    assert relay.wait_for("ChangeMessageVisibilityBatch", 1)
    message = eventually(queue.get)
    assert (message.payload, message.delivery_info["receive_count"]) == ("hello", 2)


def test_a_consumer_that_declared_nothing_finds_the_arguments_in_the_tags(connect: Connect) -> None:
    """Whoever made the queue has said where its dead letters go."""
    two_queues(connect())
    kombu_sns_sqs.shutdown()
    connection = connect()
    connection.Producer(auto_declare=False).publish("hello", routing_key="q")
    eventually(Queue("q", no_declare=True)(connection).get).reject()
    assert eventually(Queue("grave")(connection).get).headers["x-first-death-queue"] == "q"


def test_a_queue_declared_otherwise_keeps_its_dead_letters(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """A declaration without arguments does not take them away; one with others says so, and is refused on demand."""
    two_queues(connect())
    kombu_sns_sqs.shutdown()
    connection = connect()
    plain = Queue("q")(connection)
    plain.declare()
    connection.Producer().publish("hello", routing_key="q")
    eventually(plain.get).reject()
    assert eventually(Queue("grave")(connection).get).payload == "hello"
    other = Queue("q", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "other"})
    other(connection).declare()
    assert "differs from its declaration: its dead-letter tags" in caplog.text
    with pytest.raises(connection.channel_errors, match="dead-letter tags"):
        other(connect(topology="validate")).declare()


def test_assume_dead_letters_as_declared_and_asks_nothing(
    connect: Connect, relay: Relay, prefix: str, sqs: Any
) -> None:
    """The declaration is all it goes by; without one a rejected message is discarded."""
    urls = {}
    for name in ("q", "grave", "other"):
        url = sqs.create_queue(QueueName=f"{prefix}{name}")["QueueUrl"]
        urls[name] = {"url": url.replace(relay.upstream.geturl(), relay.url)}
    connection = connect(topology="assume", predefined_queues=urls)
    to_grave = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave"}
    queues = [Queue("q", queue_arguments=to_grave)(connection), Queue("other")(connection)]
    for queue in queues:
        queue.declare()
        connection.Producer().publish(queue.name, routing_key=queue.name)
    for queue in queues:
        eventually(queue.get).reject()
    connection.default_channel.connection.services.settle(PATIENCE)
    assert eventually(Queue("grave", no_declare=True)(connection).get).payload == "q"
    assert not {name for name in relay.calls if name.startswith(("Get", "List", "Create"))}
    assert relay.calls["SendMessageBatch"] == 1


def test_a_rejected_message_goes_to_the_dead_letter_queue_that_sqs_has(
    connect: Connect, relay: Relay, prefix: str, sqs: Any
) -> None:
    """At once, with the reason, and not after as many receives as its redrive policy says; asked for once."""
    make_with_redrive_policy(sqs, prefix)
    connection = connect()
    queue = Queue("theirs")(connection)
    queue.declare()
    for number in range(2):
        connection.Producer().publish(number, routing_key="theirs")
    refuse(connection, queue, 1)
    letter = eventually(Queue("theirs-dead", no_declare=True)(connection).get)
    assert letter.headers["x-death"][0]["reason"] == "rejected"
    assert letter.headers["x-first-death-queue"] == "theirs"
    letter.ack()
    calls = calls_of(relay, lambda: refuse(connection, queue, 1))
    # A worker that begins to consume looks whether its queue has a companion.
    assert {name for name in calls if name.startswith(("Get", "List"))} <= {"GetQueueUrl"}


def test_a_redrive_policy_that_cannot_be_read_keeps_the_message(
    connect: Connect, relay: Relay, caplog: pytest.LogCaptureFixture, prefix: str, sqs: Any
) -> None:
    """Whether it is to be dropped is not known then; it finds its place when it is."""
    make_with_redrive_policy(sqs, prefix)
    connection = connect(visibility_timeout=2)
    queue, grave = Queue("theirs")(connection), Queue("theirs-dead", no_declare=True)(connection)
    queue.declare()
    connection.Producer().publish("hello", routing_key="theirs")
    relay.fault("GetQueueAttributes", Refused("AccessDenied", 403))
    refuse(connection, queue, 1)
    assert "no dead letter could be made" in caplog.text
    relay.clear()
    letter = eventually(lambda: queue.get() or grave.get())
    assert letter.headers["x-first-death-queue"] == "theirs"


def test_a_requeued_message_stays_away_for_its_back_off(connect: Connect, relay: Relay) -> None:
    """As long as the policy says for its receive count; what a stop gives back comes back at once."""
    watched = Watched()
    relay.fault("ChangeMessageVisibilityBatch", watched)
    connection = connect(backoff_policy={1: 70, 2: 110})
    queue = Queue("q")(connection)
    queue.declare()
    for number in range(2):
        connection.Producer().publish(number, routing_key="q")
    eventually(queue.get).requeue()
    connection.default_channel.connection.services.settle(PATIENCE)
    assert watched.seconds == [70]
    eventually(queue.get)
    connection.release()
    assert watched.seconds == [70, 0]


def test_a_listed_task_is_retried_instead_of_rejected(connect: Connect, relay: Relay) -> None:
    """As with kombu's sqs; a task that is not listed is not."""
    watched = Watched()
    relay.fault("ChangeMessageVisibilityBatch", watched)
    connection = connect(backoff_policy=lambda count, delivery: 40 + count, backoff_tasks=["app.flaky"])
    queue = Queue("q")(connection)
    queue.declare()
    for task in ("app.flaky", "app.other"):
        connection.Producer().publish("x", routing_key="q", headers={"task": task})
    refuse(connection, queue, 2)
    assert watched.seconds == [41]


class Watched:
    """Lets all requests through and notes the visibility timeouts they ask for."""

    def __init__(self) -> None:
        self.seconds: list[int] = []

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Note and forward."""
        self.seconds += [entry["VisibilityTimeout"] for entry in json.loads(request.body)["Entries"]]
        return relay.forward(request)
