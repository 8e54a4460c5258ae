"""`drain_events` waits for one event, or for its timeout."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from kombu import Queue

if TYPE_CHECKING:
    from kombu import Connection, Message, Producer

    from .fixtures import Connect, Declare, Names
    from .loops import Loop


@pytest.mark.parametrize("queues", [1, 10], ids=["one-queue", "ten-queues"])
def test_timeout_is_raised_in_about_its_time_when_nothing_comes(
    declare: Declare, names: Names, connection: Connection, queues: int
) -> None:
    """However many idle queues are consumed. The best of some attempts counts: a busy machine is late now and then."""
    idle = [declare(Queue(names(f"q{n}"))) for n in range(queues)]
    timeout, took = 0.6, [float("inf")]
    with connection.Consumer(idle, on_message=lambda message: None, no_ack=True):
        while min(took) > 1.5 * timeout and len(took) <= 5:
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=timeout)
            took.append(time.monotonic() - started)
    assert 0.9 * timeout <= min(took) <= 1.5 * timeout


def test_timeouts_do_not_disturb_later_deliveries(
    declare: Declare, names: Names, producer: Producer, connection: Connection
) -> None:
    """A wait that was given up leaves nothing half received."""
    received, queue = [], declare(Queue(names("q")))
    with connection.Consumer([queue], on_message=received.append, no_ack=True):
        for number in range(3):
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.1)
            producer.publish(number, routing_key=queue.name)
            connection.drain_events(timeout=10)
    assert [message.payload for message in received] == [0, 1, 2]


def test_one_call_returns_after_one_event(
    declare: Declare, names: Names, producer: Producer, connection: Connection
) -> None:
    """Two messages are two calls, and neither waits for its timeout."""
    received, queue = [], declare(Queue(names("q")))
    producer.publish("one", routing_key=queue.name)
    with connection.Consumer([queue], on_message=received.append, no_ack=True):
        connection.drain_events(timeout=10)
        assert len(received) == 1
        producer.publish("two", routing_key=queue.name)
        connection.drain_events(timeout=10)
    assert sorted(message.payload for message in received) == ["one", "two"]


def test_exception_of_a_callback_reaches_the_caller(
    declare: Declare, names: Names, producer: Producer, connection: Connection, drain: Loop
) -> None:
    """It is not swallowed, and the connection is as good as before."""
    queue, received = declare(Queue(names("q"))), []

    def on_message(message: Message) -> None:
        if not received:
            received.append(message)
            raise LookupError(message.payload)
        received.append(message)

    with connection.Consumer([queue], on_message=on_message, no_ack=True):
        producer.publish("bad", routing_key=queue.name)
        with pytest.raises(LookupError, match="bad"):
            drain.until(lambda: False, connection)
        producer.publish("good", routing_key=queue.name)
        drain.until(lambda: len(received) == 2, connection)


def test_two_connections_are_drained_independently(
    declare: Declare, names: Names, producer: Producer, connect: Connect
) -> None:
    """What belongs to one is not delivered by draining the other."""
    one, two = connect(), connect()
    queue, idle, received = declare(Queue(names("q"))), declare(Queue(names("idle"))), []
    one.Consumer([queue], on_message=received.append, no_ack=True).consume()
    two.Consumer([idle], on_message=received.append, no_ack=True).consume()
    producer.publish("hello", routing_key=queue.name)
    with pytest.raises(TimeoutError):
        two.drain_events(timeout=0.3)
    assert received == []
    one.drain_events(timeout=10)
    assert [message.payload for message in received] == ["hello"]
