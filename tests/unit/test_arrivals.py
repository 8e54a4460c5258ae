"""What ReceiveMessage brings, read, timed and matched."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.message import Message
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.filters import routing_attributes
from kombu_sns_sqs.topology.knowledge import KnownBindings, Match
from kombu_sns_sqs.topology.levels import priority_attributes
from kombu_sns_sqs.wire import envelope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
#: What kombu's JSON takes for a value of a type of its own.
TYPED = st.fixed_dictionaries(
    {
        "__type__": st.sampled_from(["datetime", "date", "time", "uuid", "decimal", "base64", "bytes", "other"]) | JSON,
        "__value__": JSON,
    }
)


def queue(ttl_ms: int | None = None, levels: int = 1) -> Queue:
    """A queue of that many levels."""
    return Queue(name="q", urls=tuple(f"u{n}" for n in range(levels)), arn="arn:q", identity=Identity(), ttl_ms=ttl_ms)


def raw(body: str = "x", attributes: dict[str, Any] | None = None, **system: str) -> dict[str, Any]:
    """A message as SQS gives it."""
    return {
        "MessageId": "m",
        "ReceiptHandle": "h",
        "Body": body,
        "MessageAttributes": attributes or {},
        "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1000000", **system},
    }


def sent(exchange: str = "", routing_key: str = "k", **properties: Any) -> dict[str, Any]:
    """A message of ours as SQS gives it."""
    message = {"body": "x", "content-type": "text/plain", "content-encoding": "utf-8", "properties": properties}
    out = envelope.encode(message, exchange=exchange, routing_key=routing_key, publish_id="p")
    return raw(out.body, {**out.attributes, **(routing_attributes(routing_key) if exchange else {})})


def read(message: dict[str, Any], to: Queue | None = None) -> Delivery:
    """Read it."""
    return arrivals.read(message, queue=to or queue(), url="u0")


def test_a_second_receive_is_a_redelivery() -> None:
    """By SQS's own count; the time it was sent is in seconds."""
    delivery = read(raw(ApproximateReceiveCount="2", SentTimestamp="1700000000123"))
    assert delivery.redelivered
    assert delivery.sent_at == 1700000000.123
    assert not read(raw()).redelivered


@pytest.mark.parametrize("broken", [{}, {"ApproximateReceiveCount": "x", "SentTimestamp": ""}])
def test_system_attributes_that_are_missing_or_odd_hurt_nothing(broken: dict[str, str]) -> None:
    """Emulators and proxies leave them out."""
    delivery = read({"MessageId": "m", "ReceiptHandle": "h", "Body": "x", "Attributes": broken})
    assert (delivery.receive_count, delivery.sent_at) == (1, 0.0)
    arrived = arrivals.arrive(delivery, queue=queue(ttl_ms=1), aws_now=1e9, now=0.0)
    assert not arrived.expired(1e9)


@given(
    body=JSON.map(str) | st.text(max_size=20) | TYPED.map(lambda value: json.dumps({"body": value})),
    marked=st.booleans(),
    value=st.text(max_size=10),
    kind=st.sampled_from(["String", "Number", "Number.int", "Binary", "Binary.gif", "Other", ""]),
)
def test_whatever_arrives_becomes_a_message(body: str, marked: bool, value: str, kind: str) -> None:
    """Hostile bodies and attributes included: nothing that anybody can send stops a worker."""
    attributes = {"theirs": {"DataType": kind, "StringValue": value}, "odd": {"DataType": kind}}
    if marked:
        attributes["kombu"] = {"DataType": "String", "StringValue": "1"}
    delivery = read(raw(body, attributes))
    arrivals.arrive(delivery, queue=queue(ttl_ms=5, levels=3), aws_now=1e9, now=0.0)
    message = Message(delivery, channel=None, delivery_tag=1, consumer_tag="c")
    assert isinstance(message.headers, dict)
    assert set(message.properties["message_attributes"]) == {"theirs", "odd"}


@given(fields=st.dictionaries(st.sampled_from(["body", "headers", "properties", "publish-id"]), TYPED | JSON))
def test_values_of_kombus_own_types_where_they_do_not_belong_make_a_foreign_message(fields: dict[str, Any]) -> None:
    """A date for headers, a UUID that is none: the envelope is not one."""
    message = {"body": "x", "headers": {}, "properties": {}, "exchange": "", "routing-key": "", "publish-id": "p"}
    text = json.dumps({**message, **fields})
    delivery = read(raw(text, {"kombu": {"DataType": "String", "StringValue": "1"}}))
    assert isinstance(delivery.content.headers, dict)
    assert isinstance(delivery.content.publish_id, str)
    assert arrivals.arrive(delivery, queue=queue(), aws_now=1e9, now=0.0).level == 0


@pytest.mark.parametrize(
    ("own_ms", "queue_ms", "age_seconds", "expired"),
    [
        (None, None, 10**6, False),
        (5000, None, 4, False),
        (5000, None, 5, True),
        (None, 5000, 4, False),
        (None, 5000, 6, True),
        (1000, 60_000, 2, True),
        (60_000, 1000, 2, True),
        (0, None, 0, True),
    ],
)
def test_a_message_lives_as_long_as_the_shorter_of_its_times(
    own_ms: int | None, queue_ms: int | None, age_seconds: int, expired: bool
) -> None:
    """In AWS's time, whatever the clock of this machine says."""
    message = sent(**({} if own_ms is None else {"expiration": str(own_ms)}))
    arrived = arrivals.arrive(read(message), queue=queue(ttl_ms=queue_ms), aws_now=1000.0 + age_seconds, now=77.0)
    assert arrived.expired(77.0) is expired


def test_a_message_expires_while_it_waits() -> None:
    """It was good when it came, and is dropped when its turn comes too late."""
    arrived = arrivals.arrive(read(sent(expiration="5000")), queue=queue(), aws_now=1002.0, now=10.0)
    assert not arrived.expired(12.9)
    assert arrived.expired(13.0)


def test_without_awss_time_nothing_expires() -> None:
    """Two machines' clocks are never compared."""
    arrived = arrivals.arrive(read(sent(expiration="1")), queue=queue(), aws_now=None, now=0.0)
    assert not arrived.expired(1e12)


@pytest.mark.parametrize(("priority", "level"), [(0, 0), (2, 2), (9, 2), (255, 2)])
def test_a_message_is_delivered_at_its_own_level(priority: int, level: int) -> None:
    """Wherever it was received: SNS may deliver to level 0."""
    delivery = read(sent(priority=priority))
    assert arrivals.arrive(delivery, queue=queue(levels=3), aws_now=1e3, now=0.0).level == level


def test_only_what_came_through_a_topic_is_matched() -> None:
    """What was sent to the queue itself was meant for it."""
    known = KnownBindings()
    known.replace([], as_of=1e12, read_at=1e12)
    assert arrivals.match(read(sent(exchange="")), known, received_at=0.0) is Match.YES
    assert arrivals.match(read(raw("foreign")), known, received_at=0.0) is Match.YES
    assert arrivals.match(read(sent(exchange="e")), known, received_at=0.0) is Match.NO
    known.add("e", "direct", "k")
    assert arrivals.match(read(sent(exchange="e")), known, received_at=0.0) is Match.YES


def test_a_message_belongs_to_the_level_that_the_filters_see() -> None:
    """By the attribute and not by its envelope: the filters withhold by that. What came directly belongs anyhow."""
    known, three = KnownBindings(), queue(levels=3)
    known.replace([("e", "direct", "k")], as_of=1e12, read_at=1e12, levels={"e": 3})

    def verdicts(message: dict[str, Any]) -> list[Match]:
        deliveries = [arrivals.read(message, queue=three, url=url) for url in three.urls]
        return [arrivals.match(delivery, known, received_at=0.0) for delivery in deliveries]

    marked = sent(exchange="e", priority=2)
    marked["MessageAttributes"] |= priority_attributes(1)
    assert verdicts(marked) == [Match.NO, Match.YES, Match.NO]
    assert verdicts(sent(exchange="e", priority=2)) == [Match.YES, Match.NO, Match.NO]
    assert verdicts(sent(exchange="", priority=2)) == [Match.YES] * 3
    assert verdicts(raw("foreign")) == [Match.YES] * 3


def test_a_message_tells_where_it_came_from() -> None:
    """In ``delivery_info``, with SQS's own id and count; a foreign message's routing key is its queue."""
    message = Message(read(sent("e", "a.b", priority=3)), channel=None, delivery_tag=7, consumer_tag="c")
    assert message.delivery_info == {
        "exchange": "e",
        "routing_key": "a.b",
        "redelivered": False,
        "sqs_message_id": "m",
        "sqs_queue": "u0",
        "receive_count": 1,
        "ApproximateReceiveCount": 1,
        "consumer_tag": "c",
        "priority": 3,
    }
    foreign = Message(read(raw("plain")), channel=None, delivery_tag=8, consumer_tag=None)
    assert (foreign.delivery_info["exchange"], foreign.delivery_info["routing_key"]) == ("", "q")
    assert foreign.payload == "plain"


def test_the_time_to_live_of_a_task_begins_when_it_is_due() -> None:
    """It waits for an hour, and may then be delivered for as long as one that did not wait."""
    eta = datetime.fromtimestamp(1000 + 3600, timezone.utc).isoformat()
    message = {"body": "x", "headers": {"task": "t", "id": "1", "eta": eta}, "properties": {"expiration": "5000"}}
    out = envelope.encode(message, exchange="", routing_key="k", publish_id="p")
    delivery = read(raw(out.body, dict(out.attributes)))
    arrived = arrivals.arrive(delivery, queue=queue(), aws_now=1000.0, now=0.0, wall=lambda: 1000.0)
    assert arrived.due_at == 3600
    assert arrived.early(3597.9)
    assert not arrived.early(3598.1)
    assert not arrived.expired(3604.9)
    assert arrived.expired(3605.1)


@pytest.mark.parametrize(
    ("own", "aws", "told"), [(100.0, None, 100.0), (100.0, 99.0, 100.0), (100.0, 500.0, 100.0), (1000.0, 100.0, 130.0)]
)
def test_the_time_of_day_is_this_machines_unless_it_is_far_ahead(own: float, aws: float | None, told: float) -> None:
    """As Celery's is; but a clock that is wrong does not make tasks early by hours."""
    assert arrivals.wall_clock(aws, own) == told
