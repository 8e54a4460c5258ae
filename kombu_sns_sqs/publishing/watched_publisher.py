"""Publishing where somebody listens: each message is told with its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kombu_sns_sqs.addressing import is_reply_exchange, reply_queue_name
from kombu_sns_sqs.errors import Error, Unreachable
from kombu_sns_sqs.monitoring.hooks import Outcome
from kombu_sns_sqs.publishing.outcomes import Publication
from kombu_sns_sqs.publishing.parcel import Parcel
from kombu_sns_sqs.publishing.publisher import Publisher
from kombu_sns_sqs.topology.filters import published_with

__all__ = ("WatchedPublisher", "tell_of_batch", "tell_of_event")

Tell = Callable[..., None]


class WatchedPublisher(Publisher):
    """A publisher that tells of each message.

    Args:
        tell: takes the fields of :class:`~kombu_sns_sqs.monitoring.hooks.Published`; must not raise.
        rest: as those of :class:`Publisher`.
    """

    def __init__(self, *, tell: Tell, **rest: Any) -> None:
        super().__init__(**rest)
        self._tell = tell

    def publish(self, message: Mapping[str, Any], exchange: str, routing_key: str) -> Outcome | None:
        """Publish a message, and tell of it whatever has become of it; of an event the courier tells."""
        began = time.monotonic()
        # What stands if it ends by no exception of ours: a greenlet's time ran out, or somebody pressed Ctrl+C.
        outcome: Outcome | None = "unknown"
        error: str | None = None
        try:
            outcome = super().publish(message, exchange, routing_key)
        except Exception as exc:
            outcome, error = "unknown" if isinstance(exc, Unreachable) else "refused", type(exc).__name__
            raise
        finally:
            if outcome is not None:
                seconds = time.monotonic() - began
                self._tell(**_place(exchange, routing_key), outcome=outcome, error=error, seconds=seconds)
        return outcome


def tell_of_batch(tell: Tell, publication: Publication, outcome: Outcome, error: Error | None = None) -> None:
    """Tell of one message of a batch."""
    _tell(tell, publication.exchange, publication.routing_key, outcome, error)


def tell_of_event(tell: Tell, parcel: Parcel, outcome: Outcome, error: Error | None = None) -> None:
    """Tell of one message of the courier's."""
    _tell(tell, parcel.destination.name, published_with(parcel.attributes), outcome, error)


def _tell(tell: Tell, exchange: str, routing_key: str, outcome: Outcome, error: Error | None) -> None:
    name = None if error is None else type(error).__name__
    tell(**_place(exchange, routing_key), outcome=outcome, error=name)


def _place(exchange: str, routing_key: str) -> dict[str, str]:
    """Say where a message is published to, and which queue or topic that is."""
    topic = bool(exchange) and not is_reply_exchange(exchange)
    queue = reply_queue_name(exchange, routing_key) if exchange and not topic else routing_key
    return {
        "exchange": exchange,
        "routing_key": routing_key,
        "destination": exchange if topic else queue,
        "service": "sns" if topic else "sqs",
    }
