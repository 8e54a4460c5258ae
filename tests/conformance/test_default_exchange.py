"""The default exchange reaches every queue by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu import Exchange, Queue

if TYPE_CHECKING:
    from kombu import Producer

    from .expectations import Expectation
    from .fixtures import Declare, Names


def test_message_goes_to_the_queue_named_by_the_routing_key(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """The default exchange routes by queue name."""
    queue = declare(Queue(names("orders")))
    producer.publish("hello", routing_key=queue.name)
    expect((queue, ["hello"]))


def test_only_the_named_queue_receives(producer: Producer, declare: Declare, names: Names, expect: Expectation) -> None:
    """The default exchange is no fanout."""
    orders, others = declare(Queue(names("orders"))), declare(Queue(names("others")))
    producer.publish("hello", routing_key=orders.name)
    expect((orders, ["hello"]), (others, []))


def test_message_to_a_missing_queue_is_dropped_silently(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """No error for the publisher, then or at the next call, and a queue made later is empty."""
    producer.publish("lost", routing_key=names("nowhere"))
    queue = declare(Queue(names("nowhere")))
    producer.publish("found", routing_key=queue.name)
    expect((queue, ["found"]))


def test_queue_bound_to_a_named_exchange_is_still_reached_by_name(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """The binding to the default exchange is there for every queue."""
    queue = declare(Queue(names("orders"), Exchange(names("shop"), type="direct"), routing_key="order"))
    producer.publish("by name", routing_key=queue.name)
    producer.publish("by key", exchange=queue.exchange.name, routing_key="order")
    expect((queue, ["by name", "by key"]))


def test_names_that_look_alike_are_different_queues(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Dots, hyphens, underscores, at signs and letter case all distinguish."""
    queues = [declare(Queue(f"{prefix}{names('q')}")) for prefix in ("a.b", "a-b", "a_b", "a@b", "A.B")]
    for queue in queues:
        producer.publish(queue.name, routing_key=queue.name)
    expect(*((queue, [queue.name]) for queue in queues))


def test_queue_with_a_long_name_of_unusual_characters_is_reached(
    producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """AMQP allows 255 bytes of UTF-8."""
    queue = declare(Queue(f"{names('Bestellungen für Köln / 東京 #1')} {'x' * 150}"))
    producer.publish("hello", routing_key=queue.name)
    expect((queue, ["hello"]))
