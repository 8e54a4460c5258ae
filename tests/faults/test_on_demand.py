"""Messages are fetched when there is a place for them, and not before."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue

from tests.faults.conftest import drain_until, run_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]

RUN = {"drain": drain_until, "hub": run_hub}


class Places:
    """An application with so many places for messages: it acks early, and keeps a place for as long as it works."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.received: list[Any] = []

    def take(self, message: Any) -> None:
        """Take a message into a place."""
        message.ack()
        self.free -= 1
        self.received.append(message.payload)


def consumer(connection: Connection, places: Places, *names: str) -> Any:
    """Make a consumer of some queues that fetches on demand."""
    channel = connection.channel()
    channel.basic_qos(prefetch_count=8)
    channel.qos.fetch_on_demand(lambda: places.free)
    queues = [Queue(name)(connection) for name in names]
    for queue in queues:
        queue.declare()
    return connection.Consumer(queues, channel=channel, on_message=places.take)


@pytest.mark.parametrize("driver", ["drain", "hub"])
def test_nothing_is_asked_for_while_there_is_no_place(
    connect: Connect, relay: Relay, service: LocalService, driver: str
) -> None:
    """Acks change nothing about that; what changes it is found out although nobody tells."""
    connection, places, run = connect(visibility_timeout=30), Places(2), RUN[driver]
    with consumer(connection, places, "q"):
        producer = connect(straight=service.endpoint_url).Producer()
        for number in range(5):
            producer.publish(number, routing_key="q")
        run(connection, lambda: len(places.received) == 2)
        polls = relay.calls["ReceiveMessage"]
        with pytest.raises(AssertionError, match="nothing came in time"):
            run(connection, lambda: len(places.received) > 2, timeout=1)
        assert relay.calls["ReceiveMessage"] == polls
        places.free = 1
        run(connection, lambda: len(places.received) == 3)
    left = Queue("q")(connect(straight=service.endpoint_url)).queue_declare(passive=True).message_count
    assert (left, places.free) == (2, 0)


@pytest.mark.parametrize("driver", ["drain", "hub"])
def test_what_comes_without_a_place_for_it_is_given_back_at_once(
    connect: Connect, relay: Relay, service: LocalService, driver: str
) -> None:
    """Each queue is asked for one message in time, lest one starve the others: here for two, with one place."""
    connection, places, run = connect(visibility_timeout=60, overflow_seconds=60), Places(1), RUN[driver]
    producer = connect(straight=service.endpoint_url).Producer()
    with consumer(connection, places, "a", "b"):
        run(connection, lambda: relay.calls["ReceiveMessage"] >= 2)
        for name in ("a", "b"):
            producer.publish(name, routing_key=name)
        run(connection, lambda: relay.calls["ChangeMessageVisibilityBatch"] and places.received)
    (other,) = {"a", "b"} - set(places.received)
    elsewhere = connect(straight=service.endpoint_url).SimpleQueue(other)
    assert elsewhere.get(timeout=5).payload == other


@pytest.mark.parametrize("driver", ["drain", "hub"])
def test_a_condition_put_over_the_windows_is_asked_before_polling(connect: Connect, relay: Relay, driver: str) -> None:
    """As Celery does it for Redis: by a ``can_consume`` of its own."""
    connection, received, run = connect(), [], RUN[driver]
    queue = Queue("q")(connection)
    queue.declare()
    connection.Producer().publish("x", routing_key="q")
    qos, may = connection.default_channel.qos, []
    qos.can_consume = MethodType(lambda _: bool(may), qos)
    with connection.Consumer([queue], on_message=lambda message: (received.append(message), message.ack())):
        with pytest.raises(AssertionError, match="nothing came in time"):
            run(connection, lambda: received, timeout=0.5)
        assert relay.calls["ReceiveMessage"] == 0
        may.append(True)
        run(connection, lambda: received)
