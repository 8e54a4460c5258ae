"""The one verb of the edge, and what an engine driven by events adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from kombu.asynchronous import Hub
    from vine import promise

    from kombu_sns_sqs.aws.operation import Operation

__all__ = ("Client", "EventClient")


@runtime_checkable
class Client(Protocol):
    """Carries operations to AWS."""

    def call(self, operation: Operation) -> promise:
        """Start an operation.

        The promise is fulfilled exactly once, with a :class:`~kombu_sns_sqs.aws.reply.Reply`: whatever the network or
        AWS does is a value in it. May be called in any thread.
        """

    def close(self) -> None:
        """Close all connections; calls in flight, and later ones, are answered with the failure ``Closed``."""


@runtime_checkable
class EventClient(Client, Protocol):
    """A client that works while its hub turns, or while :meth:`run_once` runs, and fulfils promises there."""

    @property
    def in_flight(self) -> int:
        """How many calls have not had their promise fulfilled."""

    def run_once(self, timeout: float | None) -> None:
        """Make progress in the calling thread for at most ``timeout`` seconds, None: as long as it takes.

        Returns early when a promise was fulfilled or :meth:`wake` was called. Works while attached, too: Celery waits
        for replies inside a callback of the very hub. What a callback of a promise raises comes out here.
        """

    def wake(self) -> None:
        """Make a :meth:`run_once` return that is running, or the next one. May be called in any thread."""

    def attach(self, hub: Hub) -> None:
        """Let ``hub`` drive. Ends with :meth:`detach`, or when the hub is closed or reset."""

    def detach(self) -> None:
        """Take everything back from the hub."""

    def abandon(self) -> None:
        """Forget all connections without touching them: for a forked child, whose parent still uses them."""
