"""A message arrives as it was sent: body, headers, properties and the way it took."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Exchange, Queue

from .waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu import Connection, Message, Producer

    from .fixtures import Declare, Names
    from .loops import Loop

BODIES = {
    "dict": {"a": [1, 2.5, None, True, {"b": "c"}], "": ""},
    "list": [1, "two", [3]],
    "number": 42,
    "none": None,
    "text": "plain text",
    "unicode text": "größer als 東京 😀 \u2028 \x85",
    "text that looks like json": '{"not": "decoded"}',
    "text that looks like base64": "aGVsbG8=",
    "control characters": "a\x00b\x01c\x1f",
    "markup": "<a href='x'>&amp;</a>",
    "bytes": b"\x00\x01\xfe\xff",
    "bytes that are text": b"plain",
    "empty text": "",
    "white space": " \n\t ",
    "200 KB of text": "0123456789" * 20_000,
    "200 KB of bytes": bytes(range(256)) * 800,
}

HEADERS = {
    "text": "größe",
    "empty": "",
    "number": 7,
    "negative": -7,
    "large": 2**40,
    "fraction": 1.5,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", [3, None], {"four": 5}],
    "table": {"nested": {"deep": [True, "x"]}, "empty": {}},
    "quotes": "a\"b\\c'd",
    "x-with.dots and spaces": "as a name",
}


@pytest.fixture
def orders(declare: Declare, names: Names) -> Queue:
    """A queue."""
    return declare(Queue(names("orders")))


@pytest.fixture
def carry(producer: Producer, orders: Queue) -> Callable[..., Message]:
    """Publish to the queue and return the message as it arrives."""

    def carry(body: Any, accept: list[str] | None = None, **options: Any) -> Message:
        producer.publish(body, routing_key=orders.name, **options)
        message = eventually(lambda: orders.get(accept=accept))
        message.ack()
        return message

    return carry


@pytest.mark.parametrize("body", list(BODIES.values()), ids=list(BODIES))
def test_body_arrives_as_it_was_sent(carry: Callable[..., Message], body: Any) -> None:
    """With the type it had."""
    payload = carry(body).payload
    assert payload == body
    assert type(payload) is type(body)


def test_empty_bytes_arrive_empty(carry: Callable[..., Message]) -> None:
    """An empty body is delivered; that it was bytes and not text is more than AMQP tells of it."""
    assert len(carry(b"").payload) == 0


@pytest.mark.parametrize("method", ["zlib", "bzip2"])
def test_compressed_body_is_decompressed(carry: Callable[..., Message], method: str) -> None:
    """And it says that it was compressed."""
    message = carry({"text": "x" * 10_000}, compression=method)
    assert message.payload == {"text": "x" * 10_000}
    assert message.headers["compression"].startswith("application/")


def test_rich_json_values_survive(carry: Callable[..., Message]) -> None:
    """The JSON of kombu knows dates, decimals and UUIDs."""
    body = {
        "date": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
        "decimal": decimal.Decimal("1.10"),
        "uuid": uuid.UUID(int=1),
    }
    assert carry(body).payload == body


def test_pickled_body_arrives_where_it_is_accepted(carry: Callable[..., Message]) -> None:
    """Sets are no JSON."""
    message = carry({1, 2, 3}, serializer="pickle", accept=["pickle"])
    assert message.payload == {1, 2, 3}
    assert message.content_type == "application/x-python-serialize"


@pytest.mark.parametrize(
    ("body", "options", "content_type", "content_encoding"),
    [
        ({"a": 1}, {}, "application/json", "utf-8"),
        ("text", {}, "text/plain", "utf-8"),
        (b"bytes", {}, "application/data", "binary"),
        ("<a/>", {"content_type": "text/xml", "content_encoding": "utf-8"}, "text/xml", "utf-8"),
        (b"\x89PNG", {"content_type": "image/png", "content_encoding": "binary"}, "image/png", "binary"),
    ],
    ids=["json", "text", "bytes", "own text type", "own binary type"],
)
def test_content_type_and_encoding_arrive(
    carry: Callable[..., Message], body: Any, options: dict[str, Any], content_type: str, content_encoding: str
) -> None:
    """The receiver decodes by them."""
    message = carry(body, **options)
    assert (message.content_type, message.content_encoding) == (content_type, content_encoding)
    assert message.payload == body


@pytest.mark.parametrize("name", list(HEADERS))
def test_header_arrives_with_its_type(carry: Callable[..., Message], name: str) -> None:
    """Whatever an AMQP table and JSON both can hold."""
    value = carry("body", headers={name: HEADERS[name]}).headers[name]
    assert value == HEADERS[name]
    assert type(value) is type(HEADERS[name])


def test_trace_context_arrives_as_it_was_sent(producer: Producer, declare: Declare, names: Names) -> None:
    """Of W3C's form and of X-Ray's, through a queue and through an exchange."""
    queue = declare(Queue(names("q"), Exchange(names("e"), "topic"), routing_key="a.*"))
    trace = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "baggage": "userId=Am%C3%A9lie,isProduction=false;ttl=1",
        "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    }
    producer.publish("m", routing_key=queue.name, headers=trace)
    producer.publish("m", exchange=queue.exchange.name, routing_key="a.b", headers=trace)
    for _ in range(2):
        message = eventually(queue.get)
        message.ack()
        assert trace.items() <= message.headers.items()


def test_many_headers_arrive_together(carry: Callable[..., Message]) -> None:
    """More than the ten attributes AWS would allow."""
    headers = HEADERS | {f"h{n}": n for n in range(30)}
    assert headers.items() <= carry("body", headers=headers).headers.items()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("correlation_id", "c-1 größe"),
        ("reply_to", "reply.queue@host"),
        ("message_id", "m-1"),
        ("type", "order.created"),
        ("app_id", "shop"),
        ("priority", 5),
        ("delivery_mode", 1),
        ("delivery_mode", 2),
    ],
)
def test_property_arrives(carry: Callable[..., Message], name: str, value: Any) -> None:
    """The properties of AMQP's basic class."""
    assert carry("body", **{name: value}).properties[name] == value


def test_messages_are_persistent_unless_asked_otherwise(carry: Callable[..., Message]) -> None:
    """The default delivery mode of kombu is 2."""
    assert carry("body").properties["delivery_mode"] == 2


@pytest.mark.parametrize("kind", ["default", "direct", "topic", "fanout"])
def test_delivery_info_tells_the_way_the_message_took(
    declare: Declare, names: Names, producer: Producer, connection: Connection, loop: Loop, kind: str
) -> None:
    """Exchange and routing key as published, and the tag of the consumer."""
    exchange = Exchange("" if kind == "default" else names("exchange"), type="direct" if kind == "default" else kind)
    queue = declare(Queue(names("queue"), exchange, routing_key="a.b" if kind == "direct" else "a.*"))
    key = queue.name if kind == "default" else "a.b"
    received = []
    with connection.Consumer([queue], on_message=received.append, no_ack=True, tag_prefix="mine-"):
        producer.publish("hello", exchange=exchange.name, routing_key=key)
        loop.until(lambda: received, connection)
    info = received[0].delivery_info
    assert (info["exchange"], info["routing_key"]) == (exchange.name, key)
    assert info["consumer_tag"].startswith("mine-")
    assert not info["redelivered"]


def test_delivery_tags_of_a_channel_are_distinct(
    orders: Queue, producer: Producer, connection: Connection, drain: Loop
) -> None:
    """An ack names one message."""
    received = []
    with connection.Consumer([orders], on_message=received.append):
        for number in range(5):
            producer.publish(number, routing_key=orders.name)
        drain.until(lambda: len(received) == 5, connection)
        assert len({message.delivery_tag for message in received}) == 5
        for message in received:
            message.ack()


@pytest.mark.parametrize("kind", ["direct", "topic", "fanout"])
def test_content_survives_every_exchange(declare: Declare, names: Names, producer: Producer, kind: str) -> None:
    """Headers, properties and bytes arrive through an exchange as through the default one."""
    queue = declare(Queue(names("queue"), Exchange(names("exchange"), type=kind), routing_key="k"))
    producer.publish(
        b"\x00\xff", exchange=queue.exchange.name, routing_key="k", headers=HEADERS, correlation_id="c", reply_to="r"
    )
    message = eventually(queue.get)
    message.ack()
    assert message.payload == b"\x00\xff"
    assert HEADERS.items() <= message.headers.items()
    assert (message.properties["correlation_id"], message.properties["reply_to"]) == ("c", "r")
