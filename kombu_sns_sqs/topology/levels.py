"""Priority levels behind an exchange: every level's SQS queue is subscribed, and takes its share of the messages.

What SNS carries tells its priority in an attribute, where it has one. The levels above the lowest are subscribed with a
filter on it from the first. The lowest has that condition only beside one on the routing key: ``"exists": false`` does
not match a message without any attribute at all, which is what strangers publish, and belongs to the lowest level. So
it may receive too much, as every level may until its filter acts; on receipt a level keeps only what is its own.
https://docs.aws.amazon.com/sns/latest/dg/attribute-key-matching.html
"""

from __future__ import annotations

import uuid
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kombu_sns_sqs.topology.word_counts import any_from, write_counts

__all__ = ("PRIORITY", "Share", "pack_ids", "priority_attributes", "priority_of", "share_of", "unpack_ids")

#: Message attribute (Number) of a message through SNS whose priority is not 0.
PRIORITY: Final = "kombu-priority"
#: The highest priority there is: AMQP has an octet for it.
_HIGHEST: Final = 255
#: Characters of a packed UUID: base64 without its padding.
_PACKED: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one level of a queue takes: ``level`` of ``levels``, 0 the lowest."""

    level: int
    levels: int

    @property
    def conditions(self) -> list[Any]:
        """The conditions of a filter policy on :data:`PRIORITY`, one of which must hold."""
        if self.level == self.levels - 1 > 0:
            return list(write_counts(any_from(self.level)))
        own: list[Any] = list(write_counts(frozenset({self.level})))
        return own if self.level else [{"exists": False}, *own]

    def takes(self, priority: int) -> bool:
        """Whether messages of a priority belong to this level."""
        return self.level == min(priority, self.levels - 1)


def share_of(level: int, levels: int) -> Share | None:
    """Give the share of a level; None for a queue without priorities."""
    return Share(level=level, levels=levels) if levels > 1 else None


def priority_attributes(priority: int) -> dict[str, dict[str, str]]:
    """Give the attribute that a publish carries for the filters of levels; none for the lowest priority."""
    if priority <= 0:
        return {}
    return {PRIORITY: {"DataType": "Number", "StringValue": str(min(priority, _HIGHEST))}}


def priority_of(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """Read the attribute back as the filters see it, whatever the message itself says: 0 where there is none."""
    text = str((attributes.get(PRIORITY) or {}).get("StringValue", ""))
    return int(text) if text.isascii() and text.isdigit() else 0


def pack_ids(arns: Sequence[str]) -> str:
    """Write the ids in which the ARNs of subscriptions end, which are UUIDs, so that nine of them fit into one tag.

    Raises:
        ValueError: one ends in something else.
    """
    ids = (uuid.UUID(arn.rpartition(":")[2]) for arn in arns)
    return "".join(b64encode(one.bytes).decode()[:_PACKED] for one in ids)


def unpack_ids(packed: str) -> list[str]:
    """Read what :func:`pack_ids` wrote; nothing where it was not written so."""
    try:
        return [
            str(uuid.UUID(bytes=b64decode(packed[start : start + _PACKED] + "==", validate=True)))
            for start in range(0, len(packed), _PACKED)
        ]
    except ValueError:
        return []
