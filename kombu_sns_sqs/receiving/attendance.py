"""How long answers may have lain unread: a callback that takes its time keeps the thread that would read them.

In the solo pool and in plain kombu a task runs in the consumer's thread, and a green pool that is full blocks it. What
a poll in flight brings meanwhile is under a lease that nobody renews, as nobody knows of it.
"""

from __future__ import annotations

from typing import Final

#: What part of a lease may pass unnoticed: renewals are early enough for that.
_UNNOTICED: Final = 0.1
#: What part of a lease may have passed when an answer is read. Beyond it, and the way back, what it holds may have been
#: received by somebody else.
_TRUSTED: Final = 0.5


class Attendance:
    """Of one thread at the answers to one queue's polls. All times are on the monotonic clock.

    Args:
        lease_seconds: the lease of what the answers hold.
    """

    __slots__ = ("_alone_since", "_back_at", "_lease_seconds")

    def __init__(self, *, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._alone_since = self._back_at = 0.0

    def back(self, *, left_at: float, now: float) -> None:
        """Note that nobody has looked for answers since ``left_at``."""
        if now - left_at > self._lease_seconds * _UNNOTICED:
            self._alone_since, self._back_at = left_at, now

    def age(self, *, asked_at: float, now: float) -> float | None:
        """Give the seconds that an answer to a poll may have lain unread, at most; None: too many to trust it."""
        if asked_at >= self._back_at:
            return 0.0
        age = now - self._alone_since
        return age if age <= self._lease_seconds * _TRUSTED else None
