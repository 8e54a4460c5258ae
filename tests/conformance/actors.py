"""What other processes do in the scenarios: module-level functions of a connection, with JSON in and out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kombu import Consumer, Exchange, Producer, Queue
from kombu.common import Broadcast

from .loops import DrainLoop
from .waiting import eventually

if TYPE_CHECKING:
    from kombu import Connection, Message


def bind(connection: Connection, exchange: str, kind: str, queue: str, *keys: str) -> int:
    """Declare all three parts and bind, and return the process id."""
    bound = Queue(queue, channel=connection.channel())
    bound.declare()
    source = Exchange(exchange, type=kind)(bound.channel)
    source.declare()
    for key in keys:
        bound.bind_to(source, routing_key=key)
    return os.getpid()


def unbind(connection: Connection, exchange: str, queue: str, key: str) -> None:
    """Remove one binding."""
    Queue(queue, channel=connection.channel()).unbind_from(Exchange(exchange), routing_key=key)


def publish(connection: Connection, exchange: str, key: str, *bodies: Any) -> int:
    """Publish without declaring anything, and return the process id."""
    producer = Producer(connection.channel(), auto_declare=False)
    for body in bodies:
        producer.publish(body, exchange=exchange, routing_key=key)
    return os.getpid()


def consume(connection: Connection, queue: str, count: int) -> list[Any]:
    """Consume and acknowledge that many messages of a queue declared by somebody else, and return their bodies."""
    received: list[Any] = []

    def on_message(message: Message) -> None:
        received.append(message.payload)
        message.ack()

    unbound = Queue(queue, no_declare=True)
    with Consumer(connection.channel(), [unbound], on_message=on_message, auto_declare=False):
        DrainLoop().until(lambda: len(received) >= count, connection)
    return sorted(received)


def consume_broadcast(connection: Connection, exchange: str, ready_queue: str) -> Any:
    """Subscribe to a broadcast, report so in `ready_queue`, and return the first message."""
    received: list[Any] = []
    channel = connection.channel()
    with Consumer(channel, [Broadcast(exchange)], on_message=lambda m: received.append(m.payload), no_ack=True):
        Producer(channel).publish("ready", routing_key=ready_queue)
        DrainLoop().until(lambda: received, connection)
    return received[0]


def consume_temporary(connection: Connection, queue: str, exclusive: bool, auto_delete: bool) -> Any:
    """Make a temporary queue, consume one message from it, and leave."""
    received: list[Any] = []
    channel = connection.channel()
    temporary = Queue(queue, exclusive=exclusive, auto_delete=auto_delete, durable=False)
    with Consumer(channel, [temporary], on_message=lambda m: received.append(m.payload), no_ack=True):
        Producer(channel).publish("in time", routing_key=queue)
        DrainLoop().until(lambda: received, connection)
    return received[0]


def answer_one_request(connection: Connection, queue: str) -> str:
    """Serve one remote procedure call: the number doubled, to ``reply_to`` through the default exchange."""
    channel = connection.channel()
    request = eventually(Queue(queue, channel=channel).get)
    properties = request.properties
    Producer(channel).publish(
        request.payload * 2, routing_key=properties["reply_to"], correlation_id=properties["correlation_id"]
    )
    request.ack()
    return str(properties["correlation_id"])


def delete_queue(connection: Connection, queue: str) -> None:
    """Delete a queue."""
    Queue(queue, channel=connection.channel()).delete()


def delete_exchange(connection: Connection, exchange: str) -> None:
    """Delete an exchange."""
    Exchange(exchange, channel=connection.channel()).delete()


def hold_without_ack(connection: Connection, queue: str, report_queue: str) -> None:
    """Take one message, report so in `report_queue`, and hold it until the process is killed."""
    channel = connection.channel()
    held = eventually(Queue(queue, channel=channel).get)
    Producer(channel).publish(held.payload, routing_key=report_queue)
    DrainLoop().until(lambda: False, connection)
