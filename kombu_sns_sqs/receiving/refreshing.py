"""Reading bindings again: in the thread for such things, one read for all who ask, and not too often."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from kombu_sns_sqs.errors import ConnectionFailed
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.entities import Queue

logger = logging.getLogger(__name__)

#: Seconds between two attempts to read what could not be read, at least.
_LEAST_PAUSE: Final = 1.0


class Refresher:
    """Has the bindings of queues read again for one receiver.

    Args:
        max_age: seconds between two reads of one queue's bindings.
        on_done: told after each read, in another thread.
    """

    def __init__(
        self, *, binder: Binder, housekeeper: Housekeeper, max_age: float, on_done: Callable[[], None]
    ) -> None:
        self._binder = binder
        self._housekeeper = housekeeper
        self._max_age = max_age
        self._on_done = on_done
        self._lock = threading.Lock()
        self._seldom = Seldom()
        self._asked: set[str] = set()
        self._read: set[str] = set()
        self._fresh: set[str] = set()

    def ask(self, queue: Queue) -> None:
        """Ask for a read: at once for the first of a queue, after a pause for the next."""
        with self._lock:
            if queue.name in self._asked:
                return
            self._asked.add(queue.name)
            delay = self._max_age if queue.name in self._read else 0.0
        self._housekeeper.call_later(delay, lambda: self._refresh(queue))

    def take(self) -> set[str]:
        """Give the names of the queues read since the last call."""
        with self._lock:
            fresh, self._fresh = self._fresh, set()
        return fresh

    def _refresh(self, queue: Queue) -> None:
        try:
            self._binder.refresh(queue)
        except ConnectionFailed as exc:
            if self._seldom.count(queue.name):
                told = fields("bindings_unread", queue=queue.name, cause=exc)
                logger.warning(
                    "the bindings of queue %r could not be read, trying again: %s", queue.name, exc, extra=told
                )
            self._housekeeper.call_later(max(self._max_age, _LEAST_PAUSE), lambda: self._refresh(queue))
            return
        except Exception as exc:  # noqa: BLE001  # whatever it is, messages must not wait for ever
            logger.error(  # noqa: TRY400
                "the bindings of queue %r cannot be read: messages they might exclude are delivered: %s",
                queue.name,
                exc,
                extra=fields("bindings_unread", queue=queue.name, cause=exc),
            )
        with self._lock:
            self._asked.discard(queue.name)
            self._read.add(queue.name)
            self._fresh.add(queue.name)
        self._on_done()
