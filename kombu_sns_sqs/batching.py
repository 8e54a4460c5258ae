"""One batcher for everything batched: it knows counts, bytes and ages, and nothing of what the items are.

Pure: the time is handed in, and what is due is handed out; whoever owns the batcher does the sending.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kombu_sns_sqs import quotas

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True)
class _Batch(Generic[T]):
    since: float
    items: list[T] = field(default_factory=list)
    size: int = 0


class Batcher(Generic[K, T]):
    """Gathers items by key until a batch is full, or old enough.

    Args:
        max_age: seconds after which a batch is due although it is not full.
        max_items: items of one batch.
        max_bytes: bytes of one batch, unless :meth:`add` says otherwise; an item larger than that goes alone.
    """

    def __init__(
        self,
        *,
        max_age: float,
        max_items: int = quotas.MAX_BATCH_ENTRIES,
        max_bytes: int = quotas.MAX_MESSAGE_BYTES,
    ) -> None:
        self.max_age = max_age
        self.max_items = max_items
        self.max_bytes = max_bytes
        self._open: dict[K, _Batch[T]] = {}
        self._full: list[tuple[K, list[T]]] = []

    def __len__(self) -> int:
        """Count the items that wait."""
        return sum(len(batch.items) for batch in self._open.values()) + sum(len(items) for _, items in self._full)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._open and not self._full

    def add(self, key: K, item: T, *, now: float, size: int = 0, max_bytes: int | None = None) -> bool:
        """Take an item in; True where that made a batch due. ``max_bytes``: of the batches of this key."""
        full, limit = len(self._full), self.max_bytes if max_bytes is None else max_bytes
        batch = self._open.get(key)
        if batch is not None and batch.size + size > limit:
            self._close(key)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(since=now)
        batch.items.append(item)
        batch.size += size
        if len(batch.items) >= self.max_items or batch.size >= limit:
            self._close(key)
        return len(self._full) > full or self.max_age <= 0

    def full(self) -> list[tuple[K, list[T]]]:
        """Hand out the batches that are full; they are the caller's from then on."""
        ready, self._full = self._full, []
        return ready

    def due(self, now: float) -> list[tuple[K, list[T]]]:
        """Hand out the batches that are full or old enough; they are the caller's from then on."""
        for key in [key for key, batch in self._open.items() if now - batch.since >= self.max_age]:
            self._close(key)
        return self.full()

    def drain(self) -> list[tuple[K, list[T]]]:
        """Hand out everything, however young."""
        for key in list(self._open):
            self._close(key)
        return self.full()

    def next_due(self) -> float | None:
        """When the next batch falls due, on the clock that :meth:`add` was given; None with nothing waiting."""
        if self._full:
            return float("-inf")
        since = [batch.since for batch in self._open.values()]
        return min(since) + self.max_age if since else None

    def _close(self, key: K) -> None:
        self._full.append((key, self._open.pop(key).items))
