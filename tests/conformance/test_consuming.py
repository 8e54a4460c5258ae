"""Consumers get what their queues hold, each message once, until they cancel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Queue
from kombu.mixins import ConsumerMixin

from .waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kombu import Connection, Message, Producer

    from tests.brokers import Broker

    from .expectations import Expectation
    from .fixtures import Connect, Declare, Names
    from .loops import Loop


@pytest.fixture
def orders(declare: Declare, names: Names) -> Queue:
    """A queue."""
    return declare(Queue(names("orders")))


def payloads(messages: Iterable[Message]) -> list[Any]:
    """The bodies, sorted."""
    return sorted(message.payload for message in messages)


def test_consumer_without_acks_settles_by_receiving(
    orders: Queue, producer: Producer, connect: Connect, loop: Loop, expect: Expectation
) -> None:
    """With ``no_ack`` nothing returns when the connection closes."""
    connection, received = connect(), []
    for number in range(3):
        producer.publish(number, routing_key=orders.name)
    connection.Consumer([orders], on_message=received.append, no_ack=True).consume()
    loop.until(lambda: len(received) == 3, connection)
    connection.release()
    assert payloads(received) == [0, 1, 2]
    expect((orders, []))


def test_messages_published_while_consuming_are_delivered(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """One after the other, each as it comes."""
    received = []
    with connection.Consumer([orders], on_message=received.append, no_ack=True):
        for number in range(3):
            producer.publish(number, routing_key=orders.name)
            loop.until(lambda number=number: len(received) > number, connection)
    assert payloads(received) == [0, 1, 2]


def test_consumer_made_before_the_loop_knows_the_connection_receives(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """Consuming first and registering later works as well as the other way about."""
    received = []
    with connection.Consumer([orders], on_message=received.append, no_ack=True):
        loop.attach(connection)
        producer.publish("hello", routing_key=orders.name)
        loop.until(lambda: received, connection)


def test_consumer_made_after_the_loop_knows_the_connection_receives(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """Registering first and consuming later works as well as the other way about."""
    received = []
    connection.connect()
    loop.attach(connection)
    with connection.Consumer([orders], on_message=received.append, no_ack=True):
        producer.publish("hello", routing_key=orders.name)
        loop.until(lambda: received, connection)


def test_consumer_of_several_queues_receives_from_all(
    declare: Declare, names: Names, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """And tells them apart."""
    received, queues = [], [declare(Queue(names(f"q{n}"))) for n in range(4)]
    for queue in queues:
        producer.publish(queue.name, routing_key=queue.name)
    with connection.Consumer(queues, on_message=received.append, no_ack=True):
        loop.until(lambda: len(received) == 4, connection)
    assert payloads(received) == sorted(queue.name for queue in queues)
    assert len({message.delivery_info["consumer_tag"] for message in received}) == 4


def test_two_consumers_of_a_queue_get_each_message_once(
    orders: Queue, producer: Producer, connect: Connect, loop: Loop, broker: Broker
) -> None:
    """They compete; between them they get all of it."""
    connections, received = [connect(), connect()], []
    for connection in connections:
        connection.Consumer([orders], on_message=received.append, no_ack=True).consume()
    for number in range(10):
        producer.publish(number, routing_key=orders.name)
    loop.until(lambda: len(received) >= 10, *connections)
    loop.settle(broker.settle_seconds, *connections)
    assert payloads(received) == list(range(10))


def test_two_consumers_on_one_channel_get_each_message_once(
    orders: Queue, producer: Producer, connection: Connection, drain: Loop, broker: Broker
) -> None:
    """Each delivery goes to one of the two callbacks."""
    one, two, channel = [], [], connection.channel()
    for received in (one, two):
        connection.Consumer([orders], channel=channel, on_message=received.append, no_ack=True).consume()
    for number in range(6):
        producer.publish(number, routing_key=orders.name)
    drain.until(lambda: len(one) + len(two) >= 6, connection)
    drain.settle(broker.settle_seconds, connection)
    assert payloads(one + two) == [0, 1, 2, 3, 4, 5]


def test_cancelled_consumer_receives_nothing_more(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop, broker: Broker, expect: Expectation
) -> None:
    """What comes later stays in the queue."""
    received = []
    consumer = connection.Consumer([orders], on_message=received.append, no_ack=True)
    consumer.consume()
    producer.publish("before", routing_key=orders.name)
    loop.until(lambda: received, connection)
    consumer.cancel()
    producer.publish("after", routing_key=orders.name)
    loop.settle(broker.settle_seconds, connection)
    assert payloads(received) == ["before"]
    expect((orders, ["after"]))


def test_consumer_that_consumes_again_after_a_cancel_receives_each_message_once(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop, broker: Broker
) -> None:
    """Pausing and resuming doubles nothing and loses nothing."""
    received = []
    consumer = connection.Consumer([orders], on_message=received.append, no_ack=True)
    for number in range(3):
        consumer.consume()
        producer.publish(number, routing_key=orders.name)
        loop.until(lambda number=number: len(received) > number, connection)
        consumer.cancel()
    consumer.consume()
    loop.settle(broker.settle_seconds, connection)
    assert payloads(received) == [0, 1, 2]


def test_unacknowledged_message_can_be_acknowledged_after_the_cancel(
    orders: Queue, producer: Producer, connect: Connect, drain: Loop, expect: Expectation
) -> None:
    """A cancel ends deliveries, not the life of what was delivered: so a worker shuts down warmly."""
    connection, held = connect(), []
    consumer = connection.Consumer([orders], on_message=held.append)
    consumer.consume()
    producer.publish("hello", routing_key=orders.name)
    drain.until(lambda: held, connection)
    consumer.cancel()
    expect((orders, []))
    held[0].ack()
    connection.release()
    expect((orders, []))


def test_cancel_by_queue_stops_that_queue_alone(
    declare: Declare,
    names: Names,
    producer: Producer,
    connection: Connection,
    loop: Loop,
    broker: Broker,
    expect: Expectation,
) -> None:
    """The consumer goes on with its other queues."""
    received, (one, two) = [], [declare(Queue(names(word))) for word in ("one", "two")]
    with connection.Consumer([one, two], on_message=received.append, no_ack=True) as consumer:
        consumer.cancel_by_queue(one.name)
        for queue in (one, two):
            producer.publish(queue.name, routing_key=queue.name)
        loop.until(lambda: received, connection)
        loop.settle(broker.settle_seconds, connection)
        assert not consumer.consuming_from(one.name)
    assert payloads(received) == [two.name]
    expect((one, [one.name]))


def test_queue_added_to_a_running_consumer_is_consumed(
    declare: Declare, names: Names, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """What ``celery control add_consumer`` does."""
    received, (one, two) = [], [declare(Queue(names(word))) for word in ("one", "two")]
    with connection.Consumer([one], on_message=received.append, no_ack=True) as consumer:
        producer.publish(one.name, routing_key=one.name)
        loop.until(lambda: received, connection)
        consumer.add_queue(two)
        consumer.consume()
        producer.publish(two.name, routing_key=two.name)
        loop.until(lambda: len(received) == 2, connection)
    assert payloads(received) == sorted([one.name, two.name])


def test_every_callback_gets_body_and_message(
    orders: Queue, producer: Producer, connection: Connection, drain: Loop
) -> None:
    """Several callbacks are called in order, with the decoded body."""
    calls = []
    callbacks = [lambda body, message: calls.append(("one", body)), lambda body, message: calls.append(("two", body))]
    with connection.Consumer([orders], callbacks=callbacks, no_ack=True):
        producer.publish({"n": 1}, routing_key=orders.name)
        drain.until(lambda: len(calls) == 2, connection)
    assert calls == [("one", {"n": 1}), ("two", {"n": 1})]


def test_consumers_of_two_queues_keep_their_callbacks_apart(
    declare: Declare, names: Names, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """Each message goes to the callback of its own consumer."""
    received = {names(word): [] for word in ("one", "two")}
    for name, mine in received.items():
        connection.Consumer([declare(Queue(name))], on_message=mine.append, no_ack=True).consume()
    for name in received:
        producer.publish(name, routing_key=name)
    loop.until(lambda: all(received.values()), connection)
    assert {name: payloads(mine) for name, mine in received.items()} == {name: [name] for name in received}


def test_purge_empties_the_queue_and_counts(
    orders: Queue, producer: Producer, channel: Any, expect: Expectation
) -> None:
    """What was ready is gone; what comes later is not."""
    for number in range(3):
        producer.publish(number, routing_key=orders.name)
    eventually(lambda: channel.queue_declare(queue=orders.name, passive=True).message_count == 3)
    assert orders.purge() == 3
    producer.publish("after", routing_key=orders.name)
    expect((orders, ["after"]))


def test_purge_of_an_empty_queue_counts_nothing(orders: Queue) -> None:
    """Zero, and no error."""
    assert orders.purge() == 0


class Worker(ConsumerMixin):
    """The consumer of kombu's user guide."""

    def __init__(self, connection: Connection, queue: Queue) -> None:
        self.connection = connection
        self.queue = queue
        self.received = []

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - the name is kombu's
        """One consumer of one queue."""
        return [Consumer([self.queue], callbacks=[self.on_task])]

    def on_task(self, body: Any, message: Message) -> None:
        """Keep the body."""
        self.received.append(body)
        message.ack()


def test_consumer_mixin_works_in_a_thread_and_stops(
    orders: Queue, producer: Producer, connect: Connect, expect: Expectation
) -> None:
    """It runs until it is told to stop."""
    connection = connect()
    worker = Worker(connection, Queue(orders.name))
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    for number in range(3):
        producer.publish(number, routing_key=orders.name)
    eventually(lambda: len(worker.received) == 3)
    worker.should_stop = True
    thread.join(timeout=10)
    assert not thread.is_alive()
    connection.release()
    assert sorted(worker.received) == [0, 1, 2]
    expect((orders, []))
