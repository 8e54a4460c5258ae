"""A queue with priorities delivers the highest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kombu import Exchange, Queue

from .waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu import Connection, Message, Producer

    from .expectations import Expectation
    from .fixtures import Declare, Names
    from .loops import Loop


def waiting(channel: Any, queue: Queue, count: int) -> None:
    """Return when so many messages are ready."""
    eventually(lambda: channel.queue_declare(queue=queue.name, passive=True).message_count == count)


@pytest.fixture
def urgent(declare: Declare, names: Names) -> Queue:
    """A queue with ten levels of priority."""
    return declare(Queue(names("urgent"), max_priority=10))


def test_highest_priority_is_delivered_first(urgent: Queue, producer: Producer, channel: Any) -> None:
    """Whatever the order of publishing."""
    for priority in (1, 9, 5):
        producer.publish(priority, routing_key=urgent.name, priority=priority)
    waiting(channel, urgent, 3)
    assert [eventually(lambda: urgent.get(no_ack=True)).payload for _ in range(3)] == [9, 5, 1]


def test_message_without_a_priority_has_the_lowest(urgent: Queue, producer: Producer, channel: Any) -> None:
    """Zero, that is."""
    producer.publish("plain", routing_key=urgent.name)
    producer.publish("urgent", routing_key=urgent.name, priority=3)
    waiting(channel, urgent, 2)
    assert [eventually(lambda: urgent.get(no_ack=True)).payload for _ in range(2)] == ["urgent", "plain"]


def test_priority_above_the_maximum_counts_as_the_maximum(urgent: Queue, producer: Producer, channel: Any) -> None:
    """It is no error."""
    producer.publish("low", routing_key=urgent.name, priority=2)
    producer.publish("beyond", routing_key=urgent.name, priority=200)
    waiting(channel, urgent, 2)
    assert [eventually(lambda: urgent.get(no_ack=True)).payload for _ in range(2)] == ["beyond", "low"]


def test_consumer_with_a_window_of_one_works_in_order_of_priority(
    urgent: Queue, producer: Producer, channel: Any, connection: Connection, loop: Loop
) -> None:
    """A worker takes the most urgent of what is waiting each time it is free."""
    for priority in (2, 8, 5, 10):
        producer.publish(priority, routing_key=urgent.name, priority=priority)
    waiting(channel, urgent, 4)
    done = []

    def on_message(message: Message) -> None:
        done.append(message.payload)
        message.ack()

    with connection.Consumer([urgent], on_message=on_message, prefetch_count=1):
        loop.until(lambda: len(done) == 4, connection)
    assert done == [10, 8, 5, 2]


@pytest.fixture(params=["direct", "topic", "fanout"])
def publish_all(
    request: pytest.FixtureRequest, declare: Declare, names: Names, producer: Producer, channel: Any
) -> Any:
    """Publish through an exchange, with the priorities given, to a queue that orders them; give the queue."""
    exchange = Exchange(names("shop"), type=request.param)
    queue = declare(Queue(names("urgent"), exchange, routing_key="k", max_priority=9))
    plain = declare(Queue(names("plain"), exchange, routing_key="k"))

    def publish(*priorities: int) -> Queue:
        for priority in priorities:
            producer.publish(priority, exchange=exchange.name, routing_key="k", priority=priority)
        waiting(channel, plain, len(priorities))
        # A broker may count copies that it will not deliver.
        eventually(lambda: channel.queue_declare(queue=queue.name, passive=True).message_count >= len(priorities))
        return queue

    return publish


def test_priority_holds_through_an_exchange(publish_all: Callable[..., Queue]) -> None:
    """Of whatever type: the highest of all that is waiting is got first, and nothing twice."""
    queue = publish_all(0, 5, 3, 9, 1, 7)
    assert [eventually(lambda: queue.get(no_ack=True)).payload for _ in range(6)] == [9, 7, 5, 3, 1, 0]
    assert queue.get(no_ack=True) is None


def test_consumer_with_a_window_of_one_sees_the_order_through_an_exchange(
    publish_all: Callable[..., Queue], connection: Connection, loop: Loop
) -> None:
    """Also what has a priority above the maximum, or none; and what is of one priority comes once each."""
    queue = publish_all(0, 5, 3, 9, 1, 7, 200)
    done = []

    def on_message(message: Message) -> None:
        done.append(message.payload)
        message.ack()

    with connection.Consumer([queue], on_message=on_message, prefetch_count=1):
        loop.until(lambda: len(done) == 7, connection)
    assert queue.get(no_ack=True) is None
    assert sorted(done[:2]) == [9, 200]
    assert done[2:] == [7, 5, 3, 1, 0]


def test_queue_without_priorities_ignores_them(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """They are carried, and nothing more."""
    queue = declare(Queue(names("plain")))
    for priority in (0, 9):
        producer.publish(priority, routing_key=queue.name, priority=priority)
    expect((queue, [0, 9]))
