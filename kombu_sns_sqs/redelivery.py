"""What becomes of messages that are not acknowledged: when they come back, how often, and where they go then. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import NotEquivalent

#: Arguments of ``queue.declare`` that are read here.
DEAD_LETTER_ARGUMENTS: Final = frozenset(
    {
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-dead-letter-queue",
        "x-max-receive-count",
        "x-delivery-limit",
    }
)
#: What the dead-letter queue of a queue is called unless its declaration says otherwise.
_SUFFIX: Final = "-dead"
#: How far above the limit of deliveries SQS's own limit of receives lies, and how far it goes.
_BACKSTOP_FACTOR: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterPolicy:
    """Where the messages of a queue go that are rejected, have expired, or were delivered too often.

    Args:
        exchange: ``x-dead-letter-exchange``; empty for the default exchange, None: there is none.
        routing_key: ``x-dead-letter-routing-key``; None: each message keeps its own.
        limit: deliveries of one message, from 1 (``x-max-receive-count``); None: any number.
        queue: the dead-letter queue that is made with the queue; the default exchange leads there. None: none is made.
    """

    exchange: str | None = None
    routing_key: str | None = None
    limit: int | None = None
    queue: str | None = None

    @classmethod
    def read(cls, name: str, arguments: Mapping[str, Any]) -> DeadLetterPolicy:
        """Read the arguments of ``queue.declare``.

        A queue with a limit and no dead-letter exchange gets a dead-letter queue of its own, so that no message is
        dropped for having been delivered too often.

        Raises:
            NotEquivalent: an argument is of the wrong type, or two contradict each other (406).
        """
        exchange = _text(arguments, "x-dead-letter-exchange")
        key = _text(arguments, "x-dead-letter-routing-key")
        queue = _text(arguments, "x-dead-letter-queue")
        limit = _limit(arguments)
        if key is not None and exchange is None:
            raise NotEquivalent("PRECONDITION_FAILED - x-dead-letter-routing-key without x-dead-letter-exchange")
        if queue is not None and exchange is not None:
            raise NotEquivalent(
                "PRECONDITION_FAILED - x-dead-letter-queue and x-dead-letter-exchange both say where dead letters go"
            )
        if exchange is None and queue is None and limit is not None:
            queue = dead_letter_queue_name(name)
        if queue is None:
            return cls(exchange=exchange, routing_key=key, limit=limit)
        if queue in ("", name):
            raise NotEquivalent(f"PRECONDITION_FAILED - {queue!r} cannot be the dead-letter queue of {name!r}")
        return cls(exchange="", routing_key=queue, limit=limit, queue=queue)

    @property
    def backstop(self) -> int | None:
        """The ``maxReceiveCount`` of SQS's own redrive policy, well above the limit; None: there is to be none.

        It is for what no consumer of ours can see to; SQS counts receives, and not every one of them is a delivery.
        """
        if self.limit is None or self.queue is None:
            return None
        return max(self.limit, min(self.limit * _BACKSTOP_FACTOR, quotas.MAX_RECEIVE_COUNT))


NO_DEAD_LETTERS: Final = DeadLetterPolicy()


def dead_letter_queue_name(name: str) -> str:
    """Name the dead-letter queue of a queue; that of a FIFO queue has to be one, too."""
    stem = name.removesuffix(quotas.FIFO_SUFFIX)
    return f"{stem}{_SUFFIX}{name[len(stem) :]}"


def _limit(arguments: Mapping[str, Any]) -> int | None:
    """Read the limit under either name: RabbitMQ counts what comes back, SQS what is handed out, which is one more."""
    receives = _whole(arguments, "x-max-receive-count", 1, quotas.MAX_RECEIVE_COUNT)
    returns = _whole(arguments, "x-delivery-limit", 0, quotas.MAX_RECEIVE_COUNT - 1)
    if returns is None:
        return receives
    if receives not in (None, returns + 1):
        raise NotEquivalent(
            f"PRECONDITION_FAILED - x-delivery-limit {returns} is x-max-receive-count {returns + 1}, not {receives}"
        )
    return returns + 1


def _whole(arguments: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = arguments.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
        raise NotEquivalent(
            f"PRECONDITION_FAILED - invalid arg {name!r}: {value!r} is not a whole number from {low} to {high}"
        )
    return value


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise NotEquivalent(f"PRECONDITION_FAILED - invalid arg {name!r}: {value!r} is no text")
    return value
