"""The history of a dead-lettered message, in RabbitMQ's form: the header ``x-death`` and those of the first death.

Pure. https://www.rabbitmq.com/docs/dlx#effects
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Final

from kombu_sns_sqs.messages import Content, Delivery

_DEATHS: Final = "x-death"


class Reason(Enum):
    """Why a message was dead-lettered, in RabbitMQ's words."""

    #: ``basic.reject`` or ``basic.nack`` without requeue.
    REJECTED = "rejected"
    #: Its time to live ran out.
    EXPIRED = "expired"
    #: It was delivered as often as its queue allows.
    DELIVERY_LIMIT = "delivery_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One death of one message.

    Args:
        delivery: the receive it died of.
        reason: why.
        at: when, in seconds since 1970.
    """

    delivery: Delivery
    reason: Reason
    at: float

    @property
    def queue(self) -> str:
        """The queue it died in."""
        return self.delivery.queue

    @property
    def routing_key(self) -> str:
        """The key it had come with; the queue's name for what no transport of AMQP wrote."""
        content = self.delivery.content
        return self.queue if content.foreign else content.routing_key

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of the dead letter: its own, and what has happened to it."""
        content = self.delivery.content
        first = {
            "x-first-death-reason": self.reason.value,
            "x-first-death-queue": self.queue,
            "x-first-death-exchange": content.exchange,
        }
        return {**first, **content.headers, _DEATHS: self._history()}

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of the dead letter: its own but for ``expiration``, lest it expire again where it arrives."""
        return {name: value for name, value in self.delivery.content.properties.items() if name != "expiration"}

    def ends_cycle(self, target: str | None) -> bool:
        """Whether dead-lettering would turn in a circle in which nobody rejects: RabbitMQ drops the message then.

        ``target``: the queue it would go to, None where an exchange decides that.
        """
        if self.reason is Reason.REJECTED:
            return False
        if target is not None:
            return _automatic(target, self._history())
        return _automatic(self.queue, deaths_of(self.delivery.content))

    def _history(self) -> list[dict[str, Any]]:
        """List the deaths of the message, the last one first; one entry for each queue and reason."""
        before = deaths_of(self.delivery.content)
        same = [
            death for death in before if (death.get("queue"), death.get("reason")) == (self.queue, self.reason.value)
        ]
        others = [death for death in before if death not in same]
        if same:
            return [{**same[0], "count": _count(same[0]) + 1}, *others]
        content = self.delivery.content
        # Without a zone, as AMQP clients read a timestamp.
        died = datetime.fromtimestamp(int(self.at), timezone.utc).replace(tzinfo=None)
        entry: dict[str, Any] = {
            "count": 1,
            "reason": self.reason.value,
            "queue": self.queue,
            "time": died,
            "exchange": content.exchange,
            "routing-keys": [self.routing_key],
        }
        if "expiration" in content.properties:
            entry["original-expiration"] = str(content.properties["expiration"])
        return [entry, *others]


def deaths_of(content: Content) -> list[dict[str, Any]]:
    """Read the history of a message; what is none of ours, whoever put it there, is left out."""
    given = content.headers.get(_DEATHS)
    return [dict(death) for death in given if isinstance(death, Mapping)] if isinstance(given, list) else []


def _automatic(queue: str, deaths: list[dict[str, Any]]) -> bool:
    """Whether a message has died in a queue before, and nobody has rejected it since."""
    for death in deaths:
        if death.get("reason") == Reason.REJECTED.value:
            return False
        if death.get("queue") == queue:
            return True
    return False


def _count(death: Mapping[str, Any]) -> int:
    count = death.get("count")
    return count if isinstance(count, int) else 0
