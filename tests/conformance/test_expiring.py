"""Expired messages are never delivered, the others are.

All scenarios publish at once and share one wait: the time that must pass is the subject here, not a way to synchronise.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Producer, Queue

from tests.brokers import open_connection

from .waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.brokers import Broker

    from .expectations import Expectation
    from .fixtures import Declare, Names

#: Seconds a short message lives, and seconds after which it is looked for: a margin of more than two between them.
SHORT, WAIT = 2.0, 4.5
LONG = 600.0

pytestmark = pytest.mark.ttl


@pytest.fixture(scope="module")
def aged(broker: Broker) -> Iterator[dict[str, Queue]]:
    """Queues, by what was published to them, as they are when the short-lived messages have expired."""
    namespace = f"t{uuid.uuid4().hex[:8]}"
    with open_connection(broker.url_for(namespace), broker.transport_options) as connection:
        channel = connection.channel()
        crowd = Exchange(f"crowd-{namespace}", type="fanout")
        queues = {
            "message": Queue(f"message-{namespace}"),
            "fanout": Queue(f"fanout-{namespace}", crowd),
            "queue": Queue(f"queue-{namespace}", message_ttl=SHORT),
            "both": Queue(f"both-{namespace}", message_ttl=LONG),
            "shorter queue": Queue(f"shorter-queue-{namespace}", message_ttl=SHORT),
        }
        bound = {word: queue(channel) for word, queue in queues.items()}
        for queue in bound.values():
            queue.declare()
        producer = Producer(channel)
        producer.publish("short", routing_key=bound["message"].name, expiration=SHORT)
        producer.publish("long", routing_key=bound["message"].name, expiration=LONG)
        producer.publish("forever", routing_key=bound["message"].name)
        producer.publish("short", exchange=crowd.name, expiration=SHORT)
        producer.publish("long", exchange=crowd.name, expiration=LONG)
        producer.publish("short", routing_key=bound["queue"].name)
        producer.publish("short", routing_key=bound["both"].name, expiration=SHORT)
        producer.publish("long", routing_key=bound["both"].name)
        producer.publish("short by the queue", routing_key=bound["shorter queue"].name, expiration=LONG)
        time.sleep(WAIT)
        yield bound


def test_message_with_an_expiration_is_not_delivered_after_it(aged: dict[str, Queue], expect: Expectation) -> None:
    """Those that have longer to live, or for ever, are."""
    expect((aged["message"], ["long", "forever"]))


def test_expiration_holds_through_an_exchange(aged: dict[str, Queue], expect: Expectation) -> None:
    """A fanout copy expires as the message would have."""
    expect((aged["fanout"], ["long"]))


def test_message_in_a_queue_with_a_ttl_expires(aged: dict[str, Queue], expect: Expectation) -> None:
    """``x-message-ttl`` needs nothing of the publisher."""
    expect((aged["queue"], []))


def test_the_shorter_of_message_and_queue_ttl_counts(aged: dict[str, Queue], expect: Expectation) -> None:
    """Whichever of the two it is."""
    expect((aged["both"], ["long"]), (aged["shorter queue"], []))


def test_message_is_delivered_before_it_expires(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """A lifetime is no delay."""
    queue = declare(Queue(names("q"), message_ttl=60))
    producer.publish("hello", routing_key=queue.name, expiration=60)
    expect((queue, ["hello"]))


def test_message_in_the_application_s_hands_does_not_expire(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """What was delivered in time can be acknowledged at leisure."""
    queue = declare(Queue(names("q")))
    producer.publish("hello", routing_key=queue.name, expiration=SHORT)
    message = eventually(queue.get)
    time.sleep(SHORT)
    message.ack()
    expect((queue, []))


def test_queue_with_an_expiry_of_its_own_is_an_ordinary_queue_until_then(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """``x-expires`` is accepted, and does not touch a queue in use."""
    queue = declare(Queue(names("q"), expires=600))
    producer.publish("hello", routing_key=queue.name)
    expect((queue, ["hello"]))
