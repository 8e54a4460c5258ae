"""A message is the queue's until it is acknowledged, and then it is nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import MessageStateError

from . import actors
from .waiting import eventually

if TYPE_CHECKING:
    from kombu import Connection, Message, Producer

    from .expectations import Expectation
    from .fixtures import Connect, Declare, Names, Spawn
    from .loops import Loop


@pytest.fixture
def orders(declare: Declare, names: Names) -> Queue:
    """A queue."""
    return declare(Queue(names("orders")))


def taken_by(connect: Connect, orders: Queue, count: int = 1) -> tuple[Connection, list[Message]]:
    """A new connection and that many messages it holds unacknowledged."""
    connection = connect()
    queue = orders(connection.channel())
    return connection, [eventually(queue.get) for _ in range(count)]


def test_acknowledged_message_does_not_return(
    orders: Queue, producer: Producer, connect: Connect, expect: Expectation
) -> None:
    """Not even when the connection closes."""
    producer.publish("hello", routing_key=orders.name)
    connection, (message,) = taken_by(connect, orders)
    message.ack()
    connection.release()
    expect((orders, []))


def test_unacknowledged_message_returns_when_its_connection_closes(
    orders: Queue, producer: Producer, connect: Connect
) -> None:
    """And is marked as redelivered."""
    producer.publish("hello", routing_key=orders.name)
    connection, (message,) = taken_by(connect, orders)
    assert not message.delivery_info["redelivered"]
    connection.release()
    again = eventually(lambda: orders.get(no_ack=True))
    assert again.payload == "hello"
    assert again.delivery_info["redelivered"]


def test_unacknowledged_message_returns_when_its_channel_closes(
    orders: Queue, producer: Producer, connection: Connection
) -> None:
    """The connection may live on."""
    producer.publish("hello", routing_key=orders.name)
    channel = connection.channel()
    eventually(orders(channel).get)
    channel.close()
    assert eventually(lambda: orders.get(no_ack=True)).payload == "hello"


def test_held_message_is_nobody_elses(orders: Queue, producer: Producer, connect: Connect, expect: Expectation) -> None:
    """While one holds it, the others find the queue empty."""
    producer.publish("hello", routing_key=orders.name)
    taken_by(connect, orders)
    expect((orders, []))


def test_only_the_unacknowledged_return(
    orders: Queue, producer: Producer, connect: Connect, expect: Expectation
) -> None:
    """Acks are counted one by one."""
    for number in range(4):
        producer.publish(number, routing_key=orders.name)
    connection, messages = taken_by(connect, orders, 4)
    for message in messages[:2]:
        message.ack()
    connection.release()
    expect((orders, [message.payload for message in messages[2:]]))


def test_ack_of_several_acknowledges_all_before_it(
    orders: Queue, producer: Producer, connect: Connect, expect: Expectation
) -> None:
    """``multiple=True`` means this delivery tag and every earlier one of the channel."""
    for number in range(4):
        producer.publish(number, routing_key=orders.name)
    connection, messages = taken_by(connect, orders, 4)
    messages[2].ack(multiple=True)
    connection.release()
    expect((orders, [messages[3].payload]))


def test_rejected_message_is_discarded(
    orders: Queue, producer: Producer, connect: Connect, expect: Expectation
) -> None:
    """Without a dead-letter exchange it is gone."""
    producer.publish("hello", routing_key=orders.name)
    connection, (message,) = taken_by(connect, orders)
    message.reject()
    connection.release()
    expect((orders, []))


def test_requeued_message_is_available_at_once_and_redelivered(orders: Queue, producer: Producer) -> None:
    """To anybody, with its content as it was."""
    producer.publish({"n": 1}, routing_key=orders.name, headers={"h": "x"})
    message = eventually(orders.get)
    message.requeue()
    again = eventually(orders.get, timeout=5)
    assert (again.payload, again.headers["h"]) == ({"n": 1}, "x")
    assert again.delivery_info["redelivered"]
    assert again.delivery_info["routing_key"] == orders.name
    again.ack()


def test_reject_with_requeue_is_requeue(orders: Queue, producer: Producer) -> None:
    """The two spellings of kombu do the same."""
    producer.publish("hello", routing_key=orders.name)
    eventually(orders.get).reject(requeue=True)
    again = eventually(orders.get, timeout=5)
    assert (again.payload, again.delivery_info["redelivered"]) == ("hello", True)
    again.ack()


def test_requeue_makes_no_second_copy(orders: Queue, producer: Producer, expect: Expectation) -> None:
    """One message went back, so one message is there."""
    producer.publish("hello", routing_key=orders.name)
    eventually(orders.get).requeue()
    expect((orders, ["hello"]))


def test_requeued_fanout_message_returns_to_its_queue_alone(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Requeue undoes the delivery, not the routing: the other queues get no second copy."""
    crowd = Exchange(names("crowd"), type="fanout")
    queues = [declare(Queue(names(f"q{n}"), crowd)) for n in range(2)]
    producer.publish("hello", exchange=crowd.name)
    eventually(queues[0].get).requeue()
    expect((queues[0], ["hello"]), (queues[1], ["hello"]))


def test_requeued_message_goes_to_the_consumer_again(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """The consumer that requeues sees the message once more."""
    seen = []

    def on_message(message: Message) -> None:
        seen.append(message.delivery_info["redelivered"])
        if message.delivery_info["redelivered"]:
            message.ack()
        else:
            message.requeue()

    with connection.Consumer([orders], on_message=on_message):
        producer.publish("hello", routing_key=orders.name)
        loop.until(lambda: len(seen) == 2, connection)
    assert seen == [False, True]


def test_consumer_acknowledges_and_nothing_returns(
    orders: Queue, producer: Producer, connect: Connect, loop: Loop, expect: Expectation
) -> None:
    """The plain life of a message, in both loops."""
    connection, received = connect(), []

    def on_message(message: Message) -> None:
        received.append(message.payload)
        message.ack()

    with connection.Consumer([orders], on_message=on_message):
        for number in range(5):
            producer.publish(number, routing_key=orders.name)
        loop.until(lambda: len(received) == 5, connection)
    connection.release()
    assert sorted(received) == [0, 1, 2, 3, 4]
    expect((orders, []))


@pytest.mark.parametrize("first", ["ack", "reject", "requeue"])
@pytest.mark.parametrize("second", ["ack", "reject", "requeue"])
def test_settling_a_message_twice_is_an_error(orders: Queue, producer: Producer, first: str, second: str) -> None:
    """MessageStateError, before anything is sent."""
    producer.publish("hello", routing_key=orders.name)
    message = eventually(orders.get)
    getattr(message, first)()
    with pytest.raises(MessageStateError):
        getattr(message, second)()
    assert message.acknowledged


def test_recover_redelivers_what_the_consumer_has_not_acknowledged(
    orders: Queue, producer: Producer, connection: Connection, drain: Loop
) -> None:
    """`Consumer.recover` brings back what is unacknowledged, and only that."""
    messages = []
    with connection.Consumer([orders], on_message=messages.append) as consumer:
        for number in range(3):
            producer.publish(number, routing_key=orders.name)
        drain.until(lambda: len(messages) == 3, connection)
        messages[0].ack()
        held = sorted(message.payload for message in messages[1:])
        consumer.recover(requeue=True)
        drain.until(lambda: len(messages) == 5, connection)
        assert sorted(message.payload for message in messages[3:]) == held
        assert all(message.delivery_info["redelivered"] for message in messages[3:])
        for message in messages[3:]:
            message.ack()


def test_messages_of_a_killed_process_return(
    orders: Queue, declare: Declare, names: Names, producer: Producer, spawn: Spawn
) -> None:
    """A holder that dies without a word gives its message back; after a lease, where leases are the means."""
    report = declare(Queue(names("report")))
    producer.publish("hello", routing_key=orders.name)
    holder = spawn(actors.hold_without_ack, orders.name, report.name)
    eventually(lambda: report.get(no_ack=True))
    assert orders.get() is None
    holder.kill()
    assert eventually(lambda: orders.get(no_ack=True), timeout=90).payload == "hello"
