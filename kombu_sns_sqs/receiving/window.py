"""The prefetch window of a channel: how many messages may be in the application's hands, on the way, and asked for.

Pure counting. Polls in flight reserve slots, so that all polls together never ask for more than the window has free;
except that a queue without any poll may always have one for a single message, lest one queue's long poll starve the
others. What such a poll brings over the window is held, outside the application, for a short while.

Slots come free one by one, with each ack, and a poll that asks for one message costs as much as one that asks for ten.
So a few free slots wait a moment for others, while the application still has the rest of its window to work on.

Where messages are fetched on demand, the application says how many more it has a place for, beside its window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kombu_sns_sqs import quotas

#: Seconds for which a few free slots wait for more: at most, and for each slot of the window. A larger window has more
#: to work on meanwhile; in one no larger than the pool a process is idle for as long.
GATHER_AT_MOST: Final = 0.05
GATHER_PER_SLOT: Final = 0.001


class Window:
    """Counts for one channel.

    Args:
        cap: the limit that holds where the prefetch count is 0, AMQP's "unlimited".
    """

    __slots__ = ("_few_since", "buffered", "cap", "demand", "in_hand", "prefetch_count", "reserved")

    def __init__(self, *, cap: int, prefetch_count: int = 0) -> None:
        self.cap = cap
        self.prefetch_count = prefetch_count
        #: Delivered and not yet settled.
        self.in_hand = 0
        #: How many more messages the application has a place for; None: as many as the window has free.
        self.demand: Callable[[], int] | None = None
        #: Received and not yet delivered.
        self.buffered = 0
        #: Asked for by polls in flight.
        self.reserved = 0
        #: Since when there have been free slots, but too few for a poll.
        self._few_since: float | None = None

    @property
    def limit(self) -> int:
        """How many unsettled messages the application may have."""
        return self.prefetch_count or self.cap

    @property
    def open(self) -> bool:
        """Whether one more message may be handed over."""
        return self._room > 0

    @property
    def full(self) -> bool:
        """Whether the application has all that its prefetch count allows, whatever it has a place for."""
        return self.in_hand >= self.limit

    @property
    def overfull(self) -> bool:
        """Whether more has come than there are slots for."""
        return self.buffered > 0 and self.buffered > self._room

    @property
    def _room(self) -> int:
        room = self.limit - self.in_hand
        return room if self.demand is None else min(room, self.demand())

    @property
    def _free(self) -> int:
        return self._room - self.buffered - self.reserved

    @property
    def _enough(self) -> int:
        return min(quotas.MAX_RECEIVE_MESSAGES, self.limit // 2)

    @property
    def _gather(self) -> float:
        return min(GATHER_AT_MOST, self.limit * GATHER_PER_SLOT)

    @property
    def settled_quietly(self) -> bool:
        """Whether a slot that has just come free changes nothing: nothing waits for it, and others are waited for."""
        return not self.buffered and self._few_since is not None and 0 < self._free < self._enough

    def grant(self, *, polling: bool, now: float) -> int:
        """Say for how many messages a new poll may ask; 0: no poll now.

        ``polling``: whether the queue has a poll in flight already. ``now``: on the monotonic clock.
        """
        free = self._free
        if free <= 0:
            self._few_since = None
            return 1 if not polling and self.buffered < self._room else 0
        if free < self._enough:
            if self._few_since is None:
                self._few_since = now
            if now < self._few_since + self._gather:
                return 0
        self._few_since = None
        return min(free, quotas.MAX_RECEIVE_MESSAGES)

    @property
    def next_grant(self) -> float | None:
        """When the few slots that are free have waited long enough, on the monotonic clock; None: none wait."""
        return None if self._few_since is None else self._few_since + self._gather
