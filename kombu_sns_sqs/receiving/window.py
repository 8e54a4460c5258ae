"""The prefetch window of a channel: how many messages may be in the application's hands, on the way, and asked for.

Pure counting. Polls in flight reserve slots, so that all polls together never ask for more than the window has free.
A queue that has nothing may have a long poll open for twenty seconds, and must not keep the slots from one that has:
idle queues share half of the window, and where that is no more than a slot for each, their polls ask for one message
and reserve nothing. What those bring over the window is held, outside the application, for a short while.

Slots come free one by one, with each ack, and a poll that asks for one message costs as much as one that asks for ten.
So a few free slots wait a moment for others, while the application still has the rest of its window to work on. And
where many queues want them, they are given out in turns: what gathers for the one that has waited longest is not taken
by small polls of others.

Where messages are fetched on demand, the application says how many more it has a place for, beside its window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from kombu_sns_sqs import quotas

#: Seconds for which a few free slots wait for more: at most, and for each slot of the window. A larger window has more
#: to work on meanwhile; in one no larger than the pool a process is idle for as long.
GATHER_AT_MOST: Final = 0.05
GATHER_PER_SLOT: Final = 0.001
#: Seconds without any new poll after which a queue that finds all slots taken may ask for a single message.
PATIENCE: Final = 0.5


class Grant(NamedTuple):
    """For how many messages a poll may ask.

    Args:
        messages: 0: no poll now.
        reserved: the slots it takes until it is answered.
        again: without a poll, when to ask again though nothing has happened, on the monotonic clock; None: an ack, or
            an answer, tells.
    """

    messages: int = 0
    reserved: int = 0
    again: float | None = None


class Window:
    """Counts for one channel.

    Args:
        cap: the limit that holds where the prefetch count is 0, AMQP's "unlimited".
    """

    __slots__ = (
        "_few_since",
        "_given_at",
        "_refused_at",
        "buffered",
        "cap",
        "demand",
        "in_hand",
        "prefetch_count",
        "reserved",
        "sources",
    )

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
        #: SQS queues that are polled for it.
        self.sources = 0
        #: Since when there have been free slots, but too few for a poll.
        self._few_since: float | None = None
        #: When slots were given to a poll, and when a queue was refused those there were.
        self._given_at = self._refused_at = -math.inf

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
    def asks(self) -> bool:
        """Whether a queue that has no poll in flight may have one."""
        return self.buffered < self._room

    @property
    def overfull(self) -> bool:
        """Whether more has come than there are slots for."""
        return self.buffered > 0 and self.buffered > self._room

    @property
    def _room(self) -> int:
        room = (self.prefetch_count or self.cap) - self.in_hand
        return room if self.demand is None else min(room, self.demand())

    @property
    def settled_quietly(self) -> bool:
        """Whether a slot that has just come free changes nothing: nothing waits for it, and others are waited for."""
        if self.buffered or self._few_since is None:
            return False
        return 0 < self._free < min(quotas.MAX_RECEIVE_MESSAGES, self.limit // 2)

    def grant(self, ask: int, *, polling: bool, since: float | None, now: float) -> Grant:
        """Say for how many messages a poll may ask.

        All queues are asked in one go, those first that have had nothing for longest. When one of them is refused, no
        slots are given to those after it.

        Args:
            ask: for how many it would be good, as far as is known; 0: nothing is.
            polling: whether the queue has a poll in flight already.
            since: since when it has been refused one, on the monotonic clock.
            now: on the same clock; the same for all queues that are asked in one go.
        """
        if not self.asks:
            return Grant()
        wanted = max(ask, self._share)
        if wanted == 1:
            return Grant() if polling else Grant(messages=1)
        free = self._free
        # On demand a free slot is a process that stands idle.
        enough = 1 if self.demand is not None else min(wanted, max(1, self.limit // 2))
        if self._refused_at != now and (free >= enough or (free > 0 and self._have_gathered(now))):
            self._few_since = None
            self._given_at = now
            return Grant(messages=min(free, wanted), reserved=min(free, wanted))
        if free > 0 and self._few_since is not None:
            if not polling:
                self._refused_at = now
            return Grant(again=self._few_since + self._gather)
        self._few_since = None
        patient_until = max(now if since is None else since, self._given_at) + PATIENCE
        if not polling and now >= patient_until:
            return Grant(messages=1)
        return Grant(again=None if polling else patient_until)

    @property
    def _free(self) -> int:
        return self._room - self.buffered - self.reserved

    @property
    def _share(self) -> int:
        """For how many messages an idle queue may ask."""
        share = self.limit if self.sources <= 1 else self.limit // (2 * self.sources)
        return max(1, min(share, quotas.MAX_RECEIVE_MESSAGES))

    @property
    def _gather(self) -> float:
        return min(GATHER_AT_MOST, self.limit * GATHER_PER_SLOT)

    def _have_gathered(self, now: float) -> bool:
        if self._few_since is None:
            self._few_since = now
        return now >= self._few_since + self._gather
