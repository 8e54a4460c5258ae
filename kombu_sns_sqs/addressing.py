"""From the names of AMQP to the names of AWS, and back as far as they can be read.

A name that SQS or SNS takes as it is stays itself, so that queues made by kombu's ``sqs://`` are found. Any other is
made readable and told apart by a hash of the original. A name that is legal but *looks* like one made here is made
over too, which keeps the mapping injective: two names of AMQP never share one of AWS.

Nothing here asks a clock or rolls dice; times and random tokens are handed in.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import AddressingError
from kombu_sns_sqs.reply_keys import queue_key

__all__ = (
    "MAX_PREFIX",
    "TEMPORARY",
    "check_prefix",
    "check_short_string",
    "companion_name",
    "digest",
    "holding_queue_name",
    "is_reply_exchange",
    "queue_name",
    "readable",
    "reply_queue_name",
    "split_fifo",
    "topic_name",
)

#: Characters of a name prefix: half of what SQS gives, so that the rest stays readable.
MAX_PREFIX: Final = 40
#: The highest ``x-max-priority`` of AMQP, hence the highest level of a queue.
MAX_LEVEL: Final = 255

_HASH_CHARACTERS: Final = 14  # of base32: 70 bits
#: What the names of all temporary queues begin with, after the prefix.
TEMPORARY: Final = "kombu-tmp-"
_NOT_TEMPORARY: Final = "kombu_tmp_"

_LEGAL: Final = re.compile(r"[A-Za-z0-9_-]+")
_ILLEGAL_CHARACTER: Final = re.compile(r"[^A-Za-z0-9_-]")
_REFUSED_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LOOKS_ENCODED: Final = re.compile(rf".*--[a-z2-7]{{{_HASH_CHARACTERS}}}")
_PREFIX: Final = re.compile(rf"[A-Za-z0-9_-]{{0,{MAX_PREFIX}}}")


def queue_name(name: str, *, prefix: str = "", level: int = 0) -> str:
    """Name the SQS queue that stands for a queue of AMQP.

    Args:
        name: the queue's name in AMQP, 1 to 255 bytes; ``.fifo`` at its end is kept as what SQS wants it to be.
        prefix: put before every name, at most 40 characters of ``[A-Za-z0-9_-]``.
        level: priority level, 0 to 255; each level of a queue is a queue of its own, and none of the others' names.

    Returns:
        At most 80 characters, ``prefix`` included.

    Raises:
        AddressingError: the name, the prefix or the level cannot be used.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
    """
    if not 0 <= level <= MAX_LEVEL:
        raise AddressingError(f"priority level {level} of queue {name!r}: levels go from 0 to {MAX_LEVEL}")
    check_short_string(name, what="queue name")
    return _aws_name(name, "queue", prefix=prefix, room=quotas.MAX_QUEUE_NAME, level=level)


def companion_name(name: str, *, prefix: str = "") -> str:
    """Name the SQS queue in which messages for a queue of AMQP wait until they are nearly due.

    It is a standard queue also where the other is FIFO, and no queue of AMQP has its name.

    Raises:
        AddressingError: as :func:`queue_name`.
    """
    return _name_beside(name, "later", prefix=prefix)


def holding_queue_name(name: str, *, prefix: str = "") -> str:
    """Name the SQS queue for messages that are in hand for longer than SQS leases one: no queue of AMQP bears the name.

    Raises:
        AddressingError: as :func:`queue_name`.
    """
    return _name_beside(name, "held", prefix=prefix)


def topic_name(exchange: str, *, prefix: str = "") -> str:
    """Name the SNS topic that stands for an exchange: as :func:`queue_name`, with 256 characters.

    Raises:
        AddressingError: the exchange's name or the prefix cannot be used; the default exchange has no topic.

    https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
    """
    if not exchange:
        raise AddressingError("the default exchange has no topic: publish to the queue that the routing key names")
    check_short_string(exchange, what="exchange name")
    return _aws_name(exchange, "topic", prefix=prefix, room=quotas.MAX_TOPIC_NAME)


def _aws_name(name: str, kind: str, *, prefix: str, room: int, level: int = 0) -> str:
    check_prefix(prefix)
    stem, suffix = split_fifo(name)
    room -= len(prefix) + len(suffix)
    if level == 0 and len(stem) <= room and _stays_itself(stem):
        return f"{prefix}{stem}{suffix}"
    told_apart = f"-p{level}" if level else ""
    told_apart += f"--{digest(kind, str(level), name)[:_HASH_CHARACTERS]}"
    made = readable(stem, room - len(told_apart)) + told_apart
    return f"{prefix}{_not_temporary(made)}{suffix}"


def _name_beside(name: str, kind: str, *, prefix: str) -> str:
    """Name a standard queue that stands beside a queue of AMQP."""
    check_short_string(name, what="queue name")
    check_prefix(prefix)
    told_apart = f"-{kind}--{digest(kind, name)[:_HASH_CHARACTERS]}"
    stem, _ = split_fifo(name)
    made = readable(stem, quotas.MAX_QUEUE_NAME - len(prefix) - len(told_apart)) + told_apart
    return f"{prefix}{_not_temporary(made)}"


def _not_temporary(made: str) -> str:
    return _NOT_TEMPORARY + made.removeprefix(TEMPORARY) if made.startswith(TEMPORARY) else made


def split_fifo(name: str) -> tuple[str, str]:
    """Part the suffix that makes a queue or topic FIFO from the rest of its name."""
    stem = name.removesuffix(quotas.FIFO_SUFFIX)
    return stem, name[len(stem) :]


def _stays_itself(stem: str) -> bool:
    made_here = _LOOKS_ENCODED.fullmatch(stem) or stem.startswith(TEMPORARY)
    return bool(_LEGAL.fullmatch(stem)) and not made_here


def readable(name: str, room: int) -> str:
    """Make so many characters of a name legal on AWS, for people to read."""
    return _ILLEGAL_CHARACTER.sub("_", name)[: max(room, 0)]


def digest(*parts: str) -> str:
    """Hash a list of strings to 52 characters of ``[a-z2-7]``; lists that differ in any way hash differently."""
    hashed = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(4, "big") + encoded)
    return b32encode(hashed.digest()).decode().rstrip("=").lower()


# -- checks -------------------------------------------------------------------------------------------------


def check_prefix(prefix: str) -> None:
    """Raise AddressingError unless every name on AWS may begin with this prefix."""
    if not _PREFIX.fullmatch(prefix):
        raise AddressingError(f"name prefix {prefix!r}: give at most {MAX_PREFIX} of the characters A-Z a-z 0-9 _ -")


def check_short_string(text: str, *, what: str, empty: bool = False) -> None:
    """Raise AddressingError unless the text can be a name or a key of AMQP and be kept on AWS.

    Args:
        text: up to 255 bytes of UTF-8 without control characters.
        what: how the error calls it, such as ``queue name``.
        empty: whether it may be empty, as a routing key may.

    https://www.rabbitmq.com/amqp-0-9-1-reference#domain.shortstr
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise AddressingError(f"{what} {text!r} holds half a surrogate pair: give valid Unicode") from None
    if not (size or empty):
        raise AddressingError(f"the {what} is empty: give one")
    if size > quotas.MAX_SHORT_STRING:
        raise AddressingError(
            f"{what} {text[:40]!r}... takes {size} bytes of UTF-8: AMQP allows {quotas.MAX_SHORT_STRING}, shorten it"
        )
    if _REFUSED_CHARACTER.search(text):
        raise AddressingError(f"{what} {text!r} holds a control character, which AWS does not carry: leave it out")


# -- replies of remote control ------------------------------------------------------------------------------


def is_reply_exchange(exchange: str) -> bool:
    """Whether kombu's pidbox uses this exchange for nothing but replies (``reply.<namespace>.pidbox``)."""
    head, tail = "reply.", ".pidbox"
    return len(exchange) >= len(head) + len(tail) and exchange.startswith(head) and exchange.endswith(tail)


def reply_queue_name(exchange: str, routing_key: str) -> str:
    """Name the queue (in AMQP) that a reply goes to: kombu names it after key and exchange, so no topic is needed."""
    return f"{queue_key(routing_key)}.{exchange}"
