"""Who is fed: consumers, and the lane that joins those of one channel on one queue to the poller that feeds them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.qos import QoS
from kombu_sns_sqs.receiving.poller import Poller

#: Seconds between two looks at a condition of whose end nobody tells: whether there is a free place for a message.
_LOOK_AGAIN: Final = 0.1

#: What names a lane: its channel, its queue, and whether it is bound by the prefetch count.
Key = tuple[int, str, bool]


@dataclass(slots=True, eq=False)
class Consumer:
    """One ``basic.consume``."""

    tag: str
    queue: str
    no_ack: bool
    qos: QoS
    #: Makes a message of a delivery and calls the application's callback with it.
    hand_over: Callable[[Delivery, Consumer], None]

    @property
    def lane(self) -> Key:
        """What names its lane."""
        return id(self.qos), self.queue, self.no_ack


@dataclass(slots=True, eq=False)
class Lane:
    """The consumers that one channel has on one queue, and the poller that feeds them."""

    poller: Poller
    qos: QoS
    consumers: list[Consumer] = field(default_factory=list)

    @property
    def blocked(self) -> bool:
        """Whether no consumer may be given a message now."""
        # No generator: this is asked for each lane at each turn, and there may be a hundred.
        for consumer in self.consumers:  # noqa: SIM110
            if consumer.no_ack or consumer.qos.can_consume():
                return False
        return True

    @property
    def held_back(self) -> bool:
        """Whether it is blocked, and not by a full window, which an ack would open."""
        return self.blocked and any(consumer.qos.held_back for consumer in self.consumers)

    def overflows_until(self, patience: float) -> float | None:
        """Until when to keep what has come over the window and finds no free slot; None: nothing has.

        For ``patience`` seconds, but on demand for none: an application that takes long should keep nobody waiting.
        """
        if not self.poller.ready or not self.poller.window.overfull or not self.blocked:
            return None
        return self.poller.ready_since + (patience if self.poller.window.demand is None else 0.0)

    def give_back_overflow(self, now: float, patience: float) -> None:
        """Give back what has come over the window and has been kept long enough."""
        until = self.overflows_until(patience)
        if until is not None and until <= now:
            self.poller.give_back()

    def next_consumer(self) -> Consumer | None:
        """Give the consumer whose turn it is, None where no window is open."""
        for position, consumer in enumerate(self.consumers):
            if consumer.no_ack or consumer.qos.can_consume():
                self.consumers.append(self.consumers.pop(position))
                return consumer
        return None


def poll_all(lanes: dict[Key, Lane], now: float, wait: int | None, *, patience: float) -> float | None:
    """Start polls; say when something has to be done although nothing has happened, on the monotonic clock.

    ``wait``: see :meth:`Poller.poll`; ``patience``: seconds for which what has come over the window is kept.
    """
    due: list[float | None] = []
    # Those first that have had nothing for longest: slots are given out in turns.
    for key, lane in list(lanes.items()):
        if lane.poller.ready:
            lane.give_back_overflow(now, patience)
            due.append(lane.overflows_until(patience))
        if not lane.consumers:
            # Kept while a poll is open, which the next consumer of the queue may be glad of.
            if not lane.poller.in_flight:
                del lanes[key]
        elif not lane.blocked:
            lane.poller.poll(now, wait)
            due.append(lane.poller.next_try)
        elif lane.held_back:
            due.append(now + _LOOK_AGAIN)
    return min((math.nextafter(moment, math.inf) for moment in due if moment is not None), default=None)


def deliver_one(lanes: dict[Key, Lane], now: float) -> bool:
    """Hand over one message; the queue it came from is asked last the next time."""
    return any(_deliver_from(lanes, key, lane, now) for key, lane in _with_messages(lanes))


def deliver_all(lanes: dict[Key, Lane], now: float) -> None:
    """Hand over what there is and windows allow, a message of each queue in turn."""
    delivered = True
    while delivered:  # A callback may have made room for what was passed over.
        delivered = False
        ready = _with_messages(lanes)
        while ready:
            ready = [(key, lane) for key, lane in ready if _deliver_from(lanes, key, lane, now)]
            delivered = delivered or bool(ready)


def _with_messages(lanes: dict[Key, Lane]) -> list[tuple[Key, Lane]]:
    return [(key, lane) for key, lane in lanes.items() if lane.poller.ready]


def _deliver_from(lanes: dict[Key, Lane], key: Key, lane: Lane, now: float) -> bool:
    consumer = lane.next_consumer()
    delivery = lane.poller.take(now) if consumer is not None else None
    if consumer is None or delivery is None:
        return False
    if lanes.get(key) is lane:
        del lanes[key]
        lanes[key] = lane
    consumer.hand_over(delivery, consumer)
    return True
