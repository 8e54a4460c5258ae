"""Queues that are declared and not made yet, since a binding decides what they are made as."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from kombu_sns_sqs.errors import ConnectionFailed
from kombu_sns_sqs.topology.entities import QueueDeclaration

#: Seconds after a declaration in which its binding follows, if one does: kombu binds right after it declares.
_DECIDED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    declaration: QueueDeclaration
    since: float
    thread: int = field(default_factory=threading.get_ident)


class Undecided:
    """What one process has declared so. Safe for threads.

    Who declares binds in the same thread. So whoever is about to use queues has all made that his own thread has
    declared, and lets the others have their moment to bind theirs: made too soon, they would be found by a name that a
    later process comes upon.

    Args:
        clock: the monotonic clock.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._in_the_making: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._waiting or self._in_the_making)

    def __contains__(self, name: object) -> bool:
        """Whether a queue is declared and not yet made, or being made."""
        return name in self._waiting or name in self._in_the_making

    def add(self, declaration: QueueDeclaration) -> None:
        """Note a declaration."""
        with self._changed:
            self._waiting[declaration.name] = _Waiting(declaration, self._clock())

    def drop(self, names: set[str]) -> None:
        """Make nothing of what was declared and never used."""
        with self._changed:
            for name in names:
                self._waiting.pop(name, None)
            self._changed.notify_all()

    def names(self) -> list[str]:
        """Name all there are, and give those of other threads the time to be bound."""
        mine = threading.get_ident()
        with self._changed:
            for name, waiting in list(self._waiting.items()):
                left = waiting.since + _DECIDED_SECONDS - self._clock()
                if waiting.thread != mine and left > 0:
                    self._changed.wait_for(lambda name=name: name not in self._waiting, left)  # type: ignore[misc]
            return [*self._waiting, *self._in_the_making]

    @contextmanager
    def take(self, name: str) -> Iterator[QueueDeclaration | None]:
        """Give a declaration to who makes the queue now; None where there is none, or another has just made it.

        Where the making fails in passing, the next who needs the queue tries again.
        """
        with self._changed:
            self._changed.wait_for(lambda: name not in self._in_the_making)
            waiting = self._waiting.pop(name, None)
            if waiting is not None:
                self._in_the_making.add(name)
        if waiting is None:
            yield None
            return
        try:
            yield waiting.declaration
        except ConnectionFailed:
            with self._changed:
                self._waiting[name] = waiting
            raise
        finally:
            with self._changed:
                self._in_the_making.discard(name)
                self._changed.notify_all()
