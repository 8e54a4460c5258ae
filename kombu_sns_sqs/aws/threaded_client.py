"""The engine of a worker where pycurl does not import: a thread for every request in flight."""

from __future__ import annotations

import itertools
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from vine import promise

from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.event_driven import EventDriven, closed
from kombu_sns_sqs.aws.exchange import UrllibExchange
from kombu_sns_sqs.aws.retrying import Backoff

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.sessions import Sessions

__all__ = ("ThreadedClient",)


class ThreadedClient(EventDriven):
    """Carries operations out in threads of its own, without repeating any; promises are fulfilled where it is driven.

    Args:
        sessions: who signs.
        max_threads: how many requests can be under way at once; the others wait their turn.
    """

    def __init__(self, sessions: Sessions, max_threads: int = 64) -> None:
        if max_threads < 1:
            raise ValueError(f"{max_threads} threads: at least 1 is needed")
        self._sessions = sessions
        self._max_threads = max_threads
        super().__init__()

    @property
    def in_flight(self) -> int:
        """How many calls have not had their promise fulfilled."""
        return len(self._calls) + len(self._done)

    def call(self, operation: Operation) -> promise:
        """Start an operation; the promise is fulfilled in the driving thread."""
        fulfilled = promise()
        number = next(self._numbers)
        self._calls[number] = fulfilled, operation
        if self._closed:
            self._stop()
            self._deliver_all()
            return fulfilled
        self._jobs.put(number)
        self._grow()
        return fulfilled

    def _fresh(self) -> None:
        super()._fresh()
        self._carrier = BlockingClient(self._sessions, Backoff(attempts=1), exchange=UrllibExchange())
        self._jobs: SimpleQueue[int | None] = SimpleQueue()
        self._calls: dict[int, tuple[promise, Operation]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._threads = 0

    def _grow(self) -> None:
        with self._lock:
            if self._threads >= min(self._max_threads, len(self._calls)):
                return
            self._threads += 1
            number = self._threads
        threading.Thread(target=self._serve, name=f"kombu-sns-sqs-{number}", daemon=True).start()

    def _serve(self) -> None:
        while (number := self._jobs.get()) is not None:
            self._carry(number)

    def _carry(self, number: int) -> None:
        call = self._calls.get(number)
        if call is None:
            return
        reply = self._carrier.perform(call[1])
        # Whoever takes the call out answers it: this thread, or the close that overtook it.
        if self._calls.pop(number, None) is not None:
            self._finish(call[0], reply)
            self._waker.nudge()

    def _stop(self) -> None:
        for number in list(self._calls):
            call = self._calls.pop(number, None)
            if call is not None:
                self._finish(call[0], closed(call[1]))
        for _ in range(self._threads):
            self._jobs.put(None)
        self._carrier.close()
