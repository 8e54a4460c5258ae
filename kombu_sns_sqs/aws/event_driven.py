"""What the engines driven by events have in common: waiting, waking, and fulfilling promises in the driving thread."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from kombu_sns_sqs.aws.driving import HubDriver, SelectorDriver, Waker
from kombu_sns_sqs.aws.forks import tell_after_fork
from kombu_sns_sqs.aws.reply import Reply, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kombu.asynchronous import Hub
    from vine import promise

    from kombu_sns_sqs.aws.operation import Operation

__all__ = ("EventDriven", "closed")


def closed(operation: Operation) -> Reply:
    """Make the reply of a call that the end of its client cut short."""
    return unreachable(operation, "Closed", "the client was closed")


class EventDriven:
    """Base of the engines; a subclass says what there is to do, and calls :meth:`_finish` when a reply is there.

    Replies pass through a queue, so that promises are never fulfilled inside the engine: a callback may call, close or
    run the client again. It may also raise: the replies behind it are then delivered at the next turn.
    """

    _waker: Waker
    _hub: HubDriver | None
    _selector: SelectorDriver | None
    _done: deque[tuple[promise, Reply]]
    _woken: bool

    def __init__(self) -> None:
        self._closed = False
        self._fresh()
        tell_after_fork(self)

    def run_once(self, timeout: float | None) -> None:
        """Make progress here for at most ``timeout`` seconds; return early when a promise was fulfilled, or woken."""
        until = None if timeout is None else monotonic() + timeout
        self._work(())
        if self._deliver():
            return
        while not self._closed:
            ready = self._wait(0.0 if self._woken else _remaining(until, self._due_at()))
            self._work(ready)
            woken, self._woken = self._woken, False
            if self._deliver() or woken or _remaining(until) == 0.0:
                return

    def wake(self) -> None:
        """Make a :meth:`run_once` return that is running, or the next one."""
        self._woken = True
        self._waker.nudge()

    def attach(self, hub: Hub) -> None:
        """Let ``hub`` drive, until :meth:`detach` or until it is closed or reset."""
        self.detach()
        self._hub = HubDriver(
            hub=hub,
            waker=self._waker,
            on_ready=self._on_ready,
            on_wake=self._on_wake,
            on_due=self._on_due,
            on_close=self._on_hub_close,
        )
        self._attached(self._hub)
        # What was called or finished before there was a hub waits for its first turn.
        self._waker.nudge()

    def detach(self) -> None:
        """Take everything back from the hub; calls in flight go on while :meth:`run_once` runs."""
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.close()

    def abandon(self) -> None:
        """Start afresh in a forked child: what is in flight is the parent's, and stays unanswered here."""
        if not self._closed:
            self._waker.close()
            if self._selector is not None:
                self._selector.close()
            self._fresh()

    def close(self) -> None:
        """Close all connections; the promises of calls in flight are fulfilled with the failure ``Closed``."""
        if self._closed:
            return
        self._closed = True
        self.detach()
        self._stop()
        try:
            self._deliver_all()
        finally:
            self._waker.nudge()
            self._release()

    # -- what a subclass does --------------------------------------------------------------------------------

    def _work(self, ready: Iterable[tuple[int, int]]) -> None:
        """Start what was called, and go on with what is ready or due."""

    def _due_at(self) -> float | None:
        """When :meth:`_work` must be called though nothing is ready, by ``time.monotonic``; None: need not be."""
        return None

    def _attached(self, driver: HubDriver | SelectorDriver) -> None:
        """Make a new driver watch what the others watch."""

    def _stop(self) -> None:
        """End everything in flight, with :meth:`_finish`."""

    # -- what a subclass uses --------------------------------------------------------------------------------

    def _fresh(self) -> None:
        self._waker = Waker()
        self._done = deque()
        self._hub = None
        self._selector = None
        self._waiting = 0
        self._woken = False

    def _finish(self, fulfilled: promise, reply: Reply) -> None:
        self._done.append((fulfilled, reply))

    @property
    def _drivers(self) -> list[Any]:
        return [driver for driver in (self._hub, self._selector) if driver is not None]

    def _deliver(self) -> int:
        delivered = 0
        try:
            while (done := self._next_done()) is not None:
                delivered += 1
                fulfilled, reply = done
                fulfilled(reply)
        finally:
            if self._done:
                self._waker.nudge()
        return delivered

    def _next_done(self) -> tuple[promise, Reply] | None:
        # A close in another thread may deliver at the same time: looking before taking would not do.
        try:
            return self._done.popleft()
        except IndexError:
            return None

    def _deliver_all(self) -> None:
        try:
            self._deliver()
        finally:
            # One callback raised: the rest are still told; what was raised last comes out, the others as its context.
            if self._done:
                self._deliver_all()

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        self._waiting += 1
        try:
            if self._selector is None:
                self._selector = SelectorDriver(self._waker)
                self._attached(self._selector)
            return self._selector.wait(timeout)
        except (ValueError, OSError):
            # A close in another thread was faster than this one's way here.
            if self._closed:
                return []
            raise
        finally:
            self._waiting -= 1
            if self._closed:
                self._release()

    def _release(self) -> None:
        # Not under the feet of a thread that waits: it does this itself, once the nudge has reached it.
        if self._waiting:
            return
        if self._selector is not None:
            self._selector.close()
        self._waker.close()

    def _on_ready(self, fd: int, events: int) -> None:
        self._work(((fd, events),))
        self._deliver()

    def _on_wake(self) -> None:
        self._work(())
        self._deliver()

    def _on_due(self) -> None:
        self._work(())
        # A hub swallows what its timers raise, and what a promise's callback raises must be heard.
        if self._done:
            self._waker.nudge()

    def _on_hub_close(self) -> None:
        self._hub = None


def _remaining(*times: float | None) -> float | None:
    known = [at for at in times if at is not None]
    return max(0.0, min(known) - monotonic()) if known else None
