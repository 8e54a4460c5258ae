"""Which companion queues there are to serve: those of the queues that this process consumes from.

Finding them is work for the housekeeper's thread. A companion that another process has made is found some minutes
later: what is put into it does not leave it earlier than that.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakSet

from kombu_sns_sqs.errors import Error
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.topology.companions import ABSENT_SECONDS, Companions
from kombu_sns_sqs.topology.entities import Queue

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS: Final = ABSENT_SECONDS


class Consuming(Protocol):
    """Who consumes from a queue, until it is stopped."""

    queue: Queue
    stopped: bool


class CompanionWatch:
    """Knows the companions of the queues that are consumed from. Safe for threads.

    Args:
        on_found: told after each look, in another thread.
    """

    def __init__(self, *, companions: Companions, housekeeper: Housekeeper, on_found: Callable[[], None]) -> None:
        self._companions = companions
        self._housekeeper = housekeeper
        self._on_found = on_found
        self._lock = threading.Lock()
        self._consuming: WeakSet[Consuming] = WeakSet()
        self._watched: set[str] = set()
        self._wanted: set[str] = set()

    def attend(self, consuming: Consuming) -> None:
        """Serve the companion of a queue for as long as somebody consumes from it."""
        queue = consuming.queue
        if not self._companions.possible(queue):
            return
        with self._lock:
            self._consuming.add(consuming)
            if queue.name in self._watched:
                return
            self._watched.add(queue.name)
        self._housekeeper.call_later(0, lambda: self._look(queue))

    def served(self) -> list[tuple[Queue, Queue]]:
        """List (queue, companion) of all that are consumed from and have one."""
        found = {}
        for queue in self._queues():
            _, companion = self._companions.known(queue)
            if companion is not None:
                found[queue.name] = (queue, companion)
        return list(found.values())

    def want(self, queue: Queue) -> None:
        """Have the companion of a queue found or made."""
        with self._lock:
            if queue.name in self._wanted:
                return
            self._wanted.add(queue.name)
        self._housekeeper.call_later(0, lambda: self._make(queue))

    def _queues(self) -> list[Queue]:
        with self._lock:
            return [consuming.queue for consuming in self._consuming if not consuming.stopped]

    def _look(self, queue: Queue) -> None:
        with self._lock:
            if not any(one.queue.name == queue.name and not one.stopped for one in self._consuming):
                self._watched.discard(queue.name)
                return
        # What waits for a FIFO queue may wait there for seconds only: its companion is there from the start.
        self._ask(self._companions.get if queue.fifo else self._companions.find, queue)
        self._housekeeper.call_later(_LOOK_AGAIN_SECONDS * random.uniform(1.0, 1.2), lambda: self._look(queue))

    def _make(self, queue: Queue) -> None:
        self._ask(self._companions.get, queue)
        with self._lock:
            self._wanted.discard(queue.name)

    def _ask(self, how: Callable[[Queue], Queue | None], queue: Queue) -> None:
        try:
            found = how(queue)
        except Error as exc:
            logger.warning(
                "the companion of queue %r could not be looked up, trying again: %s",
                queue.name,
                exc,
                extra=fields("companion_unread", queue=queue.name, cause=exc),
            )
        else:
            if found is not None:
                self._on_found()
