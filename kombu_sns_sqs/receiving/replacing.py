"""Temporary queues that were made again: their pollers go on where they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kombu_sns_sqs.receiving.poller import Poller
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.restoring import Restorer


class Replacements:
    """What one receiver's pollers have missed, and what it was replaced by.

    Args:
        restorer: makes queues again, in another thread.
        on_done: told in that thread when there is something to apply.
    """

    def __init__(self, restorer: Restorer, on_done: Callable[[], None]) -> None:
        self._restorer = restorer
        self._on_done = on_done
        self._lock = threading.Lock()
        self._found: dict[Poller, Queue] = {}

    def ask(self, poller: Poller) -> None:
        """Have the queue of a poller made again; it asks again for as long as there is none."""
        self._restorer.missed(poller.queue, lambda queue: self._note(poller, queue))

    def _note(self, poller: Poller, queue: Queue) -> None:
        with self._lock:
            self._found[poller] = queue
        self._on_done()

    def apply(self) -> None:
        """Send pollers where their queues are now; in the thread that drives them."""
        with self._lock:
            found, self._found = self._found, {}
        for poller, queue in found.items():
            poller.move(queue)
