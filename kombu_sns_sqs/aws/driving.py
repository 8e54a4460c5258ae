"""What turns an engine: a hub, or a selector of its own; and what interrupts it."""

from __future__ import annotations

import contextlib
import selectors
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("IN", "OUT", "HubDriver", "SelectorDriver", "Waker")

#: The directions of a socket. The numbers are libcurl's, of CURL_POLL_* and CURL_CSELECT_* both.
IN: Final = 1
OUT: Final = 2


class Waker:
    """A socket pair through which any thread interrupts the one that waits."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._pending = False

    def fileno(self) -> int:
        """Give the descriptor that turns readable."""
        return self._reader.fileno()

    def nudge(self) -> None:
        """Interrupt the wait, or the next one. One byte answers for any number of calls."""
        if not self._pending:
            self._pending = True
            # Closed, or so full that a byte is surely waiting: nothing is left to say.
            with contextlib.suppress(OSError):
                self._writer.send(b"\0")

    def drain(self) -> None:
        """Be ready for the next nudge; what the nudge was about must be looked at after this."""
        # In this order: with the mark cleared first, a byte sent in between would be read here and the mark would stay.
        with contextlib.suppress(OSError):
            self._reader.recv(64)
        self._pending = False

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()


class SelectorDriver:
    """Watches sockets while :meth:`wait` runs, with Python's own selector, which gevent and eventlet replace."""

    def __init__(self, waker: Waker) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker = waker
        self._selector.register(waker.fileno(), selectors.EVENT_READ)

    def watch(self, fd: int, events: int) -> None:
        """Watch a descriptor that is not watched."""
        mask = (selectors.EVENT_READ if events & IN else 0) | (selectors.EVENT_WRITE if events & OUT else 0)
        self._selector.register(fd, mask)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor, which may be closed already, or not have been watched."""
        with contextlib.suppress(KeyError, ValueError, OSError):
            self._selector.unregister(fd)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait for at most ``timeout`` seconds and give the descriptors that are ready; empty after a nudge."""
        ready = []
        for key, mask in self._selector.select(timeout):
            if key.fd == self._waker.fileno():
                self._waker.drain()
                continue
            events = (IN if mask & selectors.EVENT_READ else 0) | (OUT if mask & selectors.EVENT_WRITE else 0)
            ready.append((key.fd, events))
        return ready

    def close(self) -> None:
        """Close the selector, not what it watches."""
        self._selector.close()


class HubDriver:
    """Watches sockets and one deadline on a kombu hub, and never leaves a stale descriptor there.

    Args:
        hub: the event loop, a ``kombu.asynchronous.Hub``.
        waker: drained, and then ``on_wake`` called, when it is nudged.
        on_ready: called with a descriptor and its events.
        on_wake: called after a nudge.
        on_due: called at the deadline, or somewhat before.
        on_close: called when the hub has been closed or reset, after which this object is of no more use.
    """

    def __init__(
        self,
        *,
        hub: Any,
        waker: Waker,
        on_ready: Callable[[int, int], None],
        on_wake: Callable[[], None],
        on_due: Callable[[], None],
        on_close: Callable[[], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.hub = hub
        self._waker = waker
        self._on_ready = on_ready
        self._on_wake = on_wake
        self._on_due = on_due
        self._on_close = on_close
        self._clock = clock
        self._watched: set[int] = set()
        self._entry: Any = None
        self._entry_at = 0.0
        hub.add_reader(waker.fileno(), self._woken)
        hub.on_close.add(self._closed)

    def watch(self, fd: int, events: int) -> None:
        """Watch a descriptor that is not watched."""
        self._watched.add(fd)
        if events == IN:
            self.hub.add_reader(fd, self._on_ready, fd, IN)
        elif events == OUT:
            self.hub.add_writer(fd, self._on_ready, fd, OUT)
        else:
            # The poller under the hub takes a descriptor once: a second add would be ignored without a word.
            self.hub.add(fd, self._on_ready, self.hub.READ | self.hub.WRITE | self.hub.ERR, (fd, IN))
            self.hub.writers[fd] = self._on_ready, (fd, OUT)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor, which may be closed already, or not have been watched."""
        if fd in self._watched:
            self._watched.discard(fd)
            self.hub.remove(fd)

    def schedule(self, at: float | None) -> None:
        """Have ``on_due`` called at a time of the clock; None: at none.

        A timer that rings too early is left to ring: deadlines move back with every answer, and a timer cancelled
        stays in the hub's heap until its time.
        """
        if at is None or (self._entry is not None and self._entry_at <= at):
            return
        self._cancel()
        self._entry_at = at
        self._entry = self.hub.call_later(max(0.0, at - self._clock()), self._ring)

    def close(self) -> None:
        """Take everything off the hub."""
        self.hub.on_close.discard(self._closed)
        self._cancel()
        for fd in [*self._watched, self._waker.fileno()]:
            self.hub.remove(fd)
        self._watched.clear()

    def _woken(self) -> None:
        self._waker.drain()
        self._on_wake()

    def _ring(self) -> None:
        self._entry = None
        self._on_due()

    def _cancel(self) -> None:
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    def _closed(self, hub: Any) -> None:
        # The hub has dropped its descriptors and its poller; only the timer it keeps.
        hub.on_close.discard(self._closed)
        self._cancel()
        self._watched.clear()
        self._on_close()
