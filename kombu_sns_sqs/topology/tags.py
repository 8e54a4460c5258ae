"""The tags of a queue, read as what they keep: bindings, subscriptions, and how the queue was declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import digest
from kombu_sns_sqs.redelivery import NO_DEAD_LETTERS, DeadLetterPolicy
from kombu_sns_sqs.topology.bindings import (
    BINDING_TAG_PREFIX,
    Binding,
    binding_tag,
    escape,
    parse_binding_tag,
    unescape,
)
from kombu_sns_sqs.topology.entities import (
    DEAD_LETTER_EXCHANGE_TAG,
    DEAD_LETTER_KEY_TAG,
    LEVELS_TAG,
    LIMIT_TAG,
    SUBSCRIPTION_TAG_PREFIX,
    TTL_TAG,
    UPPER_TAG_PREFIX,
)
from kombu_sns_sqs.topology.levels import unpack_ids

#: Tags of one queue we go up to; the rest is for the company's own.
MAX_OUR_TAGS: Final = quotas.MAX_QUEUE_TAGS - 10
_DIGEST_CHARACTERS: Final = 26
#: What a tag may hold beside letters and digits.
_TAG_CHARACTERS: Final = " _.:/=+-@"
_DEAD_LETTER_TAGS: Final = (DEAD_LETTER_EXCHANGE_TAG, DEAD_LETTER_KEY_TAG, LIMIT_TAG)


def subscription_tag(exchange: str) -> str:
    """Give the key of the tag that keeps the ARN of a queue's subscription to an exchange."""
    return SUBSCRIPTION_TAG_PREFIX + digest(exchange)[:_DIGEST_CHARACTERS]


def upper_tag(exchange: str) -> str:
    """Give the key of the tag that keeps the subscriptions of a queue's upper priority levels to an exchange.

    It says that they were made before the lowest level's, so that no message can have come to that one alone.
    """
    return UPPER_TAG_PREFIX + digest(exchange)[:_DIGEST_CHARACTERS]


def unnamed_key_tag(exchange: str) -> tuple[str, str]:
    """Give the tag that says that there are bindings to an exchange whose keys there was no room for."""
    value = binding_tag(exchange, "")[1].partition(":")[0]
    return f"{BINDING_TAG_PREFIX}{digest(exchange)[:_DIGEST_CHARACTERS]}", value


def tag_value(name: str) -> str:
    """Keep a name in a tag as far as its characters go; it is there to be read by people."""
    readable = "".join(c if c.isascii() and (c.isalnum() or c in _TAG_CHARACTERS) else "_" for c in name)
    return readable if len(readable) <= quotas.MAX_TAG_VALUE else digest(name)


def dead_letter_tags(policy: DeadLetterPolicy) -> dict[str, str]:
    """Give the tags that keep what is declared about dead letters, for consumers that declare nothing.

    None where a name is too long for a tag: half of it would lead dead letters astray.
    """
    kept = {
        DEAD_LETTER_EXCHANGE_TAG: None if policy.exchange is None else escape(policy.exchange),
        DEAD_LETTER_KEY_TAG: None if policy.routing_key is None else escape(policy.routing_key),
        LIMIT_TAG: None if policy.limit is None else str(policy.limit),
    }
    tags = {key: value for key, value in kept.items() if value is not None}
    return tags if all(len(value) <= quotas.MAX_TAG_VALUE for value in tags.values()) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTags:
    """All tags of a queue, as read at ``as_of`` in AWS's time."""

    tags: Mapping[str, str]
    as_of: float = float("-inf")

    @property
    def bindings(self) -> list[tuple[str, Binding]]:
        """(tag key, binding) of every binding."""
        parsed = [(key, parse_binding_tag(key, value)) for key, value in self.tags.items()]
        return [(key, binding) for key, binding in parsed if binding is not None]

    def bindings_to(self, exchange: str) -> list[tuple[str, Binding]]:
        """(tag key, binding) of every binding to an exchange, those included that may be."""
        return [(key, binding) for key, binding in self.bindings if binding.concerns(exchange)]

    @property
    def exchanges(self) -> set[str]:
        """The exchanges there are bindings to, where their names could be kept."""
        return {binding.exchange for _, binding in self.bindings if binding.exchange is not None}

    def subscription(self, exchange: str) -> str | None:
        """The ARN of the subscription to an exchange."""
        return self.tags.get(subscription_tag(exchange))

    def upper_ids(self, exchange: str) -> list[str]:
        """The ids of the upper levels' subscriptions to an exchange, the lowest first; none without priorities."""
        return unpack_ids(self.tags.get(upper_tag(exchange), ""))

    @property
    def subscriptions(self) -> list[str]:
        """The ARNs of all subscriptions, those of the upper levels included."""
        arns = []
        for key, arn in self.tags.items():
            if key.startswith(SUBSCRIPTION_TAG_PREFIX):
                upper = self.tags.get(UPPER_TAG_PREFIX + key.removeprefix(SUBSCRIPTION_TAG_PREFIX), "")
                arns += [arn, *(f"{arn.rpartition(':')[0]}:{one}" for one in unpack_ids(upper))]
        return arns

    @property
    def levels(self) -> int:
        """How many SQS queues stand behind the name; 1 without priorities."""
        return _number(self.tags.get(LEVELS_TAG)) or 1

    @property
    def ttl_ms(self) -> int | None:
        """``x-message-ttl``."""
        return _number(self.tags.get(TTL_TAG))

    @property
    def dead_letters(self) -> DeadLetterPolicy:
        """What the queue was declared to do with dead letters."""
        limit = _number(self.tags.get(LIMIT_TAG))
        try:
            return DeadLetterPolicy(
                exchange=_name(self.tags.get(DEAD_LETTER_EXCHANGE_TAG)),
                routing_key=_name(self.tags.get(DEAD_LETTER_KEY_TAG)),
                limit=limit or None,
            )
        except ValueError:
            return NO_DEAD_LETTERS

    @property
    def full(self) -> bool:
        """Whether there is no room for another binding's tag."""
        return len(self.tags) >= MAX_OUR_TAGS


def dead_letter_difference(declared: DeadLetterPolicy, found: QueueTags) -> str | None:
    """Say how a queue's tags differ from what is declared about dead letters; None: they do not."""
    wanted = dead_letter_tags(declared)
    there = {key: found.tags[key] for key in _DEAD_LETTER_TAGS if key in found.tags}
    return None if there == wanted else f"its dead-letter tags are {there or 'none'}, declared are {wanted or 'none'}"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _name(tag: str | None) -> str | None:
    return None if tag is None else unescape(tag)
