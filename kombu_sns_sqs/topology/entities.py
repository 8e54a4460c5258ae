"""The nouns of a topology: what is declared, and where it is on AWS. Frozen, and validated at birth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import is_reply_exchange
from kombu_sns_sqs.errors import NotEquivalent
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.redelivery import DEAD_LETTER_ARGUMENTS, NO_DEAD_LETTERS, DeadLetterPolicy
from kombu_sns_sqs.temporary_names import bears_uuid

#: Exchange types there are.
EXCHANGE_TYPES: Final = frozenset({"direct", "topic", "fanout"})
#: The highest ``x-max-priority``, as RabbitMQ recommends; and levels of a queue at most, each an SQS queue.
#: https://www.rabbitmq.com/docs/priority#resource-usage
MAX_PRIORITY: Final = 10
MAX_LEVELS: Final = 10

#: Tags of ours, on queues and topics. Bindings have their own, see :mod:`kombu_sns_sqs.topology.bindings`.
NAME_TAG: Final = "kombu:name"
TYPE_TAG: Final = "kombu:type"
LEVELS_TAG: Final = "kombu:levels"
TTL_TAG: Final = "kombu:ttl"
OWNER_TAG: Final = "kombu:owner"
SIGN_TAG: Final = "kombu:sign"
MARKS_TAG: Final = "kombu:marks"
DEAD_LETTER_EXCHANGE_TAG: Final = "kombu:dlx"
DEAD_LETTER_KEY_TAG: Final = "kombu:dlk"
LIMIT_TAG: Final = "kombu:limit"
COMPANION_TAG: Final = "kombu:later-of"
SUBSCRIPTION_TAG_PREFIX: Final = "kombu:s:"
UPPER_TAG_PREFIX: Final = "kombu:p:"

_HONOURED: Final = DEAD_LETTER_ARGUMENTS | {
    "x-message-ttl",
    "x-max-priority",
    "x-expires",
    "x-queue-type",
    "x-visibility-timeout",
}


class Lifetime(Enum):
    """Who else may use a queue, and what ends it."""

    #: Stays until somebody deletes it.
    SHARED = "shared"
    #: Has a name no other process can come to use; ends with the process that declared it.
    OWNED = "owned"
    #: Exclusive, or temporary and bound; ends with the last connection that uses it.
    PRIVATE = "private"
    #: Named in the options: never made and never deleted.
    PREDEFINED = "predefined"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDeclaration:
    """A queue as AMQP's ``queue.declare`` describes it.

    Args:
        ttl_ms: ``x-message-ttl`` in milliseconds, or None.
        max_priority: ``x-max-priority``: 0 for none.
        expires_ms: ``x-expires`` in milliseconds, or None.
        dead_letters: where messages go that are rejected, expire, or are delivered too often.
        lease_seconds: ``x-visibility-timeout``, the lease of its messages, 2 to 43,200; None: the usual one.
        others: the names of arguments that have no effect here.

    Raises:
        NotEquivalent: an argument has a value AMQP refuses, too (406).
    """

    name: str
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    ttl_ms: int | None = None
    max_priority: int = 0
    expires_ms: int | None = None
    dead_letters: DeadLetterPolicy = NO_DEAD_LETTERS
    lease_seconds: int | None = None
    others: tuple[str, ...] = field(default=())

    @classmethod
    def read(
        cls, name: str, *, durable: bool, exclusive: bool, auto_delete: bool, arguments: Mapping[str, Any] | None
    ) -> QueueDeclaration:
        """Read the arguments of ``queue.declare``; those without effect here are named in ``others``."""
        given = arguments or {}
        return cls(
            name=name,
            durable=bool(durable),
            exclusive=bool(exclusive),
            auto_delete=bool(auto_delete),
            ttl_ms=_whole(given, "x-message-ttl", 0),
            max_priority=_max_priority(given),
            expires_ms=_whole(given, "x-expires", 1),
            dead_letters=DeadLetterPolicy.read(name, given),
            lease_seconds=_whole(given, "x-visibility-timeout", 2, quotas.MAX_VISIBILITY_SECONDS),
            others=tuple(sorted(key for key in given if key not in _HONOURED)),
        )

    @property
    def lifetime(self) -> Lifetime:
        """What ends the queue, as far as its declaration tells; a binding can still make it PRIVATE.

        A name that holds a UUID cannot be meant for others to declare, too; any other auto-delete queue may be shared
        with processes this one knows nothing of, and so is left in place.
        """
        if self.exclusive and not self.takes_replies:
            return Lifetime.PRIVATE
        unique = self.exclusive or ((self.auto_delete or self.takes_replies) and bears_uuid(self.name))
        return Lifetime.OWNED if unique else Lifetime.SHARED

    @property
    def takes_replies(self) -> bool:
        """Whether it is a reply queue of kombu's remote control, ``<id>.reply.<namespace>.pidbox``."""
        _, _, exchange = self.name.partition(".")
        return is_reply_exchange(exchange)

    @property
    def levels(self) -> int:
        """How many SQS queues stand behind the name."""
        return min(self.max_priority + 1, MAX_LEVELS)

    @property
    def retention_seconds(self) -> int | None:
        """The retention period SQS can be given for the TTL; the exact check is made on receipt.

        With a dead-letter exchange it is the longest there is: what SQS deletes is not dead-lettered.
        """
        if self.ttl_ms is None:
            return None
        if self.dead_letters.exchange is not None:
            return quotas.MAX_RETENTION_SECONDS
        seconds = math.ceil(self.ttl_ms / 1000)
        return max(quotas.MIN_RETENTION_SECONDS, min(seconds, quotas.MAX_RETENTION_SECONDS))


def _max_priority(arguments: Mapping[str, Any]) -> int:
    highest = _whole(arguments, "x-max-priority", 0, 255) or 0
    if highest > MAX_PRIORITY:
        raise NotEquivalent(
            f"PRECONDITION_FAILED - invalid arg 'x-max-priority': {highest} is more than {MAX_PRIORITY}: each level of"
            " priority is an SQS queue of its own, which consumers poll; publish with priorities up to that"
        )
    return highest


def _whole(arguments: Mapping[str, Any], name: str, low: int, high: float = math.inf) -> int | None:
    value = arguments.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        upto = "up" if high == math.inf else f"to {high}"
        raise NotEquivalent(
            f"PRECONDITION_FAILED - invalid arg {name!r}: {value!r} is not a whole number from {low} {upto}"
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue of AMQP as it is on AWS.

    Args:
        urls: the queue URL of each priority level, the lowest first; one for a queue without priorities.
        arn: of level 0, which is the one that is bound.
        ttl_ms: ``x-message-ttl``, or None.
        dead_letters: what it was declared to do with dead letters, as far as this process knows.
        lease_seconds: the lease of its messages; None: the usual one.
        complete: whether all of this is known, as of a queue that this process has declared; of one that was only
            looked up it is not.
    """

    name: str
    urls: tuple[str, ...]
    arn: str
    identity: Identity
    lifetime: Lifetime = Lifetime.SHARED
    ttl_ms: int | None = None
    dead_letters: DeadLetterPolicy = NO_DEAD_LETTERS
    lease_seconds: int | None = None
    complete: bool = False

    @property
    def url(self) -> str:
        """The URL of level 0."""
        return self.urls[0]

    @property
    def fifo(self) -> bool:
        """Whether SQS keeps the order of its messages."""
        return self.arn.endswith(quotas.FIFO_SUFFIX) or self.url.endswith(quotas.FIFO_SUFFIX)

    @property
    def lasting(self) -> bool:
        """Whether the queue outlives the process."""
        return self.lifetime in (Lifetime.SHARED, Lifetime.PREDEFINED)

    @property
    def takes_delay(self) -> bool:
        """Whether a message may be kept in it until it is due: a FIFO queue delays none of its own.

        A short retention period, which comes with a TTL, would end some before.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-timers.html
        """
        return not self.fifo and self.ttl_ms is None

    def level_url(self, priority: int) -> str:
        """The URL of the level that messages of a priority go to."""
        return self.urls[min(priority, len(self.urls) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """An exchange as it is on AWS."""

    exchange: str
    type: str
    arn: str
    identity: Identity

    @property
    def fifo(self) -> bool:
        """Whether SNS keeps the order of its messages."""
        return self.arn.endswith(quotas.FIFO_SUFFIX)
