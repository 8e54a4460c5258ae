"""Getting asks for one message and does not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import ContentDisallowed

from .waiting import eventually

if TYPE_CHECKING:
    from kombu import Producer

    from .expectations import Expectation
    from .fixtures import Connect, Declare, Names


@pytest.fixture
def orders(declare: Declare, names: Names) -> Queue:
    """A queue bound to an exchange."""
    return declare(Queue(names("orders"), Exchange(names("shop"), type="direct"), routing_key="order"))


def test_get_from_an_empty_queue_is_none(orders: Queue) -> None:
    """No error, no waiting."""
    assert orders.get() is None


def test_get_returns_one_message(orders: Queue, producer: Producer, expect: Expectation) -> None:
    """The rest stays."""
    for number in range(2):
        producer.publish(number, routing_key=orders.name)
    first = eventually(orders.get)
    first.ack()
    expect((orders, [1 - first.payload]))


def test_get_without_ack_removes_the_message(
    orders: Queue, producer: Producer, connect: Connect, expect: Expectation
) -> None:
    """``no_ack=True`` settles by delivering."""
    producer.publish("hello", routing_key=orders.name)
    connection = connect()
    queue = orders(connection.channel())
    assert eventually(lambda: queue.get(no_ack=True)).payload == "hello"
    connection.release()
    expect((orders, []))


def test_got_message_knows_its_exchange_and_routing_key(orders: Queue, producer: Producer) -> None:
    """As a consumed one does."""
    producer.publish("hello", exchange=orders.exchange.name, routing_key="order")
    message = eventually(orders.get)
    message.ack()
    assert message.delivery_info["exchange"] == orders.exchange.name
    assert message.delivery_info["routing_key"] == "order"


def test_get_respects_the_accepted_content_types(orders: Queue, producer: Producer) -> None:
    """A message in a content type that is not accepted can't be decoded."""
    producer.publish({"n": 1}, routing_key=orders.name, serializer="pickle")
    message = eventually(lambda: orders.get(accept=["json"]))
    with pytest.raises(ContentDisallowed):
        message.decode()
    message.ack()
