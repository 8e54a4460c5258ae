"""Producers of every kind reach the queue."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Exchange, Queue
from kombu.pools import ProducerPool

from .expectations import reply_code

if TYPE_CHECKING:
    from kombu import Connection, Message, Producer

    from tests.brokers import Broker

    from .expectations import Expectation
    from .fixtures import Connect, Declare, Names
    from .loops import Loop


def test_publishing_declares_what_it_is_told_to(
    connection: Connection, channel: Any, names: Names, expect: Expectation
) -> None:
    """``declare=[queue]`` makes queue, exchange and binding first, so nothing is lost."""
    queue = Queue(names("orders"), Exchange(names("shop"), type="topic"), routing_key="order.#")
    connection.Producer().publish("hello", exchange=queue.exchange, routing_key="order.new", declare=[queue])
    expect((queue(channel), ["hello"]))


def test_producer_declares_its_exchange(
    connection: Connection, channel: Any, names: Names, expect: Expectation
) -> None:
    """A producer of an exchange may be the first to mention it."""
    exchange = Exchange(names("shop"), type="direct")
    producer = connection.Producer(exchange=exchange, routing_key="order")
    producer.publish("to nobody")
    queue = Queue(names("orders"), exchange, routing_key="order")(channel)
    queue.declare()
    producer.publish("hello")
    expect((queue, ["hello"]))


def test_publishing_with_a_negative_expiration_is_a_406(
    connection: Connection, declare: Declare, names: Names, expect: Expectation
) -> None:
    """The error comes with the publishing or, as AMQP publishes without an answer, with the next call."""
    queue = declare(Queue(names("orders")))
    other = connection.channel()
    with pytest.raises(connection.channel_errors) as failure:  # noqa: PT012 - whichever of the two raises it
        connection.Producer(other, auto_declare=False).publish("never", routing_key=queue.name, expiration=-1)
        other.queue_declare(queue=queue.name, passive=True)
    assert reply_code(failure.value) == 406
    expect((queue, []))


def test_publishing_with_retry_delivers_once(
    connection: Connection, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A retry that is not needed is not made."""
    queue = declare(Queue(names("orders")))
    connection.Producer().publish("hello", routing_key=queue.name, retry=True, retry_policy={"max_retries": 3})
    expect((queue, ["hello"]))


def test_publishing_with_retry_opens_a_closed_connection_again(
    connection: Connection, declare: Declare, names: Names, expect: Expectation, connect: Connect
) -> None:
    """What a web server's producer does after a quiet night."""
    queue, other = declare(Queue(names("orders"))), connect()
    producer = other.Producer()
    producer.publish("one", routing_key=queue.name)
    other.collect()
    producer.publish("two", routing_key=queue.name, retry=True, retry_policy={"max_retries": 3})
    expect((queue, ["one", "two"]))


@pytest.mark.parametrize("kind", ["default", "fanout"])
def test_threads_publish_through_a_pool(
    connection: Connection, declare: Declare, names: Names, expect: Expectation, kind: str
) -> None:
    """Each takes a producer from the pool; nothing is lost and nothing is doubled."""
    exchange = Exchange("") if kind == "default" else declare(Exchange(names("crowd"), type="fanout"))
    queue = declare(Queue(names("orders"), exchange))
    pool, failures = ProducerPool(connections=connection.Pool(4), limit=4), []

    def publish(thread: int) -> None:
        try:
            for number in range(5):
                with pool.acquire(block=True) as producer:
                    producer.publish([thread, number], exchange=exchange.name, routing_key=queue.name)
        except Exception as failure:  # noqa: BLE001 - reported by the scenario, whatever it is
            failures.append(failure)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    # Before the connections are cut off: RabbitMQ says nothing of what it has taken, and need not have read it all yet.
    expect((queue, [[thread, number] for thread in range(4) for number in range(5)]))
    pool.force_close_all()
    pool.connections.force_close_all()


def test_messages_of_one_producer_to_many_queues_all_arrive(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """Queues are looked up by name once and never confused."""
    queues = [declare(Queue(names(f"q{n}"))) for n in range(5)]
    for number in range(15):
        producer.publish(number, routing_key=queues[number % 5].name)
    expect(*((queue, list(range(n, 15, 5))) for n, queue in enumerate(queues)))


def test_many_messages_arrive_each_once(
    declare: Declare, names: Names, producer: Producer, connection: Connection, loop: Loop, broker: Broker
) -> None:
    """More than any batch holds."""
    queue, received = declare(Queue(names("orders"))), []

    def on_message(message: Message) -> None:
        received.append(message.payload)
        message.ack()

    for number in range(60):
        producer.publish(number, routing_key=queue.name)
    with connection.Consumer([queue], on_message=on_message, prefetch_count=7):
        loop.until(lambda: len(received) >= 60, connection)
        loop.settle(broker.settle_seconds, connection)
    assert sorted(received) == list(range(60))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_forked_child_publishes_through_a_connection_of_its_own(
    connect: Connect, declare: Declare, names: Names, expect: Expectation
) -> None:
    """And the parent's connection, used before and after the fork, is none the worse for it."""
    queue, mine = declare(Queue(names("orders"))), connect()
    mine.Producer().publish("parent before", routing_key=queue.name)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with connect() as its_own:
                its_own.Producer().publish("child", routing_key=queue.name)
            status = 0
        finally:
            # Not even the fixtures of the parent may be torn down here.
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    mine.Producer().publish("parent after", routing_key=queue.name)
    expect((queue, ["parent before", "child", "parent after"]))
