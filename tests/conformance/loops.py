"""The two ways kombu delivers messages: `drain_events` in a loop, and callbacks of an event loop (the hub)."""

from __future__ import annotations

import abc
import contextlib
import time
from typing import TYPE_CHECKING, ClassVar

from kombu.asynchronous import Hub, set_event_loop

from .waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu import Connection

#: Seconds one turn may wait for an event; many connections are turned one after the other, so each waits less.
_ONE, _ONE_OF_MANY = 0.2, 0.02


class Loop(abc.ABC):
    """Turns connections until something holds; `attach` and `close` are for loops that have something to do there."""

    name: ClassVar[str]

    @abc.abstractmethod
    def turn(self, connection: Connection, seconds: float) -> None:
        """Deliver what is there, or wait for up to about `seconds` for something to deliver."""

    def attach(self, connection: Connection) -> None:  # noqa: B027 - drain_events needs no preparation
        """Prepare a connection for `turn`; done there if it was not before."""

    def close(self) -> None:  # noqa: B027 - and leaves nothing to clean
        """Leave nothing behind in the process."""

    def until(self, predicate: Callable[[], object], *connections: Connection, timeout: float = PATIENCE) -> None:
        """Turn until `predicate()`; AssertionError when `timeout` seconds were not enough."""
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, f"still not so after {timeout} s of {self.name}"
            for connection in connections:
                self.turn(connection, _ONE if len(connections) == 1 else _ONE_OF_MANY)

    def settle(self, seconds: float, *connections: Connection) -> None:
        """Turn for that long: whatever would have been delivered has been."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for connection in connections:
                self.turn(connection, left if len(connections) == 1 else _ONE_OF_MANY)


class DrainLoop(Loop):
    """What ConsumerMixin, SimpleQueue and scripts do."""

    name = "drain"

    def turn(self, connection: Connection, seconds: float) -> None:
        """Let one event happen."""
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=max(seconds, 0.01))


class HubLoop(Loop):
    """What a Celery worker does."""

    name = "hub"

    def __init__(self) -> None:
        self.hub = Hub()
        set_event_loop(self.hub)
        self._attached: list[Connection] = []
        self._connection_errors: tuple[type[BaseException], ...] = ()

    def attach(self, connection: Connection) -> None:
        """Register the connection with the hub, once."""
        if connection not in self._attached:
            connection.register_with_event_loop(self.hub)
            self._attached.append(connection)
            self._connection_errors += tuple(connection.connection_errors)

    def turn(self, connection: Connection, seconds: float) -> None:
        """One turn of the hub; the timer bounds how long it waits for an event."""
        self.attach(connection)
        wake_up = self.hub.call_later(seconds, _nothing)
        try:
            self.hub.run_once()
        finally:
            wake_up.cancel()

    def close(self) -> None:
        """Close the hub; the next test makes its own."""
        # A last callback may find its connection closed, and says so.
        with contextlib.suppress(*self._connection_errors):
            self.hub.close()
        set_event_loop(None)


def _nothing() -> None:
    """What a wake-up call does."""


LOOPS: dict[str, type[Loop]] = {loop.name: loop for loop in (DrainLoop, HubLoop)}
