"""Bindings as they are kept on AWS: one tag of the queue for each.

Tags only add up: two processes that bind at once write two tags, and neither can undo the other's. The key of a tag
is a hash of the binding, so binding again writes the same tag; its value can be read back.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import check_short_string, digest

__all__ = ("BINDING_TAG_PREFIX", "Binding", "binding_tag", "escape", "parse_binding_tag", "unescape")

#: What the key of every binding's tag begins with.
BINDING_TAG_PREFIX: Final = "kombu:b:"

_KEY_CHARACTERS: Final = 26  # of base32: 130 bits
_SEPARATOR: Final = ":"
_HASHED: Final = "=@"  # cannot begin an escaped name: ``=`` is always followed by two hex digits there
_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-@")
_ESCAPED: Final = re.compile(r"(?:[A-Za-z0-9_./+@-]|=[0-9A-F]{2})*")
_ESCAPE: Final = re.compile(rb"=([0-9A-F]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A binding as its tag tells it.

    ``routing_key`` is None where the tag had no room for it: the binding is there, but which keys it takes is not
    known for certain, so whatever arrives is to be delivered. ``exchange`` is None where not even the exchange's name
    fitted, and ``exchange_digest`` tells it then; both are empty where the tag cannot be read at all.
    """

    exchange: str | None
    routing_key: str | None
    exchange_digest: str = ""

    def concerns(self, exchange: str) -> bool:
        """Whether this may be a binding to the exchange; True where it cannot be known."""
        if self.exchange is not None:
            return self.exchange == exchange
        return self.exchange_digest in ("", digest(exchange))


def binding_tag(exchange: str, routing_key: str) -> tuple[str, str]:
    """Give the key and the value of the tag that keeps a binding, at most 128 and 256 characters.

    Raises:
        AddressingError: the exchange's name or the routing key is not one of AMQP.
    """
    check_short_string(exchange, what="exchange name")
    check_short_string(routing_key, what="routing key", empty=True)
    key = BINDING_TAG_PREFIX + digest(exchange, routing_key)[:_KEY_CHARACTERS]
    whole = escape(exchange) + _SEPARATOR + escape(routing_key)
    for value in (whole, escape(exchange)):
        if len(value) <= quotas.MAX_TAG_VALUE:
            return key, value
    return key, _HASHED + digest(exchange)


def parse_binding_tag(key: str, value: str) -> Binding | None:
    """Read a tag of a queue: the binding it keeps, or None where it is about something else."""
    if not key.startswith(BINDING_TAG_PREFIX):
        return None
    if value.startswith(_HASHED):
        return Binding(exchange=None, routing_key=None, exchange_digest=value.removeprefix(_HASHED))
    exchange, separator, routing_key = value.partition(_SEPARATOR)
    try:
        return Binding(exchange=unescape(exchange), routing_key=unescape(routing_key) if separator else None)
    except ValueError:
        return Binding(exchange=None, routing_key=None)


def escape(text: str) -> str:
    """Write a name with the characters that a tag can hold."""
    return "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in text.encode())


def unescape(text: str) -> str:
    """Read what :func:`escape` wrote.

    Raises:
        ValueError: it was not written so.
    """
    if not _ESCAPED.fullmatch(text):
        raise ValueError(text)
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), text.encode()).decode()
