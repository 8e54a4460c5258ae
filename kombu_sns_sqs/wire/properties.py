"""The properties of a message that AMQP gives a form, looked at before it is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from kombu_sns_sqs.errors import InvalidProperty

__all__ = ("MAX_PRIORITY", "check_properties")

#: The highest priority AMQP can carry: an octet.
MAX_PRIORITY: Final = 255


def check_properties(properties: Mapping[str, Any]) -> None:
    """Refuse an expiration or a priority that nobody could act upon.

    Received messages are not held to it: what strangers write is read as far as it goes.

    Raises:
        InvalidProperty: as RabbitMQ's answer to an expiration; its clients refuse such a priority.

    https://www.rabbitmq.com/docs/ttl#per-message-ttl-in-publishers
    """
    expiration, priority = properties.get("expiration"), properties.get("priority")
    if expiration is not None and not 0 <= _number(expiration) < math.inf:
        raise InvalidProperty(
            f"PRECONDITION_FAILED - invalid expiration {_shown(expiration)}: give a number of milliseconds from 0 up;"
            " kombu takes seconds and makes milliseconds of them"
        )
    if priority is not None and not (isinstance(priority, int) and 0 <= priority <= MAX_PRIORITY):
        raise InvalidProperty(
            f"PRECONDITION_FAILED - invalid priority {_shown(priority)}: give a whole number from 0 to {MAX_PRIORITY}"
        )


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004
