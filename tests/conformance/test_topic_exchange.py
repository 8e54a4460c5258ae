"""A topic exchange routes by patterns of words: ``*`` is one word, ``#`` is any number of them, none included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Exchange, Queue

if TYPE_CHECKING:
    from kombu import Connection, Producer

    from tests.brokers import Broker

    from .expectations import Expectation
    from .fixtures import Declare, Names
    from .loops import Loop

#: Pattern -> (keys it matches, keys it does not).
PATTERNS: dict[str, tuple[list[str], list[str]]] = {
    "a.b": (["a.b"], ["a", "b", "a.b.c", "a.", ".a.b", "A.b"]),
    "#": (["", "a", "a.b", "a.b.c.d", ".", "a..b"], []),
    "a.#": (["a", "a.b", "a.b.c", "a."], ["", "b", "ab", "ab.c", "b.a"]),
    "#.a": (["a", "b.a", "c.b.a", ".a"], ["", "b", "ba", "a.b", "c.ba"]),
    "a.#.b": (["a.b", "a.x.b", "a.x.y.b", "a..b"], ["a", "b", "ab", "a.bb", "aa.b", "a.x.c"]),
    "#.a.#": (["a", "a.b", "b.a", "b.a.c", "x.y.a.z"], ["", "b", "ab", "b.c"]),
    "#.#": (["", "a", "a.b"], []),
    "*": (["a", "abc", "a-b c", "*", "#"], ["", "a.b", "."]),
    "*.*": (["a.b", ".", "a.", ".b"], ["", "a", "a.b.c"]),
    "a.*": (["a.b", "a.", "a.*"], ["a", "a.b.c", "b.a", "ab"]),
    "*.a": (["b.a", ".a"], ["a", "c.b.a", "a.b", "ba"]),
    "a.*.b": (["a.x.b", "a..b"], ["a.b", "a.x.y.b", "a.x"]),
    "*.#": (["a", "a.b", "a.b.c", ".a"], [""]),
    "#.*": (["a", "a.b", "a.b.c"], [""]),
    "a.*.#": (["a.b", "a.b.c", "a."], ["a", "b.a", ""]),
    "*.a.*": (["x.a.y", ".a."], ["a", "x.a", "a.y", "x.y.a"]),
    "a*.b": (["a*.b"], ["a.b", "ax.b", "a*"]),
    "#a": (["#a"], ["a", "b.a", "xa"]),
    "": ([""], ["a", "."]),
    "a..b": (["a..b"], ["a.b", "a.x.b"]),
    "größe.*": (["größe.東京", "größe.😀 x"], ["größe", "grosse.x"]),
    'say "a".*': (['say "a".b', 'say "a".\\'], ["say a.b"]),
    "a\\.#": (["a\\", "a\\.b"], ["a", "a.b"]),
    "a/b.*": (["a/b.c/d"], ["a/b", "a.b.c"]),
    "logs.*.error": (["logs.web.error", "logs.db.error"], ["logs.error", "logs.web.info", "logs.web.error.disk"]),
}


@pytest.fixture
def news(declare: Declare, names: Names) -> Exchange:
    """A topic exchange."""
    return declare(Exchange(names("news"), type="topic"))


@pytest.mark.parametrize(
    "pattern", list(PATTERNS), ids=lambda pattern: pattern.encode("unicode_escape").decode() or "empty"
)
def test_pattern_matches_exactly_these_keys(
    news: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation, pattern: str
) -> None:
    """One row of the table of patterns."""
    matching, others = PATTERNS[pattern]
    queue = declare(Queue(names("subscriber"), news, routing_key=pattern))
    for key in matching + others:
        producer.publish(key, exchange=news.name, routing_key=key)
    expect((queue, matching))


def test_two_overlapping_bindings_of_a_queue_give_one_copy(
    news: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A message is routed to a queue once, however many of its bindings match."""
    queue = declare(Queue(names("subscriber"), news, routing_key="a.#"))
    queue.bind_to(news, routing_key="#.b")
    queue.bind_to(news, routing_key="a.b")
    for key in ("a.b", "a.c", "c.b", "c.d"):
        producer.publish(key, exchange=news.name, routing_key=key)
    expect((queue, ["a.b", "a.c", "c.b"]))


def test_overlapping_patterns_of_several_queues_give_each_a_copy(
    news: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Queues do not compete for a message at the exchange."""
    patterns = ("#", "a.*", "a.b", "b.*")
    queues = [declare(Queue(names(f"q{n}"), news, routing_key=pattern)) for n, pattern in enumerate(patterns)]
    producer.publish("hello", exchange=news.name, routing_key="a.b")
    expect(*((queue, ["hello"]) for queue in queues[:3]), (queues[3], []))


def test_queue_bound_to_two_exchanges_receives_from_both(
    news: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """A second binding to another exchange leaves the first as it was."""
    alerts = declare(Exchange(names("alerts"), type="topic"))
    queue = declare(Queue(names("subscriber"), news, routing_key="a.*"))
    queue.bind_to(alerts, routing_key="b.*")
    for exchange in (news, alerts):
        for key in ("a.x", "b.x"):
            producer.publish(f"{key} {exchange.name}", exchange=exchange.name, routing_key=key)
    expect((queue, [f"a.x {news.name}", f"b.x {alerts.name}"]))


def test_queue_bound_to_exchanges_of_three_types_receives_from_all(
    news: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """Direct, topic and fanout bindings live side by side on one queue."""
    shop, crowd = declare(Exchange(names("shop"), type="direct")), declare(Exchange(names("crowd"), type="fanout"))
    queue = declare(Queue(names("subscriber"), news, routing_key="a.#"))
    queue.bind_to(shop, routing_key="order")
    queue.bind_to(crowd)
    for exchange, key in ((news, "a.b"), (news, "order"), (shop, "order"), (shop, "a.b"), (crowd, "anything")):
        producer.publish(f"{exchange.type} {key}", exchange=exchange.name, routing_key=key)
    expect((queue, ["topic a.b", "direct order", "fanout anything"]))


def test_many_patterns_on_one_queue_all_match(
    news: Exchange, producer: Producer, declare: Declare, names: Names, expect: Expectation
) -> None:
    """More binding keys than any filter policy holds in one attribute still route exactly."""
    queue = declare(Queue(names("subscriber"), news, routing_key="k0.*"))
    for number in range(1, 12):
        queue.bind_to(news, routing_key=f"k{number}.#.end")
    keys = ["k0.x", "k3.end", "k7.a.b.end", "k11.end"]
    for key in [*keys, "k0", "k3.x", "k12.end"]:
        producer.publish(key, exchange=news.name, routing_key=key)
    expect((queue, keys))


def test_topic_delivers_to_a_consumer_in_both_loops(
    news: Exchange,
    producer: Producer,
    declare: Declare,
    names: Names,
    connection: Connection,
    loop: Loop,
    broker: Broker,
) -> None:
    """What the exchange routes, the consumer receives, and nothing else."""
    received = []
    queue = declare(Queue(names("subscriber"), news, routing_key="a.*"))
    with connection.Consumer([queue], on_message=received.append, no_ack=True):
        for key in ("a.b", "b.c", "a.c"):
            producer.publish(key, exchange=news.name, routing_key=key)
        loop.until(lambda: len(received) >= 2, connection)
        loop.settle(broker.settle_seconds, connection)
    assert sorted(message.payload for message in received) == ["a.b", "a.c"]
