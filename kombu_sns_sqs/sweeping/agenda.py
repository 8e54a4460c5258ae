"""Which queue's tags are read next: what is due first comes first, so that however much there is, all get their turn.

Pure; the time is the caller's.
"""

from __future__ import annotations

import heapq
import itertools
import math


class Agenda:
    """Names of queues, each at most once.

    Args:
        patience: seconds after which what can wait is due as well.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._order = itertools.count()
        #: What can wait, and since when; the first has waited for longest.
        self._waiting: dict[str, float] = {}

    def plan(self, name: str, at: float) -> None:
        """Have a queue read at a time, and not when it was to be before."""
        self._at[name] = at
        heapq.heappush(self._heap, (at, next(self._order), name))

    def can_wait(self, name: str, now: float) -> None:
        """Have a queue read when there is nothing else to do, or in its turn."""
        self._waiting[name] = now

    def drop(self, name: str) -> None:
        """Have it not read."""
        self._at.pop(name, None)
        self._waiting.pop(name, None)

    def take(self, now: float) -> str | None:
        """Give the next that is to be read by now; None: there is none."""
        due = self._next_due()
        waiting = next(iter(self._waiting), None)
        if waiting is not None and (due > now or self._waiting[waiting] + self._patience <= due):
            del self._waiting[waiting]
            return waiting
        if due > now:
            return None
        _, _, name = heapq.heappop(self._heap)
        del self._at[name]
        return name

    def _next_due(self) -> float:
        """Say when the first is due, past what was planned anew or dropped."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf
