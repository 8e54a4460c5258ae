"""When the settling thread wakes by itself, so that few acks have to wake it. Pure: the time is handed in.

Each wake by another thread takes the interpreter from who handles messages.
"""

from __future__ import annotations

import math
from typing import Final

#: Longest sleep of the thread: what it does not hear of it finds out then, and that the machine was suspended.
_LONGEST_SLEEP: Final = 5.0
#: For so many seconds after a request more of them are expected.
_BUSY_SECONDS: Final = 1.0
#: While full batches follow each other within so many seconds, the thread looks for them, as often as that.
_CROWDED_SECONDS: Final = 0.1
_GATHER_SECONDS: Final = 0.02


class Rhythm:
    """The sleeps of one settling thread.

    Args:
        lease_seconds: of the leases it renews.
        ack_delay: longest time an ack waits for others.
    """

    def __init__(self, *, lease_seconds: int, ack_delay: float) -> None:
        self._ack_delay = ack_delay
        self._gather = min(_GATHER_SECONDS, ack_delay)
        self._longest = min(_LONGEST_SLEEP, lease_seconds / 4)
        self._busy_until = self._crowded_until = -math.inf
        #: When the thread wakes by itself: often, while it is busy, so that the first ack of a batch lets it sleep.
        self.sleeps_until = math.inf

    def sent(self, now: float, *, full: bool = False) -> None:
        """Note that a request was sent; ``full``: by the thread, of as many acks as a request takes."""
        self._busy_until = now + _BUSY_SECONDS
        if full:
            self._crowded_until = now + _CROWDED_SECONDS

    def in_time(self, due: float, now: float) -> bool:
        """Whether the thread wakes by itself soon enough for what is due then."""
        return max(due, now + self._gather) >= self.sleeps_until

    def sleep(self, now: float, *due: float | None) -> float:
        """Give the seconds the thread may sleep for; ``due``: when something is to be done, None: there is nothing."""
        longest = self._longest
        if now < self._busy_until:
            often = self._gather if now < self._crowded_until else self._ack_delay
            longest = min(longest, often or longest)
        pause = max(0.0, min([longest, *(moment - now for moment in due if moment is not None)]))
        self.sleeps_until = now + pause
        return pause
