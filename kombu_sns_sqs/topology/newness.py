"""The first second of a queue, in which AWS does not promise that it can be used.

What a process makes it does not use, and shows to nobody, before that has passed: it neither consumes nor publishes,
since the message could be one that is to be answered to the new queue, or be for it. So a worker that says it is ready
can be reached, and the first answer to a caller finds its queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from kombu_sns_sqs import quotas
from kombu_sns_sqs.options import Options

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Newness:
    """How new the newest queue of this process is. Safe for threads.

    Args:
        seconds: for which a queue is new.
    """

    def __init__(
        self,
        seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock
        self._ends_at: float | None = None

    @classmethod
    def of(cls, options: Options, *, sleep: Callable[[float], None]) -> Newness:
        """Go by the option, or by what the endpoint is: an emulator's queues can be used at once."""
        seconds = options.queue_settling
        if seconds is None:
            local = urlsplit(options.identity.endpoint_url or "").hostname in _LOOPBACK
            seconds = 0 if local else quotas.QUEUE_SETTLING_SECONDS
        return cls(seconds, sleep=sleep)

    def begins(self) -> None:
        """Note that a queue has just been made."""
        self._ends_at = self._clock() + self._seconds if self._seconds else None

    def wait(self) -> None:
        """Wait until no queue is new."""
        ends_at = self._ends_at
        if ends_at is None:
            return
        left = ends_at - self._clock()
        if left > 0:
            self._sleep(left)
        if self._ends_at == ends_at:
            self._ends_at = None
