"""What is on the wire, and that nothing on it can hurt."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.errors import MessageError, TooManyAttributes
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire import envelope

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def message(body: Any, **rest: Any) -> dict[str, Any]:
    """A message as `Channel.prepare_message` makes it."""
    return {
        "body": body,
        "content-type": "text/plain",
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {},
        **rest,
    }


def travel(sent: dict[str, Any], exchange: str = "e", routing_key: str = "k", compat: str = "native") -> Any:
    """Encode and decode."""
    out = envelope.encode(sent, exchange=exchange, routing_key=routing_key, publish_id="id1", compat=compat)
    return envelope.decode(out.body, out.attributes)


@pytest.mark.parametrize("compat", ["native", "sqs"])
@given(body=TEXT | st.binary(max_size=60), headers=st.dictionaries(TEXT, JSON, max_size=3), key=TEXT)
def test_a_message_arrives_as_it_was_sent(compat: str, body: str | bytes, headers: dict[str, Any], key: str) -> None:
    """Text and bytes, any headers, any key, in our form and in that of kombu's sqs."""
    headers.pop("compression", None)
    got = travel(message(body, headers=headers), routing_key=key, compat=compat)
    as_bytes = [part.encode() if isinstance(part, str) else part for part in (got.body, body)]
    assert as_bytes[0] == as_bytes[1]
    assert (got.exchange, got.routing_key, dict(got.headers)) == ("e", key, headers)
    assert not got.foreign


def test_text_is_not_wrapped_in_base64() -> None:
    """The body of a task is JSON text, and stays readable."""
    out = envelope.encode(message('{"a": 1}'), exchange="", routing_key="q", publish_id="x")
    assert json.loads(out.body)["body"] == '{"a": 1}'
    assert json.loads(out.body).keys() >= {"body", "headers", "properties", "exchange", "routing-key", "publish-id"}


def test_text_that_kombu_encoded_is_sent_as_text_unless_it_is_compressed() -> None:
    """Compressed bytes can be valid UTF-8 by accident, and must stay bytes."""
    assert travel(message(b"plain")).body == "plain"
    assert travel(message(b"plain", headers={"compression": "zlib"})).body == b"plain"
    assert travel(message(b"\xff\xfe")).body == b"\xff\xfe"


def test_what_kombu_sqs_writes_is_read() -> None:
    """With its defaults, base64 in base64, and with sqs_base64_encoding off."""
    inner = {
        "body": b64encode(b"[[1], {}, {}]").decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "add"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "t",
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "correlation_id": "c",
            "expiration": "5000",
        },
    }
    for text in (b64encode(json.dumps(inner).encode()).decode(), json.dumps(inner)):
        got = envelope.decode(text, {})
        assert (got.body, got.headers, got.routing_key) == (b"[[1], {}, {}]", {"task": "add"}, "celery")
        assert got.properties == {"correlation_id": "c", "expiration": "5000"}
        assert got.expiration_ms == 5000


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("plain text", "text/plain"),
        ("dGVzdA==", "text/plain"),
        ('{"Records": []}', "application/json"),
        ('{"Type": "Notification", "Message": "m"}', "application/json"),
        ("[1, 2]", "application/json"),
        ("7", "text/plain"),
        ("", "text/plain"),
        ('{"properties": 1}', "application/json"),
        ('{"properties": {"delivery_info": null}, "body": 7}', "application/json"),
        ('{"properties": {"delivery_info": 7}, "body": "x"}', "application/json"),
        ('{"properties": {"body_encoding": "base64"}, "body": "!"}', "application/json"),
    ],
)
def test_a_foreign_message_is_delivered_as_it_is(body: str, content_type: str) -> None:
    """Nothing is guessed about it but whether it is JSON."""
    got = envelope.decode(body, {})
    assert got.foreign
    assert (got.body, got.content_type) == (body, content_type)


@given(body=TEXT | JSON.map(json.dumps), marked=st.booleans())
def test_nothing_that_arrives_raises(body: str, marked: bool) -> None:
    """Marked as ours or not."""
    envelope.decode(body, attrs.ENVELOPE_MARK if marked else {})


@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["body", "headers", "properties", "exchange", "routing-key", "publish-id", "body-encoding", "content-type"]
        ),
        JSON,
    )
)
def test_a_broken_envelope_is_foreign_or_whole(fields: dict[str, Any]) -> None:
    """What comes out has the types that kombu expects."""
    got = envelope.decode(json.dumps(fields), attrs.ENVELOPE_MARK)
    assert isinstance(got.headers, dict)
    assert isinstance(got.properties, dict)
    assert isinstance(got.exchange, str)
    assert isinstance(got.priority, int)


def test_deep_nesting_is_foreign() -> None:
    """It would exhaust the stack."""
    assert envelope.decode("[" * 100_000, attrs.ENVELOPE_MARK).foreign


def test_headers_that_are_not_json_are_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(MessageError, match="JSON"):
        travel(message("x", headers={"a": object()}))


def test_user_attributes_go_out_and_come_back() -> None:
    """As plain values, beside ours."""
    given_attributes = {"tenant": "a", "weight": 7, "ratio": 0.5, "blob": b"\x00"}
    out = envelope.encode(
        message("x", properties={"message_attributes": given_attributes, "MessageGroupId": "g"}),
        exchange="",
        routing_key="q",
        publish_id="x",
    )
    assert attrs.from_aws(out.attributes) == given_attributes
    assert out.group_id == "g"
    assert "message_attributes" not in json.loads(out.body)["properties"]


def addressed(**properties: Any) -> Any:
    """A message with these properties, wrapped."""
    return envelope.encode(message("x", properties=properties), exchange="", routing_key="q", publish_id="x")


def test_a_group_may_be_a_number() -> None:
    """Such as that of a customer; AWS takes text."""
    out = addressed(message_group_id=7, message_deduplication_id="order-7!")
    assert (out.group_id, out.deduplication_id) == ("7", "order-7!")


@pytest.mark.parametrize("name", ["message_group_id", "MessageDeduplicationId"])
@pytest.mark.parametrize("wrong", ["", "a b", "é", "x" * 129, "a\n"])
def test_an_id_aws_would_refuse_is_refused_here(name: str, wrong: str) -> None:
    """In a batch it would be told late, and by a name nobody wrote."""
    with pytest.raises(MessageError, match="128 letters, digits and punctuation"):
        addressed(**{name: wrong})


def test_more_attributes_than_sns_delivers_are_refused() -> None:
    """With an eleventh, SNS would discard the message without a word."""
    six = {f"a{number}": "x" for number in range(attrs.MAX_USER_ATTRIBUTES)}
    assert len(attrs.to_aws(six)) + len(attrs.ENVELOPE_MARK) + len(attrs.ROUTING_ATTRIBUTES) == 10
    with pytest.raises(TooManyAttributes, match="6 are left to you"):
        attrs.to_aws({**six, "one-more": "x"})


@pytest.mark.parametrize(
    "wrong", [{"rk": "x"}, {"kombu": "x"}, {"AWS.x": "y"}, {"a b": "x"}, {"a": ""}, {"a": None}, {"a": object()}]
)
def test_attributes_aws_would_refuse_are_refused_here(wrong: dict[str, Any]) -> None:
    """Reserved names, illegal names, empty values, other types."""
    with pytest.raises(MessageError):
        attrs.to_aws(wrong)
