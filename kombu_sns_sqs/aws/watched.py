"""An event client that tells how long each of its calls took: around another one, and only where somebody listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kombu.asynchronous import Hub
    from vine import promise

    from kombu_sns_sqs.aws.client import EventClient
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.reply import Reply

__all__ = ("WatchedClient",)


class WatchedClient:
    """The client it is given, with every reply told to ``tell`` before whoever called hears of it.

    Args:
        client: does the work.
        tell: takes a reply, and ``service``, ``action`` and ``seconds`` of the call; must not raise.
    """

    def __init__(self, client: EventClient, tell: Callable[..., None]) -> None:
        self._client = client
        self._tell = tell

    def call(self, operation: Operation) -> promise:
        """Start an operation."""
        began = time.monotonic()

        def answered(reply: Reply) -> None:
            seconds = time.monotonic() - began
            self._tell(reply, service=operation.service, action=operation.action, seconds=seconds)

        fulfilled = self._client.call(operation)
        fulfilled.then(answered)
        return fulfilled

    @property
    def in_flight(self) -> int:
        """How many calls have not had their promise fulfilled."""
        return self._client.in_flight

    def run_once(self, timeout: float | None) -> None:
        """Make progress in the calling thread."""
        self._client.run_once(timeout)

    def wake(self) -> None:
        """Make a :meth:`run_once` return."""
        self._client.wake()

    def attach(self, hub: Hub) -> None:
        """Let ``hub`` drive."""
        self._client.attach(hub)

    def detach(self) -> None:
        """Take everything back from the hub."""
        self._client.detach()

    def abandon(self) -> None:
        """Forget all connections without touching them."""
        self._client.abandon()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
