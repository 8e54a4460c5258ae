"""Declaring is idempotent, looking is free of effects, and contradictions are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kombu import Exchange, Queue

from .expectations import error_code_of_passive_declare, reply_code
from .waiting import eventually

if TYPE_CHECKING:
    from kombu import Connection, Producer

    from .expectations import Expectation
    from .fixtures import Connect, Declare, Names


def test_passive_declare_of_a_missing_queue_is_a_404(connection: Connection, channel: Any, names: Names) -> None:
    """A channel error with the reply code NOT_FOUND."""
    with pytest.raises(connection.channel_errors) as failure:
        Queue(names("nowhere"), channel=channel).queue_declare(passive=True)
    assert reply_code(failure.value) == 404


def test_passive_declare_of_a_missing_queue_creates_nothing(connection: Connection, names: Names) -> None:
    """The second look finds as little as the first."""
    assert error_code_of_passive_declare(connection, names("nowhere")) == 404
    assert error_code_of_passive_declare(connection, names("nowhere")) == 404


def test_passive_declare_of_a_missing_exchange_is_a_404_and_creates_nothing(
    connection: Connection, names: Names
) -> None:
    """A channel error with the reply code NOT_FOUND, twice."""
    for _ in range(2):
        with pytest.raises(connection.channel_errors) as failure:
            connection.channel().exchange_declare(names("nowhere"), type="direct", passive=True)
        assert reply_code(failure.value) == 404


def test_passive_declare_of_what_is_there_succeeds(connect: Connect, declare: Declare, names: Names) -> None:
    """Another connection sees both."""
    queue = declare(Queue(names("queue"), Exchange(names("exchange"), type="direct"), routing_key="k"))
    channel = connect().channel()
    channel.exchange_declare(queue.exchange.name, type="direct", passive=True)
    assert channel.queue_declare(queue=queue.name, passive=True)[0] == queue.name


def test_channel_error_leaves_the_connection_usable(connection: Connection, names: Names, expect: Expectation) -> None:
    """A new channel works after a 404 closed another one."""
    assert error_code_of_passive_declare(connection, names("nowhere")) == 404
    queue = Queue(names("queue"), channel=connection.channel())
    queue.declare()
    connection.Producer().publish("hello", routing_key=queue.name)
    expect((queue, ["hello"]))


def test_declaring_the_same_again_is_fine(
    connect: Connect, declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """From this connection and from another, without harm to what the queue holds."""
    entity = Queue(names("queue"), Exchange(names("exchange"), type="topic"), routing_key="a.#")
    queue = declare(entity)
    producer.publish("hello", exchange=queue.exchange.name, routing_key="a")
    declare(entity)
    entity(connect().channel()).declare()
    expect((queue, ["hello"]))


@pytest.mark.parametrize("kinds", [("direct", "topic"), ("topic", "fanout"), ("fanout", "direct")], ids="-".join)
def test_declaring_an_exchange_with_another_type_is_a_406(
    connection: Connection, declare: Declare, names: Names, kinds: tuple[str, str]
) -> None:
    """A channel error with the reply code PRECONDITION_FAILED."""
    declare(Exchange(names("exchange"), type=kinds[0]))
    with pytest.raises(connection.channel_errors) as failure:
        Exchange(names("exchange"), type=kinds[1], channel=connection.channel()).declare()
    assert reply_code(failure.value) == 406


def test_queue_declared_without_a_name_gets_one(channel: Any, producer: Producer, expect: Expectation) -> None:
    """The broker makes a name up, which works like any other."""
    queue = Queue("", exclusive=True, channel=channel)
    other = Queue("", exclusive=True, channel=channel)
    queue.declare()
    other.declare()
    assert queue.name
    assert queue.name != other.name
    producer.publish("hello", routing_key=queue.name)
    expect((queue, ["hello"]), (other, []))


def test_queue_declare_returns_name_and_counts(channel: Any, names: Names) -> None:
    """A triple: queue, message count, consumer count."""
    name, message_count, consumer_count = channel.queue_declare(queue=names("queue"))
    assert (name, message_count, consumer_count) == (names("queue"), 0, 0)


def test_queue_declare_counts_the_messages_that_are_ready(
    channel: Any, declare: Declare, names: Names, producer: Producer
) -> None:
    """What was published is counted; on AWS the count is approximate and takes its time."""
    queue = declare(Queue(names("queue")))
    for number in range(3):
        producer.publish(number, routing_key=queue.name)
    eventually(lambda: channel.queue_declare(queue=queue.name, passive=True).message_count == 3)


def test_publishing_to_a_missing_exchange_is_a_404(connection: Connection, channel: Any, names: Names) -> None:
    """The error comes with the publishing or, as AMQP publishes without an answer, with the next call."""
    with pytest.raises(connection.channel_errors) as failure:  # noqa: PT012 - whichever of the two raises it
        connection.Producer(channel, auto_declare=False).publish("lost", exchange=names("nowhere"), routing_key="k")
        channel.queue_declare(queue=names("next call"))
    assert reply_code(failure.value) == 404


def test_binding_to_a_missing_exchange_is_a_404(connection: Connection, declare: Declare, names: Names) -> None:
    """A binding needs both of its ends."""
    queue = declare(Queue(names("queue")))
    with pytest.raises(connection.channel_errors) as failure:
        queue.bind_to(names("nowhere"), routing_key="k")
    assert reply_code(failure.value) == 404


def test_deleting_a_missing_queue_is_no_error(channel: Any, names: Names) -> None:
    """Deleting is idempotent, as RabbitMQ has it."""
    channel.queue_delete(names("nowhere"))
    channel.queue_declare(queue=names("queue"))


def test_deleting_a_missing_exchange_is_no_error(channel: Any, names: Names) -> None:
    """Deleting is idempotent, as RabbitMQ has it."""
    channel.exchange_delete(names("nowhere"))
    channel.queue_declare(queue=names("queue"))


def test_deleted_queue_is_unknown_and_its_messages_are_gone(
    connection: Connection, declare: Declare, names: Names, producer: Producer
) -> None:
    """The delete is seen by the next look."""
    queue = declare(Queue(names("queue")))
    producer.publish("lost", routing_key=queue.name)
    queue.delete()
    eventually(lambda: error_code_of_passive_declare(connection, queue.name) == 404)


def test_deleted_exchange_is_unknown(connection: Connection, declare: Declare, names: Names) -> None:
    """The delete is seen by the next look."""
    exchange = declare(Exchange(names("exchange"), type="fanout"))
    exchange.delete()

    def gone() -> bool:
        try:
            connection.channel().exchange_declare(exchange.name, type="fanout", passive=True)
        except connection.channel_errors as error:
            return reply_code(error) == 404
        return False

    eventually(gone)


def test_a_queue_of_more_than_255_priorities_is_a_406(connection: Connection, channel: Any, names: Names) -> None:
    """PRECONDITION_FAILED, and nothing is made."""
    with pytest.raises(connection.channel_errors) as failure:
        channel.queue_declare(queue=names("queue"), arguments={"x-max-priority": 256})
    assert reply_code(failure.value) == 406
    assert error_code_of_passive_declare(connection, names("queue")) == 404
