"""Temporary queues go with those who used them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from kombu import Exchange, Queue
from kombu.common import Broadcast

from . import actors
from .expectations import error_code_of_passive_declare
from .waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu import Connection, Producer

    from .expectations import Expectation
    from .fixtures import Connect, Declare, InProcess, Names, Spawn
    from .loops import Loop


@pytest.fixture
def gone(connect: Connect) -> Callable[[str], bool]:
    """Whether a queue is unknown to the broker, asked on a connection of its own."""
    witness = connect()
    return lambda name: error_code_of_passive_declare(witness, name) == 404


@pytest.mark.parametrize(
    ("exclusive", "auto_delete"), [(True, False), (False, True), (True, True)], ids=["exclusive", "auto-delete", "both"]
)
def test_temporary_queue_of_a_process_is_gone_with_the_process(
    in_process: InProcess, names: Names, gone: Callable[[str], bool], exclusive: bool, auto_delete: bool
) -> None:
    """It has consumed, and it has ended."""
    assert in_process(actors.consume_temporary, names("mine"), exclusive, auto_delete) == "in time"
    eventually(lambda: gone(names("mine")))


def test_exclusive_queue_is_gone_when_its_connection_closes(
    connect: Connect, names: Names, gone: Callable[[str], bool]
) -> None:
    """Without anybody having consumed from it."""
    connection = connect()
    Queue(names("mine"), exclusive=True, channel=connection.channel()).declare()
    connection.release()
    eventually(lambda: gone(names("mine")))


def test_auto_delete_queue_is_gone_when_its_last_consumer_leaves(
    connect: Connect, names: Names, producer: Producer, drain: Loop, gone: Callable[[str], bool]
) -> None:
    """It came to be used, and it is not any more."""
    connection, received = connect(), []
    queue = Queue(names("shared"), auto_delete=True, durable=False)
    connection.Consumer([queue], on_message=received.append, no_ack=True).consume()
    producer.publish("hello", routing_key=queue.name)
    drain.until(lambda: received, connection)
    connection.release()
    eventually(lambda: gone(queue.name))


def test_auto_delete_queue_lives_before_its_first_consumer(
    declare: Declare, names: Names, producer: Producer, expect: Expectation, gone: Callable[[str], bool]
) -> None:
    """Only a queue that had consumers can lose its last."""
    queue = declare(Queue(names("shared"), auto_delete=True, durable=False))
    producer.publish("hello", routing_key=queue.name)
    assert not gone(queue.name)
    expect((queue, ["hello"]))


def test_temporary_queue_bound_to_an_exchange_receives(
    declare: Declare, names: Names, producer: Producer, connection: Connection, loop: Loop
) -> None:
    """While it lives it is a queue like any other."""
    received = []
    exchange = declare(Exchange(names("news"), type="topic"))
    queue = Queue(names("mine"), exchange, routing_key="a.#", exclusive=True, auto_delete=True)
    with connection.Consumer([queue], on_message=received.append, no_ack=True):
        producer.publish("hello", exchange=exchange.name, routing_key="a.b")
        loop.until(lambda: received, connection)
    assert received[0].payload == "hello"


def test_auto_delete_queue_outlives_who_declared_it_beside_its_consumer(
    connect: Connect, names: Names, producer: Producer, loop: Loop
) -> None:
    """As a publisher does that is told to declare what it publishes to."""
    consuming, publishing, received = connect(), connect(), []
    queue = Queue(f"{names('mine')}.{uuid4()}", Exchange(names("news"), type="fanout"), auto_delete=True, durable=False)
    consuming.Consumer([queue], on_message=received.append, no_ack=True).consume()
    publishing.Producer().publish("hello", exchange=queue.exchange, declare=[queue])
    publishing.release()
    loop.until(lambda: len(received) == 1, consuming)
    producer.publish("again", exchange=queue.exchange.name)
    loop.until(lambda: len(received) == 2, consuming)


def test_broadcast_reaches_two_processes(
    spawn: Spawn, declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """Each process has a queue of its own on the fanout exchange."""
    ready = declare(Queue(names("ready")))
    calls = [spawn(actors.consume_broadcast, names("everybody"), ready.name) for _ in range(2)]
    expect((ready, ["ready", "ready"]))
    producer.publish("hello", exchange=names("everybody"))
    assert [call.result() for call in calls] == ["hello", "hello"]


def test_two_broadcast_queues_of_one_process_both_receive(
    names: Names, connect: Connect, producer: Producer, loop: Loop
) -> None:
    """Each consumer of a broadcast gets each message."""
    connections, received = [connect(), connect()], [[], []]
    for connection, mine in zip(connections, received, strict=True):
        connection.Consumer([Broadcast(names("everybody"))], on_message=mine.append, no_ack=True).consume()
    producer.publish("hello", exchange=names("everybody"))
    loop.until(lambda: all(received), *connections)
    assert [[message.payload for message in mine] for mine in received] == [["hello"], ["hello"]]
