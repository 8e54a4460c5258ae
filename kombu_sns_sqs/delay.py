"""When a message is due, and where it waits until then. Pure: the time is handed in.

A message is due at the ETA of its Celery task (``countdown`` becomes one), or so long after it was published as it
says itself. SQS keeps it until then: for up to 15 minutes in its own queue, by ``DelaySeconds``; before that in the
queue's companion, from which it hops every 15 minutes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import MessageError

__all__ = (
    "RELATIVE_DELAY",
    "SPARE_SECONDS",
    "TOLERANCE",
    "Due",
    "Step",
    "due_of",
    "is_asked",
    "next_step",
    "relative_seconds",
)

#: Seconds before its ETA for which Celery may hold a task: less than the hop that would save them takes.
TOLERANCE: Final = 2.0
#: Seconds that a message leaves its companion before it is due, at least. It spends them in its own queue, so that
#: neither a lazy look into the companion nor a worker's restart makes it late.
SPARE_SECONDS: Final = quotas.MAX_DELAY_SECONDS // 2

#: How a message says for how long it has to wait: the property of kombu's sqs in seconds, under both its names.
RELATIVE_DELAY: Final = ("DelaySeconds", "delay_seconds")
_PROPERTIES: Final = frozenset(RELATIVE_DELAY)
#: The header of RabbitMQ's delayed message exchange, in milliseconds.
_MILLISECONDS: Final = "x-delay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When a message may be delivered.

    Args:
        at: epoch seconds.
        eta: whether it is a task's ETA, which Celery looks at again: it may come a moment early. Any other must not.
        written: whether the envelope has to say it: no header does, and it is more than one delay of SQS's.
    """

    at: float
    eta: bool
    written: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a message goes next.

    Args:
        companion: whether that is the companion queue, and not the queue itself.
        delay_seconds: for how long SQS keeps it there, 0 to 900.
    """

    companion: bool
    delay_seconds: int

    def __post_init__(self) -> None:
        """Refuse what SQS would refuse."""
        if not 0 <= self.delay_seconds <= quotas.MAX_DELAY_SECONDS:
            raise ValueError(f"a delay of {self.delay_seconds} s: SQS takes 0 to {quotas.MAX_DELAY_SECONDS}")


def is_asked(headers: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether a message asks to wait at all: most do not, and their senders do wait."""
    return bool(headers.get("eta")) or _MILLISECONDS in headers or not _PROPERTIES.isdisjoint(properties)


def due_of(headers: Mapping[str, Any], at: Any = None) -> Due | None:
    """Say when a message is due; None where it says nothing that can be read, and so is due at once.

    Args:
        headers: those of a task have an ``eta``, in ISO 8601; without an offset it is in UTC, as Celery takes it.
        at: what else the envelope says, epoch seconds.
    """
    if isinstance(at, (int, float)) and not isinstance(at, bool) and math.isfinite(at):
        return Due(at=float(at), eta=False, written=True)
    if headers.get("eta") and "task" in headers and "id" in headers:
        seconds = _epoch_seconds(headers["eta"])
        return None if seconds is None else Due(at=seconds, eta=True)
    return None


def _epoch_seconds(moment: Any) -> float | None:
    try:
        # Before Python 3.11 the Z of UTC is not understood.
        read = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
        return (read if read.tzinfo else read.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


def relative_seconds(headers: Mapping[str, Any], properties: Mapping[str, Any]) -> float | None:
    """Read for how long a message asks to be kept: in milliseconds as a header, in seconds as a property.

    Raises:
        MessageError: what it says is not a number from 0 up.
    """
    name, scale, value = RELATIVE_DELAY[0], 1, properties.get(RELATIVE_DELAY[0])
    if value is None:
        value = properties.get(RELATIVE_DELAY[1])
    if value is None and headers.get(_MILLISECONDS) is not None:
        name, scale, value = _MILLISECONDS, 1000, headers[_MILLISECONDS]
    if value is None:
        return None
    try:
        delay = float(value) / scale
    except (TypeError, ValueError):
        delay = math.nan
    if not 0 <= delay < math.inf:
        raise MessageError(f"{name} is {value!r}: give a number from 0 up")
    return delay or None


def next_step(left: float, *, eta: bool, takes_delay: bool, has_companion: bool) -> Step | None:
    """Say where a message goes that is not due yet; None: it has nowhere to wait.

    Args:
        left: seconds until it is due, negative when it is overdue.
        eta: as in :class:`Due`; what Celery does not look at again is kept for whole seconds more, not less.
        takes_delay: whether its queue takes a delay: a FIFO queue does not.
        has_companion: whether there is a companion to wait in.
    """
    whole = max(0, math.floor(left) if eta else math.ceil(left))
    if not whole or (eta and left <= TOLERANCE and not takes_delay):
        return Step(companion=False, delay_seconds=0)
    if takes_delay and whole <= quotas.MAX_DELAY_SECONDS:
        return Step(companion=False, delay_seconds=whole)
    if has_companion:
        whole -= SPARE_SECONDS if takes_delay else 0
        return Step(companion=True, delay_seconds=min(whole, quotas.MAX_DELAY_SECONDS))
    return Step(companion=False, delay_seconds=quotas.MAX_DELAY_SECONDS) if takes_delay else None
