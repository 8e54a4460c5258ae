"""The temporary queues of one process: what it declared, and where that is on AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kombu_sns_sqs.topology.entities import Queue, QueueDeclaration


class Temporaries:
    """Queues that end before the process does, or with it. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Queue, QueueDeclaration]] = {}
        self._leaving: set[str] = set()
        #: Told when there is one.
        self.on_added: Callable[[], None] = lambda: None

    def __contains__(self, name: object) -> bool:
        """Whether a queue of that name in AMQP is one of them."""
        return name in self._known

    def add(self, queue: Queue, declaration: QueueDeclaration) -> None:
        """Note one that was made."""
        with self._lock:
            self._known[queue.name] = (queue, declaration)
            self._leaving.discard(queue.name)
        self.on_added()

    def leave(self, name: str) -> None:
        """Note that one is about to be deleted: nobody should miss it."""
        with self._lock:
            self._leaving.add(name)

    def discard(self, name: str) -> None:
        """Forget one that is gone."""
        with self._lock:
            self._known.pop(name, None)
            self._leaving.discard(name)

    def get(self, name: str) -> tuple[Queue, QueueDeclaration] | None:
        """Give a queue and how it was declared; None where it is not one of them, or not for long."""
        with self._lock:
            return None if name in self._leaving else self._known.get(name)

    @property
    def queues(self) -> list[Queue]:
        """All of them, the oldest first."""
        with self._lock:
            return [queue for queue, _ in self._known.values()]
