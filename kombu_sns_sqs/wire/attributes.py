"""Message attributes: a plain mapping for the user, AWS's form on the wire, and the few we reserve.

Reserved are ``kombu`` (the version of the envelope) on every message, on SNS the three that filter policies look at
(:mod:`kombu_sns_sqs.topology.filters`, :mod:`kombu_sns_sqs.topology.levels`), and in their place ``kombu-order`` in a
companion queue. The rest of SNS's ten is the user's: with an eleventh, raw delivery would discard the message without
a word.
https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import MessageError, TooManyAttributes

#: The attribute that says a body is our envelope, and which version of it.
ENVELOPE_ATTRIBUTE: Final = "kombu"
ENVELOPE_VERSION: Final = "1"
#: What a message carries through a queue that knows neither groups nor deduplication.
ORDERING_ATTRIBUTE: Final = "kombu-order"
#: What a message carries through SNS.
ROUTING_ATTRIBUTES: Final = frozenset({"rk", "n", "kombu-priority"})
#: Attributes kept for the transport.
RESERVED: Final = ROUTING_ATTRIBUTES | {ENVELOPE_ATTRIBUTE, ORDERING_ATTRIBUTE}
#: Attributes a user can set on one message.
MAX_USER_ATTRIBUTES: Final = quotas.MAX_MESSAGE_ATTRIBUTES - len(ROUTING_ATTRIBUTES) - 1

#: The marker of our own messages.
ENVELOPE_MARK: Final = {ENVELOPE_ATTRIBUTE: {"DataType": "String", "StringValue": ENVELOPE_VERSION}}

_NAME: Final = re.compile(r"^(?!(?i:aws|amazon)\.)[A-Za-z0-9_-](?:[A-Za-z0-9_-]|\.(?!\.|$)){0,255}$")
#: What an attribute costs beside its name and its value: the name of its type.
_TYPES: Final = ("DataType", "StringValue", "BinaryValue")


def to_aws(attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Put a user's attributes into AWS's form.

    Values may be text, numbers, bytes, or already in AWS's form (``{"DataType": …}``).

    Raises:
        TooManyAttributes: more than the user's share of the ten.
        MessageError: a name or a value AWS would refuse.
    """
    if len(attributes) > MAX_USER_ATTRIBUTES:
        raise TooManyAttributes(
            f"{len(attributes)} message attributes: {MAX_USER_ATTRIBUTES} are left to you of the"
            f" {quotas.MAX_MESSAGE_ATTRIBUTES} that SNS delivers to a queue; put the others into headers"
        )
    return {_checked(name): _value(name, value) for name, value in attributes.items()}


def _checked(name: str) -> str:
    if name in RESERVED:
        raise MessageError(f"the message attribute {name!r} is reserved for the transport: give yours another name")
    if not _NAME.match(name):
        raise MessageError(f"{name!r} cannot name a message attribute: letters, digits, '_', '-' and single '.' can")
    return name


def _value(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and "DataType" in value:
        return {key: value[key] for key in _TYPES if key in value}
    if isinstance(value, bool) or value is None or value in ("", b""):
        raise MessageError(f"the message attribute {name!r} is {value!r}: AWS takes text, numbers and bytes, not empty")
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    if isinstance(value, (int, float)):
        return {"DataType": "Number", "StringValue": str(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"DataType": "Binary", "BinaryValue": bytes(value)}
    raise MessageError(f"the message attribute {name!r} is a {type(value).__name__}: AWS takes text, numbers and bytes")


def from_aws(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give a received message's attributes back as plain values, ours left out."""
    return {name: _plain(entry) for name, entry in attributes.items() if name not in RESERVED}


def _plain(entry: Mapping[str, Any]) -> Any:
    kind, _, _ = str(entry.get("DataType", "String")).partition(".")
    if kind == "Binary":
        return entry.get("BinaryValue", b"")
    text = str(entry.get("StringValue", ""))
    if kind != "Number":
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def sent_on(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give a received message's attributes as they go out again to a queue, what was for SNS left out."""
    gone = ROUTING_ATTRIBUTES | {ORDERING_ATTRIBUTE}
    return {
        name: {key: entry[key] for key in _TYPES if entry.get(key) is not None}
        for name, entry in attributes.items()
        if name not in gone
    }


def keep_ordering(group_id: str | None, deduplication_id: str | None) -> dict[str, dict[str, Any]]:
    """Give the attribute that takes group and deduplication id through a companion queue; none without them."""
    kept = {"group": group_id, "id": deduplication_id}
    kept = {key: value for key, value in kept.items() if value is not None}
    return {ORDERING_ATTRIBUTE: {"DataType": "String", "StringValue": json.dumps(kept)}} if kept else {}


def kept_ordering(attributes: Mapping[str, Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Read group and deduplication id back; what cannot be read is none."""
    try:
        kept = json.loads(attributes[ORDERING_ATTRIBUTE]["StringValue"])
        group_id, deduplication_id = kept.get("group"), kept.get("id")
    except (KeyError, TypeError, ValueError, AttributeError):
        return None, None
    return (
        group_id if isinstance(group_id, str) else None,
        deduplication_id if isinstance(deduplication_id, str) else None,
    )


def size(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """Count the bytes attributes add to a message: names, types and values.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    if attributes is ENVELOPE_MARK:
        return _MARK_BYTES
    return _size(attributes)


def _size(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    total = 0
    for name, entry in attributes.items():
        total += len(name) + len(entry["DataType"])
        total += len(entry.get("BinaryValue", b"")) + len(str(entry.get("StringValue", "")).encode())
    return total


_MARK_BYTES: Final = _size(ENVELOPE_MARK)
