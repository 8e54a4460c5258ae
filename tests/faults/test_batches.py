"""``Producer.batch()``: what it costs, and what becomes of every message."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import BatchPublishError

from kombu_sns_sqs import scheduled
from kombu_sns_sqs.errors import Kind, MessageTooLarge
from kombu_sns_sqs.publishing.outcomes import PublishBatchFailed
from tests.faults.weather import CutAfter, CutBefore, HalfFails, Refused, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]


@pytest.fixture
def producer(connect: Connect) -> Producer:
    """A producer of one connection."""
    return Producer(connect().channel(), auto_declare=False)


@pytest.fixture
def queue(producer: Producer) -> Any:
    """A queue that is there."""
    bound = Queue("q")(producer.channel)
    bound.declare()
    return bound


def bodies(queue: Any, count: int) -> Counter[str]:
    """Receive so many messages."""
    found: Counter[str] = Counter()
    for _ in range(count):
        message = queue.get(no_ack=True)
        assert message is not None, found
        found[message.payload] += 1
    assert queue.get(no_ack=True) is None
    return found


def names(count: int) -> Counter[str]:
    """What the bodies of a batch should be."""
    return Counter(f"m{number}" for number in range(count))


def send(producer: Producer, count: int, **batch: int) -> None:
    """Publish so many messages to the queue in a batch."""
    with producer.batch(**batch):
        for number in range(count):
            producer.publish(f"m{number}", routing_key="q")


def drain_for_ever(connection: Connection) -> None:
    """Until nothing has come for three seconds."""
    while True:
        connection.drain_events(timeout=3)


def test_ten_messages_are_one_request(producer: Producer, queue: Any, relay: Relay) -> None:
    """And what is left goes with the end of the block."""
    send(producer, 35)
    assert relay.calls["SendMessageBatch"] == 4
    assert relay.calls["SendMessage"] == 0
    assert bodies(queue, 35) == names(35)


def test_a_message_to_an_exchange_goes_the_same_way(producer: Producer, relay: Relay) -> None:
    """Ten to a request, and every queue that is bound gets each."""
    exchange = Exchange("news", "topic")
    queues = [Queue(name, exchange, "a.#")(producer.channel) for name in ("q1", "q2")]
    for bound in queues:
        bound.declare()
    with producer.batch():
        for number in range(12):
            producer.publish(f"m{number}", exchange=exchange, routing_key="a.b")
        for number in range(3):
            producer.publish("elsewhere", exchange=exchange, routing_key=f"b.{number}")
    assert relay.calls["PublishBatch"] == 2
    assert relay.calls["Publish"] == 0
    for bound in queues:
        assert bodies(bound, 12) == names(12)


def test_a_request_is_full_by_bytes_too(producer: Producer, queue: Any, relay: Relay) -> None:
    """Five messages of 300 kB do not fit into one."""
    with producer.batch():
        for _ in range(5):
            producer.publish("x" * 300_000, routing_key="q")
    assert relay.calls["SendMessageBatch"] == 2


def test_a_batch_that_is_large_enough_is_sent_off(producer: Producer, queue: Any, relay: Relay) -> None:
    """After ``max_size`` messages, whatever comes after; the block does not grow without end."""
    with producer.batch(max_size=60):
        for number in range(65):
            producer.publish(f"m{number}", routing_key="q")
        assert relay.calls["SendMessageBatch"] >= 2
        assert relay.answered["SendMessageBatch"] >= 2
    assert relay.calls["SendMessageBatch"] == 7
    assert bodies(queue, 65) == names(65)


def test_what_failed_is_told_when_the_batch_is_large_enough(producer: Producer, queue: Any, relay: Relay) -> None:
    """Not after a million messages; and what is told was waited for."""
    relay.fault("SendMessageBatch", Refused("AccessDenied", 403), times=1)
    published = 0

    def publish() -> None:
        nonlocal published
        with producer.batch(max_size=60):
            for number in range(1000):
                producer.publish(f"m{number}", routing_key="q")
                published += 1

    with pytest.raises(PublishBatchFailed) as caught:
        publish()
    assert published < 200
    assert len(caught.value.refused) == 10
    assert len(caught.value.sent) + 10 <= published + 1


def test_a_block_that_fails_sends_nothing_that_has_not_left(producer: Producer, queue: Any, relay: Relay) -> None:
    """As a transaction would, as far as that is possible."""

    def fail() -> None:
        with producer.batch():
            producer.publish("m0", routing_key="q")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert relay.calls["SendMessageBatch"] == 0
    send(producer, 2)
    assert bodies(queue, 2) == names(2)


def test_a_message_that_is_too_large_is_refused_when_it_is_published(producer: Producer, queue: Any) -> None:
    """Not at the end, when nobody knows which it was."""
    with producer.batch(), pytest.raises(MessageTooLarge):
        producer.publish("x" * 2_000_000, routing_key="q")


def test_throttled_entries_are_sent_again_and_no_others(producer: Producer, queue: Any, relay: Relay) -> None:
    """Half of a batch is refused for a while: the half that was taken is not repeated."""
    relay.fault("SendMessageBatch", HalfFails("RequestThrottled"), times=1)
    send(producer, 10)
    assert relay.calls["SendMessageBatch"] == 2
    assert bodies(queue, 10) == names(10)


def test_a_batch_that_is_throttled_as_a_whole_is_sent_again(producer: Producer, queue: Any, relay: Relay) -> None:
    """Without a word to the caller."""
    relay.fault("SendMessageBatch", Throttled(), times=2)
    send(producer, 10)
    assert relay.calls["SendMessageBatch"] == 3
    assert bodies(queue, 10) == names(10)


def test_a_batch_whose_answer_was_lost_is_sent_again_under_the_same_publish_ids(
    producer: Producer, queue: Any, relay: Relay, connect: Connect
) -> None:
    """So that a consumer knows the copies, and runs each message once."""
    relay.fault("SendMessageBatch", CutAfter(), times=1)
    send(producer, 5)
    assert relay.calls["SendMessageBatch"] == 2
    got: Counter[str] = Counter()
    connection = connect()
    with (
        connection.Consumer([Queue("q")], callbacks=[lambda body, message: (got.update([body]), message.ack())]),
        pytest.raises(TimeoutError),
    ):
        drain_for_ever(connection)
    assert got == names(5)


def test_what_is_refused_is_told_apart_from_what_was_sent(producer: Producer, queue: Any, relay: Relay) -> None:
    """The exception names the messages, and why."""
    relay.fault("SendMessageBatch", HalfFails("InvalidMessageContents", sender_fault=True), times=1)
    with pytest.raises(PublishBatchFailed, match="5 were sent, 5 were refused") as caught:
        send(producer, 10)
    failed = caught.value
    assert isinstance(failed, BatchPublishError)
    assert [len(part) for part in (failed.sent, failed.refused, failed.unknown)] == [5, 5, 0]
    assert {one.failure.code for one in failed.refused if one.failure} == {"InvalidMessageContents"}
    assert all(one.routing_key == "q" and one.message["body"].startswith(b"m") for one in failed.refused)
    assert bodies(queue, 5) == Counter(one.message["body"].decode() for one in failed.sent)


def test_what_was_never_answered_is_unknown(producer: Producer, queue: Any, relay: Relay) -> None:
    """It may have arrived: the caller has to decide."""
    relay.fault("SendMessageBatch", CutBefore())
    with pytest.raises(PublishBatchFailed) as caught:
        send(producer, 3)
    assert [len(part) for part in (caught.value.sent, caught.value.refused, caught.value.unknown)] == [0, 0, 3]
    assert {one.failure.kind for one in caught.value.unknown if one.failure} == {Kind.UNREACHABLE}


def test_what_is_denied_is_refused_at_once(producer: Producer, queue: Any, relay: Relay) -> None:
    """It will be denied again."""
    relay.fault("SendMessageBatch", Refused("AccessDenied", 403))
    with pytest.raises(PublishBatchFailed, match="3 were refused"):
        send(producer, 3)
    assert relay.calls["SendMessageBatch"] == 1


def test_a_queue_made_anew_elsewhere_is_found_again(producer: Producer, queue: Any, relay: Relay) -> None:
    """Its address may be another."""
    relay.fault("SendMessageBatch", Refused("AWS.SimpleQueueService.NonExistentQueue"), times=1)
    send(producer, 3)
    assert bodies(queue, 3) == names(3)


def test_a_message_to_no_queue_is_dropped_as_by_amqp(producer: Producer, queue: Any) -> None:
    """And the others are sent."""
    with producer.batch():
        producer.publish("lost", routing_key="nowhere")
        producer.publish("m0", routing_key="q")
    assert bodies(queue, 1) == names(1)


def test_an_exchange_that_is_gone_refuses_its_messages(producer: Producer, queue: Any, relay: Relay) -> None:
    """Those to other places are sent."""

    def publish() -> None:
        with producer.batch():
            producer.publish("lost", exchange="gone", routing_key="k")
            producer.publish("m0", routing_key="q")

    with pytest.raises(PublishBatchFailed) as caught:
        publish()
    assert [one.exchange for one in caught.value.refused] == ["gone"]
    assert bodies(queue, 1) == names(1)


def test_a_fifo_queue_keeps_the_order_of_a_batch(producer: Producer, relay: Relay, connect: Connect) -> None:
    """One request at a time; the tenth of them comes after the ninth, and none while one has to be sent again."""
    bound = Queue("q.fifo")(producer.channel)
    bound.declare()
    relay.fault("SendMessageBatch", Throttled(), times=2)
    with producer.batch():
        for number in range(45):
            producer.publish(number, routing_key="q.fifo")
    got: list[int] = []
    connection = connect(straight=None)
    with connection.Consumer([Queue("q.fifo")], callbacks=[lambda body, message: (got.append(body), message.ack())]):
        while len(got) < 45:
            connection.drain_events(timeout=10)
    assert got == list(range(45))


def test_the_next_batch_uses_the_connections_of_the_last(producer: Producer, queue: Any, relay: Relay) -> None:
    """A handshake costs more than a request."""
    send(producer, 10)
    before = relay.connections
    for _ in range(5):
        send(producer, 10)
    assert relay.connections == before


def test_what_is_not_due_yet_waits_though_it_came_in_a_batch(producer: Producer, queue: Any, relay: Relay) -> None:
    """Those for a moment from now and those for now share their requests."""
    with producer.batch():
        for number in range(10):
            producer.publish(f"m{number}", routing_key="q", headers={"x-delay": 3000 * (number % 2)})
    assert relay.calls["SendMessageBatch"] == 1
    early = Counter(queue.get(no_ack=True).payload for _ in range(5))
    assert early == Counter(f"m{number}" for number in range(0, 10, 2))
    assert queue.get(no_ack=True) is None


def test_what_is_due_in_hours_goes_to_the_companion_in_batches_too(
    producer: Producer, queue: Any, relay: Relay
) -> None:
    """The companion is looked for, and made, once."""
    with producer.batch():
        for _ in range(20):
            producer.publish("later", routing_key="q", headers={"x-delay": 7_200_000})
    assert relay.calls["SendMessageBatch"] == 2
    assert scheduled(producer.connection, "q") == 20
