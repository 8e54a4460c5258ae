"""The temporary queues of one process: what it declared and bound, where that is on AWS, and who uses it."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from kombu_sns_sqs.topology.entities import Lifetime, Queue, QueueDeclaration

#: Exchange and routing key.
Bound: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class Temporary:
    """One of them, with all it takes to make it again.

    Args:
        bindings: as this process has made them, the oldest first; the values are nothing.
        leaving: whether it is about to be deleted, so that nobody should miss it.
    """

    queue: Queue
    declaration: QueueDeclaration
    bindings: dict[Bound, None] = field(default_factory=dict)
    leaving: bool = False


class Temporaries:
    """Queues that end before the process does, or with it. Safe for threads.

    A connection claims a queue when it declares it before any other does, and when it consumes from it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Temporary] = {}
        self._claims: defaultdict[str, weakref.WeakSet[object]] = defaultdict(weakref.WeakSet)
        #: Told when there is one.
        self.on_added: Callable[[], None] = lambda: None

    def __contains__(self, name: object) -> bool:
        """Whether a queue of that name in AMQP is one of them, and not for a moment only."""
        known = self._known.get(name)  # type: ignore[call-overload]
        return known is not None and not known.leaving

    def add(self, queue: Queue, declaration: QueueDeclaration) -> None:
        """Note one that was made, for the first time or again: then it keeps its bindings."""
        with self._lock:
            known = self._known.get(queue.name)
            bindings = {} if known is None or known.leaving else known.bindings
            self._known[queue.name] = Temporary(queue, declaration, bindings)
        self.on_added()

    def bound(self, name: str, exchange: str, routing_key: str) -> None:
        """Note a binding of one of them."""
        with self._lock:
            if (known := self._known.get(name)) is not None:
                known.bindings[exchange, routing_key] = None

    def unbound(self, exchange: str, *, name: str | None = None, routing_key: str | None = None) -> None:
        """Note that bindings are gone: all to an exchange, or those of one queue, or with one key."""
        with self._lock:
            for known in self._known.values() if name is None else filter(None, [self._known.get(name)]):
                for bound in list(known.bindings):
                    if bound[0] == exchange and routing_key in (None, bound[1]):
                        del known.bindings[bound]

    def leave(self, queue: Queue) -> None:
        """Note that one is about to be deleted: nobody should miss it."""
        with self._lock:
            if (known := self._same(queue)) is not None:
                known.leaving = True

    def discard(self, queue: Queue) -> None:
        """Forget one that is gone."""
        with self._lock:
            if self._same(queue) is not None:
                del self._known[queue.name]

    def _same(self, queue: Queue) -> Temporary | None:
        """Find what is known of a queue, if it is not another by now, made under the same name."""
        known = self._known.get(queue.name)
        return known if known is not None and known.queue.url == queue.url else None

    def get(self, name: str) -> tuple[Queue, QueueDeclaration, list[Bound]] | None:
        """Give a queue, how it was declared, and its bindings; None where it is not one of them, or not for long."""
        with self._lock:
            known = self._known.get(name)
            return None if known is None or known.leaving else (known.queue, known.declaration, list(known.bindings))

    @property
    def queues(self) -> list[Queue]:
        """All of them, the oldest first."""
        with self._lock:
            return [known.queue for known in self._known.values()]

    # -- who uses them ---------------------------------------------------------------------------------------

    def claim(self, name: str, by: object, *, unless_claimed: bool = False) -> None:
        """Note that a connection uses a queue, also one that is not made yet."""
        with self._lock:
            if not unless_claimed or not self._claims[name]:
                self._claims[name].add(by)

    def let_go(self, by: object) -> set[str]:
        """Note that a connection uses nothing any more; give the names of what nobody uses now."""
        with self._lock:
            claimed = {name for name, users in self._claims.items() if by in users}
            for name in claimed:
                self._claims[name].discard(by)
            return self._unclaimed(claimed)

    def to_end(self, names: set[str]) -> list[Queue]:
        """Give the queues that end with their connections, of those that none uses; nobody should miss them then."""
        with self._lock:
            ending = [self._known[name] for name in self._unclaimed(names) if name in self._known]
            ending = [known for known in ending if known.queue.lifetime is Lifetime.PRIVATE]
            for known in ending:
                known.leaving = True
            return [known.queue for known in ending]

    def _unclaimed(self, names: set[str]) -> set[str]:
        free = {name for name in names if not self._claims.get(name)}
        for name in free:
            self._claims.pop(name, None)
        return free
