"""The envelope: an AMQP message as the text of a message body, and back.

::

    {"body": "...", "content-type": ..., "content-encoding": ..., "headers": {...}, "properties": {...},
     "exchange": ..., "routing-key": ..., "publish-id": ...[, "body-encoding": "base64"][, "due": epoch seconds]}

The body is the text it is; base64 only where it is bytes, once, and declared. That a message body is an envelope is
said by the attribute ``kombu``, never guessed, with one exception: messages that kombu's ``sqs://`` wrote bear no
mark, and are known by their shape, so that a fleet can move worker by worker.

Anything else is a foreign message, and whatever looks like an envelope and is not one is foreign too: nothing that
can arrive may raise here.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from kombu.utils import json as kombu_json

from kombu_sns_sqs.delay import RELATIVE_DELAY, Due, due_of
from kombu_sns_sqs.errors import MessageError
from kombu_sns_sqs.json_text import writer
from kombu_sns_sqs.messages import Content, Outgoing
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire.trace import trace_of

_BASE64: Final = "base64"
_written: Final = writer(kombu_json.JSONEncoder())
_read: Final = json.JSONDecoder().decode
#: What kombu marks values with that JSON does not know.
_TYPED_VALUE: Final = '"__type__"'
_TEXT: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
#: Properties that become fields of the request, under each name users know.
_USER_ATTRIBUTES: Final = ("message_attributes", "MessageAttributes")
_GROUP_ID: Final = ("message_group_id", "MessageGroupId")
_DEDUPLICATION_ID: Final = ("message_deduplication_id", "MessageDeduplicationId")
#: What those two may be.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_TOKEN: Final = re.compile("[!-~]{1,128}")
#: Properties that belong to one delivery or to one broker, and stay behind.
_LOCAL: Final = frozenset(
    {
        *_USER_ATTRIBUTES,
        *_GROUP_ID,
        *_DEDUPLICATION_ID,
        *RELATIVE_DELAY,
        "delivery_info",
        "delivery_tag",
        "body_encoding",
    }
)


def encode(
    message: Mapping[str, Any],
    *,
    exchange: str,
    routing_key: str,
    publish_id: str,
    compat: str = "native",
    due: Due | None = None,
) -> Outgoing:
    """Wrap a message as ``Channel.prepare_message`` made it.

    ``due``: when it may be delivered; None: at once.

    Raises:
        MessageError: attributes, or a group or deduplication id, that AWS would refuse, or headers that cannot be
            written as JSON.
    """
    properties: Mapping[str, Any] = message.get("properties") or {}
    # Most messages have none of these, and then nothing is looked for: who calls ``delay()`` waits for it.
    special = {} if _LOCAL.isdisjoint(properties) else properties
    kept = properties
    if special or None in properties.values():
        kept = {key: value for key, value in properties.items() if key not in _LOCAL and value is not None}
    write = _kombu_sqs_text if compat == "sqs" else _native_text
    try:
        more = {"due": due.at} if due is not None and due.written else {}
        body = write(message, kept, exchange, routing_key, publish_id, more)
    except (TypeError, ValueError, RecursionError) as exc:
        raise MessageError(f"the message cannot be written as JSON: {exc}") from exc
    return Outgoing(
        body=body,
        attributes=_attributes(special, compat),
        publish_id=publish_id,
        priority=_priority(properties.get("priority")),
        group_id=_token(special, _GROUP_ID) if special else None,
        deduplication_id=_token(special, _DEDUPLICATION_ID) if special else None,
        due=due,
        trace=trace_of(message.get("headers") or {}, properties),
    )


def _attributes(properties: Mapping[str, Any], compat: str) -> Mapping[str, Mapping[str, Any]]:
    mark = {} if compat == "sqs" else attrs.ENVELOPE_MARK
    given = _first(properties, _USER_ATTRIBUTES)
    return {**attrs.to_aws(given), **mark} if given else mark


def _native_text(
    message: Mapping[str, Any],
    properties: Mapping[str, Any],
    exchange: str,
    routing_key: str,
    publish_id: str,
    more: Mapping[str, Any],
) -> str:
    body = _as_text(message)
    envelope = {
        "body": body,
        "content-type": message.get("content-type"),
        "content-encoding": message.get("content-encoding"),
        "headers": message.get("headers") or {},
        "properties": properties,
        "exchange": exchange,
        "routing-key": routing_key,
        "publish-id": publish_id,
        **more,
    }
    if not isinstance(body, str):
        envelope["body"] = b64encode(bytes(body or b"")).decode("ascii")
        envelope["body-encoding"] = _BASE64
    return _written(envelope)


def _as_text(message: Mapping[str, Any]) -> Any:
    """Give the body as text where it says that it is text; kombu encodes plain text before it hands it over."""
    body = message["body"]
    if not isinstance(body, bytes):
        return body
    encoding = message.get("content-encoding") or ""
    if encoding.lower() not in _TEXT or (message.get("headers") or {}).get("compression"):
        return body
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _kombu_sqs_text(
    message: Mapping[str, Any],
    properties: Mapping[str, Any],
    exchange: str,
    routing_key: str,
    publish_id: str,
    more: Mapping[str, Any],
) -> str:
    """Write what kombu's ``sqs://`` writes with its defaults: base64 in base64."""
    body = message["body"]
    raw = body.encode() if isinstance(body, str) else bytes(body or b"")
    envelope = {
        "body": b64encode(raw).decode("ascii"),
        "content-encoding": message.get("content-encoding"),
        "content-type": message.get("content-type"),
        "headers": message.get("headers") or {},
        "properties": {
            **properties,
            "body_encoding": _BASE64,
            "delivery_tag": publish_id,
            "delivery_info": {"exchange": exchange, "routing_key": routing_key},
        },
        **more,
    }
    return b64encode(_written(envelope).encode()).decode("ascii")


def is_marked(attributes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a message says that its body is an envelope of ours."""
    return attrs.ENVELOPE_ATTRIBUTE in attributes


def decode(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> Content:
    """Read a message body, whoever wrote it. Never raises: what cannot be read is foreign."""
    try:
        if is_marked(attributes):
            return _content(_loads(body))
        return _from_kombu_sqs(body) or _foreign(body)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError):
        return _foreign(body)


def _loads(text: str) -> Any:
    """Read kombu's JSON; its hook, a call of Python for each object, only where there is something for it to do."""
    return kombu_json.loads(text) if _TYPED_VALUE in text else _read(text)


def _content(envelope: Any) -> Content:
    body: str | bytes = envelope["body"]
    properties, headers = envelope["properties"], envelope["headers"]
    exchange, routing_key, publish_id = envelope["exchange"], envelope["routing-key"], envelope["publish-id"]
    kind, encoding = envelope.get("content-type"), envelope.get("content-encoding")
    # In one look, as this is done for each message.
    if not (type(body) is type(exchange) is type(routing_key) is type(publish_id) is str):
        raise TypeError("text is missing in an envelope")
    if not (type(properties) is type(headers) is dict):
        raise TypeError("headers or properties of an envelope are no mapping")
    if envelope.get("body-encoding") == _BASE64:
        body = b64decode(body, validate=True)
    expiration = properties.get("expiration")
    return Content(
        body=body,
        content_type=kind if kind is None else _typed(kind, str),
        content_encoding=encoding if encoding is None else _typed(encoding, str),
        headers=headers,
        properties=properties,
        exchange=exchange,
        routing_key=routing_key,
        priority=_priority(properties.get("priority")),
        expiration_ms=None if expiration is None else _milliseconds(expiration),
        publish_id=publish_id,
        due=due_of(headers, envelope.get("due")),
    )


def _from_kombu_sqs(body: str) -> Content | None:
    """Read what kombu's ``sqs://`` wrote; None where that was not the writer."""
    text = body if body.lstrip().startswith("{") else _base64_text(body)
    if text is None or not text.lstrip().startswith("{"):
        return None
    envelope = _loads(text)
    properties, headers = envelope.get("properties"), envelope.get("headers") or {}
    if not (isinstance(properties, dict) and isinstance(headers, dict) and "body" in envelope):
        return None
    info = properties.get("delivery_info") or {}
    inner: str | bytes = _typed(envelope["body"], str)
    if properties.get("body_encoding") == _BASE64:
        inner = b64decode(inner, validate=True)
    kept = {key: value for key, value in properties.items() if key not in _LOCAL}
    return Content(
        body=inner,
        content_type=_maybe_text(envelope.get("content-type")),
        content_encoding=_maybe_text(envelope.get("content-encoding")),
        headers=headers,
        properties=kept,
        exchange=_maybe_text(info.get("exchange")) or "",
        routing_key=_maybe_text(info.get("routing_key")) or "",
        priority=_priority(properties.get("priority")),
        expiration_ms=_milliseconds(properties.get("expiration")),
        due=due_of(headers, envelope.get("due")),
    )


def _foreign(body: str) -> Content:
    try:
        kind = "application/json" if isinstance(json.loads(body), (dict, list)) else "text/plain"
    except (ValueError, RecursionError):
        kind = "text/plain"
    return Content(body=body, content_type=kind, content_encoding="utf-8", headers={}, properties={}, foreign=True)


def _base64_text(body: str) -> str | None:
    try:
        return b64decode(body, validate=True).decode()
    except ValueError:
        return None


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _maybe_text(value: Any) -> str | None:
    return None if value is None else str(_typed(value, str))


def _priority(value: Any) -> int:
    return max(0, value) if isinstance(value, int) else 0


def _milliseconds(value: Any) -> int | None:
    """Read the property ``expiration``: milliseconds as text (AMQP), or as a number."""
    if value is None:
        return None
    number = int(float(value))
    return number if number >= 0 else None


def _token(properties: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    value = _first(properties, names)
    if value is not None and not _TOKEN.fullmatch(str(value)):
        raise MessageError(f"{names[0]} is {value!r}: SQS and SNS take 1 to 128 letters, digits and punctuation marks")
    return None if value is None else str(value)


def _first(properties: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    if properties:
        for name in names:
            if properties.get(name) is not None:
                return properties[name]
    return None
