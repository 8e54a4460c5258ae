"""The prefetch window of a channel: how many messages may be in the application's hands, on the way, and asked for.

Pure counting. Polls in flight reserve slots, so that all polls together never ask for more than the window has free;
except that a queue without any poll may always have one for a single message, lest one queue's long poll starve the
others. What such a poll brings over the window is held, outside the application, for a short while.
"""

from __future__ import annotations

from kombu_sns_sqs import quotas


class Window:
    """Counts for one channel.

    Args:
        cap: the limit that holds where the prefetch count is 0, AMQP's "unlimited".
    """

    __slots__ = ("buffered", "cap", "in_hand", "prefetch_count", "reserved")

    def __init__(self, *, cap: int, prefetch_count: int = 0) -> None:
        self.cap = cap
        self.prefetch_count = prefetch_count
        #: Delivered and not yet settled.
        self.in_hand = 0
        #: Received and not yet delivered.
        self.buffered = 0
        #: Asked for by polls in flight.
        self.reserved = 0

    @property
    def limit(self) -> int:
        """How many unsettled messages the application may have."""
        return self.prefetch_count or self.cap

    @property
    def open(self) -> bool:
        """Whether one more message may be handed over."""
        return self.in_hand < self.limit

    @property
    def overfull(self) -> bool:
        """Whether more has come than there are slots for."""
        return self.buffered > 0 and self.in_hand + self.buffered > self.limit

    def grant(self, *, polling: bool) -> int:
        """Say for how many messages a new poll may ask; 0: no poll now.

        ``polling``: whether the queue has a poll in flight already.
        """
        free = self.limit - self.in_hand - self.buffered - self.reserved
        if free > 0:
            return min(free, quotas.MAX_RECEIVE_MESSAGES)
        spare = self.in_hand + self.buffered < self.limit
        return 1 if spare and not polling else 0
