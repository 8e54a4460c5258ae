"""The names of queues that come and go: one ListQueues by their prefix shows every one.

A queue that is bound has a name that nobody can come upon by chance, and that tells whose it is. One that is not bound
is found by its name in AMQP, as a reply queue is by whoever replies; its name is derived from that, and tells no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import (
    TEMPORARY,
    check_prefix,
    check_short_string,
    digest,
    is_reply_exchange,
    readable,
    split_fifo,
)
from kombu_sns_sqs.errors import AddressingError

__all__ = (
    "TemporaryName",
    "bears_uuid",
    "first_of",
    "is_for_replies",
    "is_found_by_name",
    "is_swept",
    "mark_of",
    "parse_temporary",
    "sweeper_queue_name",
    "temporary_name_of",
    "temporary_prefix",
    "temporary_queue_name",
)

_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_UUID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
#: What is put before the readable part of a derived name; too short for the time in a :class:`TemporaryName`.
_NAMED: Final = f"{TEMPORARY}named-"
_HASH_CHARACTERS: Final = 14  # of base32: 70 bits
_NAMED_SHAPE: Final = re.compile(rf"{_NAMED}[A-Za-z0-9_-]*--[a-z2-7]{{{_HASH_CHARACTERS}}}(\.fifo)?")
_OWNER: Final = re.compile(r"[a-z0-9]{8,20}")
_TOKEN: Final = re.compile(r"[a-z0-9]{4,20}")
_TEMPORARY_SHAPE: Final = re.compile(
    rf"{TEMPORARY}(?P<created>[a-z0-9]{{6,8}})-(?P<owner>{_OWNER.pattern})-(?P<token>{_TOKEN.pattern})"
    r"(-[A-Za-z0-9_-]*)?(\.fifo)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryName:
    """What the name of a temporary queue tells: who made it, and when.

    ``created`` is in seconds since 1970; ``owner`` is one process; ``token`` tells its queues apart.
    """

    created: int
    owner: str
    token: str

    def __post_init__(self) -> None:
        """Refuse what could not be read back out of a name."""
        if not (_OWNER.fullmatch(self.owner) and _TOKEN.fullmatch(self.token)):
            raise AddressingError(
                f"owner {self.owner!r} and token {self.token!r} of a temporary queue: "
                "give 8 to 20 and 4 to 20 of the characters a-z 0-9"
            )
        if not 36**5 <= self.created < 36**8:
            raise AddressingError(f"a temporary queue made at {self.created}: give seconds since 1970")


def temporary_prefix(prefix: str = "") -> str:
    """Give what the names of all temporary queues begin with: one ListQueues by it shows every one."""
    check_prefix(prefix)
    return f"{prefix}{TEMPORARY}"


def temporary_queue_name(name: str, *, prefix: str = "", owner: str, created: int, token: str) -> str:
    """Name the SQS queue of an auto-delete or exclusive queue, a new one for every process that declares it.

    AWS bars a deleted name for 60 seconds, and a queue that outlived a crash still holds what was meant for the dead
    process; so the name in AMQP appears only as a readable tail.

    Args:
        name: the queue's name in AMQP, 1 to 255 bytes.
        prefix: as for :func:`queue_name`.
        owner: the process, 8 to 20 characters of ``[a-z0-9]``.
        created: seconds since 1970.
        token: a random part, 4 to 20 characters of ``[a-z0-9]``.

    Raises:
        AddressingError: a part is out of its range, or they do not fit in 80 characters together.
    """
    check_short_string(name, what="queue name")
    known = TemporaryName(created=created, owner=owner, token=token)
    stem, suffix = split_fifo(name)
    head = f"{temporary_prefix(prefix)}{_base36(known.created)}-{known.owner}-{known.token}"
    room = quotas.MAX_QUEUE_NAME - len(head) - len(suffix)
    if room < 0:
        raise AddressingError(
            f"no room for a temporary queue after prefix {prefix!r}: shorten it by {-room} characters, "
            "or the owner or token"
        )
    tail = readable(stem, room - 1)
    return f"{head}-{tail}{suffix}" if tail else f"{head}{suffix}"


def parse_temporary(aws_name: str, prefix: str = "") -> TemporaryName | None:
    """Read the name of a temporary queue; None for any other name."""
    if not aws_name.startswith(prefix):
        return None
    shape = _TEMPORARY_SHAPE.fullmatch(aws_name[len(prefix) :])
    if shape is None:
        return None
    try:
        return TemporaryName(created=int(shape["created"], 36), owner=shape["owner"], token=shape["token"])
    except AddressingError:
        return None


def _base36(number: int) -> str:
    characters = ""
    while number:
        number, remainder = divmod(number, 36)
        characters = _BASE36[remainder] + characters
    return characters


# -- those that are found by their names ---------------------------------------------------------------------


def bears_uuid(name: str) -> bool:
    """Whether a name holds a UUID, and so is one process's alone to declare."""
    return bool(_UUID.search(name))


def is_for_replies(name: str) -> bool:
    """Whether a name is like those of Celery's and kombu's queues for replies: a UUID, and what remote control adds."""
    uuid = _UUID.match(name)
    return uuid is not None and (uuid.end() == len(name) or is_reply_exchange(name[uuid.end() + 1 :]))


def temporary_name_of(name: str, *, prefix: str = "") -> str:
    """Name the SQS queue of a temporary queue that is not bound: whoever knows its name in AMQP finds it.

    Raises:
        AddressingError: the name or the prefix cannot be used.
    """
    check_short_string(name, what="queue name")
    stem, suffix = split_fifo(name)
    check_prefix(prefix)
    head, tail = f"{prefix}{_NAMED}", f"--{digest('temporary', name)[:_HASH_CHARACTERS]}{suffix}"
    return head + readable(stem, quotas.MAX_QUEUE_NAME - len(head) - len(tail)) + tail


def is_found_by_name(aws_name: str, prefix: str = "") -> bool:
    """Whether this may be a name that :func:`temporary_name_of` has made."""
    return aws_name.startswith(prefix) and bool(_NAMED_SHAPE.fullmatch(aws_name[len(prefix) :]))


def is_swept(aws_name: str, prefix: str = "") -> bool:
    """Whether the one ListQueues shows it as a temporary queue: only what is found so is looked after."""
    return is_found_by_name(aws_name, prefix) or parse_temporary(aws_name, prefix) is not None


def mark_of(aws_name: str) -> str:
    """Give what tells a name that :func:`temporary_name_of` has made from all others: the hash at its end."""
    return aws_name.removesuffix(quotas.FIFO_SUFFIX)[-_HASH_CHARACTERS:]


def first_of(aws_names: Iterable[str], prefix: str = "") -> str:
    """Choose one of a process's temporary queues as any other process would: one that tells its owner, the oldest."""
    return min(aws_names, key=lambda name: (is_found_by_name(name, prefix), name))


def sweeper_queue_name(prefix: str = "") -> str:
    """Name the SQS queue whose one message says who sweeps."""
    return f"{temporary_prefix(prefix)}sweeper{quotas.FIFO_SUFFIX}"
