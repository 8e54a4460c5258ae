"""What this process made for itself, and has to take away again: its temporary queues and their subscriptions.

Private queues end with the connection that declared them, all others with the process. A queue that could not be
deleted is named in the log; its retention period empties it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import ConnectionFailed, Error, Unreachable
from kombu_sns_sqs.lifecycle import Patience
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.topology.entities import Lifetime, Queue
from kombu_sns_sqs.topology.provisioner import Provisioner

logger = logging.getLogger(__name__)


class Janitor:
    """Deletes the temporary queues of one process, never those of its parent.

    Args:
        provisioner: knows them, and deletes one by calls of ``control``.
        timeout: no call begins when so many seconds have passed, nor a minute after one was not answered.
    """

    def __init__(self, *, provisioner: Provisioner, control: ControlPlane, timeout: float) -> None:
        self._provisioner = provisioner
        self._control = control
        self._patience = Patience(timeout, worn=0.0)
        self._pid = os.getpid()

    def close_connection(self, declared: set[str]) -> None:
        """Delete the queues that belong to the connection alone, of those that it declared."""
        self._delete([q for q in self._temporary() if q.lifetime is not Lifetime.OWNED and q.name in declared])

    def close_process(self) -> None:
        """Delete all of them."""
        self._delete(self._temporary())

    def _temporary(self) -> list[Queue]:
        return self._provisioner.temporary.queues if self._pid == os.getpid() else []

    def _delete(self, queues: list[Queue]) -> None:
        deadline = self._patience.deadline()
        with self._control.until(deadline):
            for number, queue in enumerate(queues):
                if time.monotonic() >= deadline:
                    _report(queues[number:], "no time was left")
                    return
                try:
                    self._provisioner.remove(queue)
                except ConnectionFailed as exc:
                    if isinstance(exc, Unreachable):
                        self._patience.was_in_vain()
                    _report(queues[number:], exc)
                    return
                except Error as exc:
                    _report([queue], exc)


def _report(left: Sequence[Queue], why: object) -> None:
    urls = [queue.url for queue in left]
    told = fields("queues_left", count=len(urls), queues=urls, cause=why)
    logger.warning("%d temporary queues could not be deleted (%s): %s", len(urls), why, ", ".join(urls), extra=told)
