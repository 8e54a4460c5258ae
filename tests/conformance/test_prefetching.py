"""The prefetch window limits what the application holds unacknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Queue

if TYPE_CHECKING:
    from kombu import Connection, Message, Producer

    from tests.brokers import Broker

    from .expectations import Expectation
    from .fixtures import Connect, Declare, Names
    from .loops import Loop


@pytest.fixture
def orders(declare: Declare, names: Names) -> Queue:
    """A queue."""
    return declare(Queue(names("orders")))


def fill(producer: Producer, queue: Queue, count: int) -> None:
    """Publish that many numbers."""
    for number in range(count):
        producer.publish(number, routing_key=queue.name)


@pytest.mark.parametrize("window", [1, 3])
def test_no_more_than_the_window_is_delivered_unacknowledged(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop, broker: Broker, window: int
) -> None:
    """The rest waits at the broker."""
    held = []
    fill(producer, orders, window + 3)
    with connection.Consumer([orders], on_message=held.append, prefetch_count=window):
        loop.until(lambda: len(held) >= window, connection)
        loop.settle(broker.settle_seconds, connection)
        assert len(held) == window


def test_an_ack_frees_a_slot(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop, broker: Broker
) -> None:
    """One for one."""
    held = []
    fill(producer, orders, 6)
    with connection.Consumer([orders], on_message=held.append, prefetch_count=2):
        for settled in range(3):
            loop.until(lambda settled=settled: len(held) >= settled + 2, connection)
            loop.settle(broker.settle_seconds, connection)
            assert len(held) == settled + 2
            held[settled].ack()


@pytest.mark.parametrize("verdict", ["reject", "requeue"])
def test_a_reject_frees_a_slot(
    orders: Queue, producer: Producer, connection: Connection, loop: Loop, verdict: str
) -> None:
    """However a message is settled, its place is free."""
    held = []
    fill(producer, orders, 3)
    with connection.Consumer([orders], on_message=held.append, prefetch_count=1):
        for settled in range(3):
            loop.until(lambda settled=settled: len(held) > settled, connection)
            getattr(held[settled], verdict)()
        loop.until(lambda: verdict == "reject" or len(held) > 3, connection)


def test_prefetch_of_zero_is_unlimited(orders: Queue, producer: Producer, connection: Connection, loop: Loop) -> None:
    """All that is there is delivered without an ack."""
    held = []
    fill(producer, orders, 50)
    with connection.Consumer([orders], on_message=held.append, prefetch_count=0):
        loop.until(lambda: len(held) == 50, connection)
    assert sorted(message.payload for message in held) == list(range(50))


def test_two_consumers_with_a_window_of_one_share_the_work(
    orders: Queue, producer: Producer, connect: Connect, loop: Loop
) -> None:
    """Neither takes the message the other could have, so both have something to do."""
    one, two = connect(), connect()
    handled = {one: [], two: []}
    fill(producer, orders, 8)

    def work(connection: Connection) -> list[Message]:
        waiting = []
        consumer = connection.Consumer([orders], on_message=waiting.append, prefetch_count=1)
        consumer.consume()
        return waiting

    hands = {connection: work(connection) for connection in handled}
    # Both hold one before either acknowledges: then no timing can make one of them do it all.
    loop.until(lambda: all(hands.values()), one, two)
    while sum(len(done) for done in handled.values()) < 8:
        for connection, hand in hands.items():
            if hand:
                handled[connection].append(hand[0].payload)
                hand.pop().ack()
        if sum(len(done) for done in handled.values()) < 8:
            loop.until(lambda: any(hands.values()), one, two)
    assert all(handled.values())
    assert sorted(handled[one] + handled[two]) == list(range(8))


def test_window_of_a_channel_applies_across_its_queues(
    declare: Declare, names: Names, producer: Producer, connection: Connection, drain: Loop, broker: Broker
) -> None:
    """With ``apply_global`` one window is shared by all consumers of the channel."""
    queues = [declare(Queue(names(f"q{n}"))) for n in range(3)]
    for queue in queues:
        fill(producer, queue, 3)
    held = []
    consumer = connection.Consumer(queues, on_message=held.append)
    consumer.qos(prefetch_count=2, apply_global=True)
    with consumer:
        for settled in range(4):
            drain.until(lambda settled=settled: len(held) >= settled + 2, connection)
            drain.settle(broker.settle_seconds, connection)
            assert len(held) == settled + 2
            held[settled].ack()


def test_window_can_be_widened_while_consuming(
    orders: Queue, producer: Producer, connection: Connection, drain: Loop, broker: Broker
) -> None:
    """What an autoscaler does."""
    held = []
    fill(producer, orders, 5)
    consumer = connection.Consumer([orders], on_message=held.append)
    consumer.qos(prefetch_count=1, apply_global=True)
    with consumer:
        drain.until(lambda: held, connection)
        drain.settle(broker.settle_seconds, connection)
        assert len(held) == 1
        consumer.qos(prefetch_count=4, apply_global=True)
        drain.until(lambda: len(held) >= 4, connection)
        drain.settle(broker.settle_seconds, connection)
        assert len(held) == 4


def test_what_was_prefetched_and_not_acknowledged_is_not_lost(
    orders: Queue, producer: Producer, connect: Connect, drain: Loop, expect: Expectation
) -> None:
    """Closing gives back everything that was held."""
    held, connection = [], connect()
    fill(producer, orders, 5)
    connection.Consumer([orders], on_message=held.append, prefetch_count=3).consume()
    drain.until(lambda: len(held) == 3, connection)
    held[0].ack()
    connection.release()
    expect((orders, [number for number in range(5) if number != held[0].payload]))
