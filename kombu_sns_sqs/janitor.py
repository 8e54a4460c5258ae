"""What this process made for itself, and has to take away again: its temporary queues and their subscriptions.

Private queues end with the connection that declared them, all others with the process. A queue that could not be
deleted is named in the log; its retention period empties it.
"""

from __future__ import annotations

import logging
import os
import time

from kombu_sns_sqs.errors import ConnectionFailed, Error
from kombu_sns_sqs.topology.entities import Lifetime, Queue
from kombu_sns_sqs.topology.provisioner import Provisioner

logger = logging.getLogger(__name__)


class Janitor:
    """Deletes the temporary queues of one process, never those of its parent."""

    def __init__(self, *, provisioner: Provisioner) -> None:
        self._provisioner = provisioner
        self._pid = os.getpid()

    def close_connection(self, declared: set[str]) -> None:
        """Delete the queues that belong to the connection alone, of those that it declared."""
        self._delete([q for q in self._temporary() if q.lifetime is not Lifetime.OWNED and q.name in declared], 30.0)

    def close_process(self, timeout: float) -> None:
        """Delete all of them, beginning no deletion after ``timeout`` seconds."""
        self._delete(self._temporary(), timeout)

    def _temporary(self) -> list[Queue]:
        return list(self._provisioner.temporary.values()) if self._pid == os.getpid() else []

    def _delete(self, queues: list[Queue], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for queue in queues:
            if time.monotonic() > deadline:
                logger.warning("no time was left to delete the temporary queue %s", queue.url)
                continue
            try:
                self._provisioner.remove(queue)
            except ConnectionFailed as exc:
                logger.warning("%d temporary queues could not be deleted: %s", len(queues), exc)
                return
            except Error as exc:
                logger.warning("the temporary queue %s could not be deleted: %s", queue.url, exc)
