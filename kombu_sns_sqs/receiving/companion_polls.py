"""When a companion queue is looked into, and by how many requests at once. Pure: time and chance are handed in.

Nothing in the companion of a queue that takes delays is urgent: what leaves it has minutes left to spend in its queue.
So an empty one is looked into about once a minute. What waits for a FIFO queue, or for one with a TTL, leaves its
companion when it is due: that one is polled as a queue is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.topology.entities import Queue

#: Seconds between two looks into an empty companion of a queue that takes delays.
IDLE_SECONDS: Final = 60.0
#: Polls of one companion in flight at most: tasks come before what is not due.
_MAX_POLLS: Final = 4
_BACKOFF: Final = Backoff(base=1.0, cap=60.0, attempts=1)


@dataclass(slots=True, eq=False)
class CompanionPolls:
    """The polls of one companion.

    Args:
        queue: whose companion it is.
        max_wait: longest long poll in seconds.
    """

    queue: Queue
    companion: Queue
    max_wait: int
    in_flight: int = 0
    failures: int = 0
    #: No poll before this moment of the monotonic clock.
    not_before: float = float("-inf")
    _want: int = 1
    _wait: int = 1

    @property
    def wait_seconds(self) -> int:
        """For how long the next poll waits for a message."""
        return min(self._wait, self.max_wait)

    @property
    def open(self) -> bool:
        """Whether there may be one more poll when the time has come."""
        return self.in_flight < self._want

    def answered(self, count: int, *, now: float, chance: float) -> None:
        """Take in how many messages a poll brought; ``chance`` is of [0, 1)."""
        self.failures = 0
        self.not_before = now
        if count:
            full = count == quotas.MAX_RECEIVE_MESSAGES
            self._want, self._wait = (min(self._want * 2, _MAX_POLLS) if full else 1), 1
            return
        self._want = 1
        if self.queue.takes_delay:
            self.not_before = now + IDLE_SECONDS * (0.75 + chance / 2)
        else:
            self._wait = min(self._wait * 2, quotas.MAX_WAIT_SECONDS)

    def failed(self, *, now: float, chance: float) -> None:
        """Take in that a poll failed."""
        self.failures += 1
        self._want = 1
        self.not_before = now + _BACKOFF.delay(self.failures, lambda: 0.5 + chance / 2)
