"""What is still to be sent in the background: in order, within a bound, ten to a request.

Pure: the time is handed in, and what is due is handed out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.publishing.parcel import Parcel

#: Messages kept at most, and bytes of them: half an hour of a worker's heartbeats.
MAX_PARCELS: Final = 1000
MAX_BYTES: Final = 16 * quotas.MAX_TOPIC_MESSAGE_BYTES


class Backlog:
    """Parcels in the order they were taken. Not thread-safe: its owner holds the lock, and tells the time.

    Args:
        delay: longest time in seconds that a parcel waits for others.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._waiting: deque[tuple[float, Parcel]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Count the parcels that wait."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether there is room for no more."""
        return len(self._waiting) >= MAX_PARCELS or self._bytes >= MAX_BYTES

    def add(self, parcel: Parcel, *, now: float) -> bool:
        """Take a parcel in, behind all others; True where that changes when a request is due."""
        self._waiting.append((now, parcel))
        self._bytes += parcel.size
        return len(self._waiting) == 1 or self._fills_a_request

    @property
    def _fills_a_request(self) -> bool:
        return len(self._waiting) >= quotas.MAX_BATCH_ENTRIES or self._bytes >= quotas.MAX_TOPIC_MESSAGE_BYTES

    def make_room(self) -> list[Parcel]:
        """Hand out the oldest, to be dropped, until it is full no more."""
        dropped: list[Parcel] = []
        while self.full:
            dropped.append(self._pop())
        return dropped

    def drain(self) -> list[Parcel]:
        """Hand out all there is."""
        return [self._pop() for _ in range(len(self._waiting))]

    def _pop(self) -> Parcel:
        parcel = self._waiting.popleft()[1]
        self._bytes -= parcel.size
        return parcel

    def next_due(self) -> float | None:
        """When the next request is due, on the clock that :meth:`add` was given; None with nothing waiting."""
        if not self._waiting:
            return None
        if self._fills_a_request:
            return float("-inf")
        return self._waiting[0][0] + self._delay

    def take_batch(self) -> list[Parcel]:
        """Hand out the oldest, as many as go to one place in one request; they are the caller's from then on."""
        batch: list[Parcel] = []
        size = 0
        while self._waiting and len(batch) < quotas.MAX_BATCH_ENTRIES:
            parcel = self._waiting[0][1]
            place = parcel.destination
            if batch and (place != batch[0].destination or size + parcel.size > place.max_bytes):
                break
            batch.append(self._pop())
            size += parcel.size
        return batch

    def put_back(self, parcels: Iterable[Parcel]) -> None:
        """Take back what could not be sent, in its order and before all others; it has waited long enough."""
        for parcel in reversed(list(parcels)):
            self._waiting.appendleft((float("-inf"), parcel))
            self._bytes += parcel.size
