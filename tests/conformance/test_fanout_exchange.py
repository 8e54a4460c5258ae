"""A fanout exchange gives every bound queue a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Queue

if TYPE_CHECKING:
    from kombu import Producer

    from .expectations import Expectation
    from .fixtures import Declare, Names


@pytest.fixture
def crowd(declare: Declare, names: Names) -> Exchange:
    """A fanout exchange."""
    return declare(Exchange(names("crowd"), type="fanout"))


def test_every_bound_queue_gets_a_copy(
    crowd: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Three queues, three copies; a queue that is not bound gets none."""
    queues = [declare(Queue(names(f"q{n}"), crowd)) for n in range(3)]
    unbound = declare(Queue(names("unbound")))
    producer.publish("hello", exchange=crowd.name)
    expect(*((queue, ["hello"]) for queue in queues), (unbound, []))


@pytest.mark.parametrize("key", ["", "order", "a.b.c"], ids=["empty", "word", "words"])
def test_routing_key_is_ignored(
    crowd: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation, key: str
) -> None:
    """The key of the message need not be the key of the binding."""
    queue = declare(Queue(names("q"), crowd, routing_key="something else"))
    producer.publish("hello", exchange=crowd.name, routing_key=key)
    expect((queue, ["hello"]))


def test_queue_bound_with_two_keys_gets_one_copy(
    crowd: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Binding twice doubles nothing."""
    queue = declare(Queue(names("q"), crowd, routing_key="one"))
    queue.bind_to(crowd, routing_key="two")
    producer.publish("hello", exchange=crowd.name, routing_key="one")
    expect((queue, ["hello"]))


def test_message_without_bound_queues_is_dropped(
    crowd: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """No error, and nothing is kept for a queue that is bound later."""
    producer.publish("lost", exchange=crowd.name)
    queue = declare(Queue(names("q"), crowd))
    producer.publish("found", exchange=crowd.name)
    expect((queue, ["found"]))


def test_queue_bound_to_two_fanouts_receives_from_both(
    crowd: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """One queue can follow several exchanges."""
    other = declare(Exchange(names("other"), type="fanout"))
    queue = declare(Queue(names("q"), crowd))
    queue.bind_to(other)
    producer.publish("one", exchange=crowd.name)
    producer.publish("two", exchange=other.name)
    expect((queue, ["one", "two"]))
