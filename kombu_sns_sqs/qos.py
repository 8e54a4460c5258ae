"""Quality of service of a channel: its prefetch window, and the messages in the application's hands."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from kombu_sns_sqs.errors import NotEquivalent
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving.window import Window


class QoS:
    """Hands out delivery tags and takes them back. Acks may come from any thread.

    Args:
        window: what the receiver goes by.
        on_free: told when a slot of the window has come free, and there is something to do about it.
    """

    def __init__(self, *, window: Window, on_free: Callable[[], None]) -> None:
        self.window = window
        self._on_free = on_free
        self._tags = itertools.count(1)
        self._lock = threading.Lock()
        self._unsettled: dict[int, Delivery] = {}

    @property
    def prefetch_count(self) -> int:
        """How many unsettled messages the application may have; 0: as many as the option prefetch_limit says."""
        return self.window.prefetch_count

    @prefetch_count.setter
    def prefetch_count(self, count: int) -> None:
        self.window.prefetch_count = count or 0
        self._on_free()

    def fetch_on_demand(self, free: Callable[[], int]) -> None:
        """Fetch no more messages than there is a place for, whatever the prefetch count allows.

        ``free``: how many more the application has a place for, not counting what it has been handed; asked in any
        thread. While it says 0 nothing is asked of the service, and what arrives then is given back at once.
        """
        self.window.demand = free
        self._on_free()

    def can_consume(self) -> bool:
        """Whether one more message may be handed over; a condition may be put over this one, as Celery does."""
        return self.window.open

    @property
    def held_back(self) -> bool:
        """Whether the window has room and something else is in the way, of whose end nobody tells."""
        return not self.window.full and not self.can_consume()

    def next_tag(self) -> int:
        """Give a delivery tag."""
        return next(self._tags)

    def append(self, delivery: Delivery, tag: int) -> None:
        """Note that a message is in the application's hands."""
        with self._lock:
            self._unsettled[tag] = delivery
            self.window.in_hand = len(self._unsettled)

    def take(self, tag: int, *, multiple: bool = False) -> list[Delivery]:
        """Take back one tag, or all up to it (0: all there are).

        Raises:
            NotEquivalent: the tag is unknown, or was settled before (406).
        """
        with self._lock:
            if multiple:
                tags = [one for one in self._unsettled if tag == 0 or one <= tag]
            elif tag in self._unsettled:
                tags = [tag]
            else:
                raise NotEquivalent(f"PRECONDITION_FAILED - unknown delivery tag {tag}")
            taken = [self._unsettled.pop(one) for one in tags]
            self.window.in_hand = len(self._unsettled)
        if not self.window.settled_quietly:
            self._on_free()
        return taken

    @property
    def unsettled(self) -> list[tuple[int, Delivery]]:
        """The messages in the application's hands, by their tags."""
        with self._lock:
            return list(self._unsettled.items())

    def __len__(self) -> int:
        """Count the messages in the application's hands."""
        return len(self._unsettled)
