"""Who is fed: consumers, and the lane that joins those of one channel on one queue to the poller that feeds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.qos import QoS
from kombu_sns_sqs.receiving.poller import Poller

#: Without an event loop a connection may be closed at any moment, and a poll that is open then still takes messages.
#: So polls begin short and grow while nothing comes.
FIRST_WAIT: Final = 1


@dataclass(slots=True, eq=False)
class Consumer:
    """One ``basic.consume``."""

    tag: str
    queue: str
    no_ack: bool
    qos: QoS
    #: Makes a message of a delivery and calls the application's callback with it.
    hand_over: Callable[[Delivery, Consumer], None]


@dataclass(slots=True, eq=False)
class Lane:
    """The consumers that one channel has on one queue, and the poller that feeds them."""

    poller: Poller
    qos: QoS
    consumers: list[Consumer] = field(default_factory=list)
    wait: int = FIRST_WAIT

    @property
    def blocked(self) -> bool:
        """Whether no consumer may be given a message now."""
        return not any(consumer.no_ack or consumer.qos.can_consume() for consumer in self.consumers)

    def next_consumer(self) -> Consumer | None:
        """Give the consumer whose turn it is, None where no window is open."""
        for position, consumer in enumerate(self.consumers):
            if consumer.no_ack or consumer.qos.can_consume():
                self.consumers.append(self.consumers.pop(position))
                return consumer
        return None
