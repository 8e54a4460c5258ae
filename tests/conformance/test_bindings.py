"""A binding belongs to the broker, not to the process that made it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Queue

from . import actors
from .expectations import error_code_of_passive_declare
from .waiting import eventually

if TYPE_CHECKING:
    from kombu import Connection, Producer

    from .expectations import Expectation
    from .fixtures import Connect, Declare, InProcess, Names, Spawn
    from .loops import Loop

KEYS = {"direct": ("order", "order"), "topic": ("order.#", "order.new"), "fanout": ("", "anything")}


@pytest.mark.parametrize("kind", list(KEYS))
def test_one_process_binds_a_second_publishes_and_a_third_consumes(
    in_process: InProcess, names: Names, kind: str
) -> None:
    """The publisher has declared nothing, the consumer knows the queue by name alone."""
    binding_key, routing_key = KEYS[kind]
    exchange, queue = names("exchange"), names("queue")
    binder = in_process(actors.bind, exchange, kind, queue, binding_key)
    publisher = in_process(actors.publish, exchange, routing_key, "one", "two")
    assert in_process(actors.consume, queue, 2) == ["one", "two"]
    assert len({binder, publisher, os.getpid()}) == 3


@pytest.mark.parametrize("kind", list(KEYS))
def test_messages_published_before_the_first_consumer_are_there(
    producer: Producer, declare: Declare, names: Names, connection: Connection, drain: Loop, kind: str
) -> None:
    """A bound queue collects from the moment of its binding."""
    binding_key, routing_key = KEYS[kind]
    queue = declare(Queue(names("queue"), Exchange(names("exchange"), type=kind), routing_key=binding_key))
    for number in range(3):
        producer.publish(number, exchange=queue.exchange.name, routing_key=routing_key)
    received = []
    with connection.Consumer([queue], on_message=received.append, no_ack=True):
        drain.until(lambda: len(received) == 3, connection)
    assert sorted(message.payload for message in received) == [0, 1, 2]


def test_unbinding_in_another_process_stops_the_messages(
    in_process: InProcess, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A publisher that still remembers the binding does not matter."""
    exchange = Exchange(names("exchange"), type="direct")
    queue, witness = (declare(Queue(names(word), exchange, routing_key="k")) for word in ("queue", "witness"))
    producer.publish("before", exchange=exchange.name, routing_key="k")
    expect((queue, ["before"]), (witness, ["before"]))
    in_process(actors.unbind, exchange.name, queue.name, "k")
    producer.publish("after", exchange=exchange.name, routing_key="k")
    expect((queue, []), (witness, ["after"]))


def test_unbinding_one_of_two_keys_keeps_the_other(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Each key is a binding of its own."""
    exchange = declare(Exchange(names("exchange"), type="direct"))
    queue = declare(Queue(names("queue"), exchange, routing_key="one"))
    queue.bind_to(exchange, routing_key="two")
    queue.unbind_from(exchange, routing_key="one")
    for key in ("one", "two"):
        producer.publish(key, exchange=exchange.name, routing_key=key)
    expect((queue, ["two"]))


def test_unbinding_a_fanout_stops_its_messages_alone(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """The queue goes on receiving from its other exchange and by name."""
    one, two = (declare(Exchange(names(word), type="fanout")) for word in ("one", "two"))
    queue = declare(Queue(names("queue"), one))
    queue.bind_to(two)
    queue.unbind_from(one)
    for exchange in (one, two):
        producer.publish(exchange.name, exchange=exchange.name)
    producer.publish("by name", routing_key=queue.name)
    expect((queue, [two.name, "by name"]))


def test_unbinding_what_was_never_bound_is_no_error(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Unbinding is idempotent, as RabbitMQ has it."""
    exchange = declare(Exchange(names("exchange"), type="direct"))
    queue = declare(Queue(names("queue"), exchange, routing_key="k"))
    queue.unbind_from(exchange, routing_key="never")
    producer.publish("hello", exchange=exchange.name, routing_key="k")
    expect((queue, ["hello"]))


def test_binding_again_after_an_unbind_restores_the_messages(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Nothing remembers that a binding was removed."""
    exchange = declare(Exchange(names("exchange"), type="topic"))
    queue = declare(Queue(names("queue"), exchange, routing_key="a.*"))
    queue.unbind_from(exchange, routing_key="a.*")
    queue.bind_to(exchange, routing_key="a.*")
    producer.publish("hello", exchange=exchange.name, routing_key="a.b")
    expect((queue, ["hello"]))


@pytest.mark.parametrize("kind", list(KEYS))
def test_binding_twice_is_the_same_as_once(
    producer: Producer, declare: Declare, names: Names, expect: Expectation, kind: str
) -> None:
    """One binding, one copy; one unbind undoes it."""
    binding_key, routing_key = KEYS[kind]
    queue = declare(Queue(names("queue"), Exchange(names("exchange"), type=kind), routing_key=binding_key))
    queue.declare()
    queue.bind_to(queue.exchange, routing_key=binding_key)
    producer.publish("once", exchange=queue.exchange.name, routing_key=routing_key)
    expect((queue, ["once"]))
    queue.unbind_from(queue.exchange, routing_key=binding_key)
    producer.publish("never", exchange=queue.exchange.name, routing_key=routing_key)
    expect((queue, []))


def test_two_processes_that_add_keys_to_one_queue_lose_neither(
    spawn: Spawn, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Bindings made at the same time in several processes add up."""
    exchange = declare(Exchange(names("exchange"), type="direct"))
    queue = declare(Queue(names("queue")))
    keys = [["a1", "a2", "a3"], ["b1", "b2", "b3"]]
    calls = [spawn(actors.bind, exchange.name, "direct", queue.name, *mine) for mine in keys]
    for call in calls:
        call.result()
    for key in [*keys[0], *keys[1], "c1"]:
        producer.publish(key, exchange=exchange.name, routing_key=key)
    expect((queue, [*keys[0], *keys[1]]))


def test_queue_deleted_in_another_process_is_gone_here(
    in_process: InProcess,
    producer: Producer,
    declare: Declare,
    names: Names,
    expect: Expectation,
    connection: Connection,
) -> None:
    """Its name is unknown, and publishing to the exchange it was bound to goes on."""
    exchange = declare(Exchange(names("exchange"), type="fanout"))
    doomed, other = declare(Queue(names("doomed"), exchange)), declare(Queue(names("other"), exchange))
    producer.publish("before", exchange=exchange.name)
    expect((doomed, ["before"]), (other, ["before"]))
    in_process(actors.delete_queue, doomed.name)
    eventually(lambda: error_code_of_passive_declare(connection, doomed.name) == 404)
    producer.publish("after", exchange=exchange.name)
    expect((other, ["after"]))


def test_exchange_deleted_in_another_process_takes_its_bindings_along(
    in_process: InProcess, declare: Declare, names: Names, expect: Expectation, connect: Connect
) -> None:
    """An exchange declared again under the name has no bindings, and the queues are still there."""
    exchange = Exchange(names("exchange"), type="fanout")
    queue = declare(Queue(names("queue"), exchange))
    in_process(actors.delete_exchange, exchange.name)
    fresh = connect()
    exchange(fresh.channel()).declare()
    fresh.Producer().publish("to nobody", exchange=exchange.name)
    fresh.Producer().publish("by name", routing_key=queue.name)
    expect((queue, ["by name"]))
