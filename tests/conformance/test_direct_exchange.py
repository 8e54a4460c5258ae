"""A direct exchange routes by equality of routing key and binding key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Queue

if TYPE_CHECKING:
    from kombu import Producer

    from .expectations import Expectation
    from .fixtures import Declare, Names

UNUSUAL_KEYS = {
    "space": "new order",
    "spaces around": "  order ",
    "unicode": "größe.東京.😀",
    "double quote": 'say "order"',
    "single quote": "o'clock",
    "backslash": "a\\b\\\\c",
    "slash": "/orders/new/",
    "json": '{"prefix": "a"}',
    "star and hash": "a.*.#",
    "dots": "..order..",
    "percent and ampersand": "50%&x=y+z",
    "line break and tab": "a\nb\tc",
    "200 characters": "k" * 200,
}


@pytest.fixture
def shop(declare: Declare, names: Names) -> Exchange:
    """A direct exchange."""
    return declare(Exchange(names("shop"), type="direct"))


def test_exact_key_is_delivered(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A message goes to the queue bound with its routing key."""
    queue = declare(Queue(names("orders"), shop, routing_key="order"))
    producer.publish("hello", exchange=shop.name, routing_key="order")
    expect((queue, ["hello"]))


def test_other_keys_are_dropped(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Neither a prefix nor an extension nor another case of the binding key matches."""
    queue = declare(Queue(names("orders"), shop, routing_key="order"))
    for key in ("orde", "orders", "Order", "order.new", " order", ""):
        producer.publish(key, exchange=shop.name, routing_key=key)
    producer.publish("right", exchange=shop.name, routing_key="order")
    expect((queue, ["right"]))


def test_several_queues_with_one_key_get_a_copy_each(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Binding keys are not exclusive."""
    queues = [declare(Queue(names(f"orders{n}"), shop, routing_key="order")) for n in range(3)]
    producer.publish("hello", exchange=shop.name, routing_key="order")
    expect(*((queue, ["hello"]) for queue in queues))


def test_one_queue_with_several_keys_receives_each(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A queue may be bound to one exchange many times."""
    queue = declare(Queue(names("orders"), shop, routing_key="new"))
    queue.bind_to(shop, routing_key="paid")
    for key in ("new", "paid", "lost"):
        producer.publish(key, exchange=shop.name, routing_key=key)
    expect((queue, ["new", "paid"]))


def test_queues_with_different_keys_are_kept_apart(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Each queue receives what it asked for."""
    queues = [declare(Queue(names(key), shop, routing_key=key)) for key in ("new", "paid")]
    for key in ("new", "paid"):
        producer.publish(key, exchange=shop.name, routing_key=key)
    expect((queues[0], ["new"]), (queues[1], ["paid"]))


def test_empty_binding_key_matches_the_empty_routing_key_alone(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """The empty key is a key like any other."""
    queue = declare(Queue(names("orders"), shop, routing_key=""))
    producer.publish("empty", exchange=shop.name, routing_key="")
    producer.publish("other", exchange=shop.name, routing_key="other")
    expect((queue, ["empty"]))


def test_star_and_hash_are_no_wildcards_in_a_direct_exchange(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Patterns belong to topic exchanges."""
    queues = [declare(Queue(names(f"q{n}"), shop, routing_key=key)) for n, key in enumerate(("*", "#"))]
    producer.publish("hello", exchange=shop.name, routing_key="order")
    expect((queues[0], []), (queues[1], []))


@pytest.mark.parametrize("key", list(UNUSUAL_KEYS.values()), ids=list(UNUSUAL_KEYS))
def test_key_of_unusual_characters_is_matched_literally(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation, key: str
) -> None:
    """What a routing key contains is nobody's syntax, and it arrives as it was sent."""
    queue = declare(Queue(names("orders"), shop, routing_key=key))
    other = declare(Queue(names("others"), shop, routing_key=key + "x"))
    producer.publish(key, exchange=shop.name, routing_key=key)
    expect((queue, [key]), (other, []))


def test_two_direct_exchanges_with_one_key_are_kept_apart(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A key means something only within its exchange."""
    stock = declare(Exchange(names("stock"), type="direct"))
    orders = declare(Queue(names("orders"), shop, routing_key="new"))
    goods = declare(Queue(names("goods"), stock, routing_key="new"))
    producer.publish("order", exchange=shop.name, routing_key="new")
    producer.publish("goods", exchange=stock.name, routing_key="new")
    expect((orders, ["order"]), (goods, ["goods"]))


def test_message_without_any_bound_queue_is_dropped(
    shop: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Publishing to an exchange without bindings is no error, and nothing is kept for later."""
    producer.publish("lost", exchange=shop.name, routing_key="order")
    queue = declare(Queue(names("orders"), shop, routing_key="order"))
    producer.publish("found", exchange=shop.name, routing_key="order")
    expect((queue, ["found"]))
