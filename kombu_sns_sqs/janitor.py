"""What this process made for itself, and has to take away again: its temporary queues and their subscriptions.

Private queues end with the last connection that uses them, all others with the process. A queue that could not be
deleted is named in the log; its retention period empties it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import ConnectionFailed, Error, Unreachable
from kombu_sns_sqs.lifecycle import Patience
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.provisioner import Provisioner

logger = logging.getLogger(__name__)


#: Seconds after the loss of a connection in which another may go on with its private queues.
_HEIRLESS_SECONDS: Final = 600.0


class Janitor:
    """Deletes the temporary queues of one process, never those of its parent.

    Args:
        provisioner: knows them, and deletes one by calls of ``control``.
        timeout: no call begins when so many seconds have passed, nor a minute after one was not answered.
        call_later: runs a job in a thread that may block.
    """

    def __init__(
        self,
        *,
        provisioner: Provisioner,
        control: ControlPlane,
        timeout: float,
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._provisioner = provisioner
        self._control = control
        self._call_later = call_later
        self._patience = Patience(timeout, worn=0.0)
        self._pid = os.getpid()

    def connection_closed(self, connection: object) -> None:
        """Delete what ends with connections, of the queues that one has used, and that no other uses."""
        self._end(self._provisioner.let_go(connection))

    def connection_lost(self, connection: object) -> None:
        """Do so after a while: the next connection may go on with them."""
        if used := self._provisioner.let_go(connection):
            self._call_later(_HEIRLESS_SECONDS, lambda: self._end(used))

    def _end(self, used: set[str]) -> None:
        if self._pid == os.getpid():
            self._delete(self._provisioner.temporary.to_end(used))

    def close_process(self) -> None:
        """Delete all of them."""
        if self._pid == os.getpid():
            self._delete(self._provisioner.temporary.queues)

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
