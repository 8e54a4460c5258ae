"""What this process knows of a queue's bindings, and from when: the exact AMQP match on receipt.

A filter policy is an optimisation that acts late, so what arrives may not belong. It is dropped only on knowledge
newer than the message: a binding made by another process after we last looked could be the one it came by.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from enum import Enum

from kombu_sns_sqs import quotas
from kombu_sns_sqs.topology.levels import Share
from kombu_sns_sqs.topology.patterns import exchange_matches


class Match(Enum):
    """Whether a message belongs into a queue."""

    YES = "yes"
    NO = "no"
    #: The bindings have to be read again to tell.
    UNSURE = "unsure"


class KnownBindings:
    """The bindings of one queue. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, set[str | None]] = {}
        self._types: dict[str, str] = {}
        self._levels: dict[str, int] = {}
        self._as_of = float("-inf")
        self._read_at = float("-inf")
        #: Of a queue for replies: the key of the call that is under way; None: all are.
        self.answers_to: str | None = None

    def add(self, exchange: str, exchange_type: str, routing_key: str | None, *, levels: int = 1) -> None:
        """Note a binding that was made, or found; a key of None takes everything.

        ``levels``: how many priority levels of the queue are subscribed to the exchange, the lowest first.
        """
        with self._lock:
            self._levels[exchange] = levels
            self._types[exchange] = exchange_type
            self._keys.setdefault(exchange, set()).add(routing_key)

    def remove(self, exchange: str, routing_key: str) -> None:
        """Note that a binding is gone."""
        with self._lock:
            self._keys.get(exchange, set()).discard(routing_key)

    def forget(self, exchange: str) -> None:
        """Note that an exchange is gone, and all bindings to it."""
        with self._lock:
            self._keys.pop(exchange, None)

    def replace(
        self,
        bindings: Iterable[tuple[str, str, str | None]],
        *,
        as_of: float,
        read_at: float,
        levels: Mapping[str, int] | None = None,
    ) -> None:
        """Take over what was read: (exchange, type, key), all there was then.

        ``levels``: as in :meth:`add`, of the exchanges where it is more than one. ``as_of``: when that was, at the
        earliest, in AWS's time; ``read_at``: when the request began, on our monotonic clock.
        """
        with self._lock:
            self._keys.clear()
            self._levels = dict(levels or {})
            for exchange, exchange_type, routing_key in bindings:
                self._types[exchange] = exchange_type
                self._keys.setdefault(exchange, set()).add(routing_key)
            self._as_of, self._read_at = as_of, read_at

    def has(self, exchange: str, routing_key: str) -> bool:
        """Whether this very binding is known."""
        return routing_key in self._keys.get(exchange, ())

    @property
    def all(self) -> list[tuple[str, str]]:
        """List (exchange, key) of all bindings whose keys are known."""
        with self._lock:
            return [(exchange, key) for exchange, keys in self._keys.items() for key in keys if key is not None]

    def bound_keys(self, exchange: str) -> list[tuple[str, str | None]]:
        """List (type, key) of the bindings to an exchange."""
        with self._lock:
            exchange_type = self._types.get(exchange, "")
            return [(exchange_type, key) for key in self._keys.get(exchange, ())]

    def match(
        self,
        exchange: str,
        routing_key: str,
        *,
        sent_at: float,
        received_at: float,
        level: int = 0,
        priority: int = 0,
    ) -> Match:
        """Say whether a message that came through a topic belongs here.

        ``sent_at``: when SQS took it, in AWS's time; ``received_at``: when it came here, on our monotonic clock. Either
        can show that what is known is newer than the message. ``level``: the priority level it came to; ``priority``:
        the one the filters of the levels see.
        """
        with self._lock:
            keys = self._keys.get(exchange, ())
            exchange_type = self._types.get(exchange, "")
            for key in keys:
                if key is None or exchange_matches(exchange_type, key, routing_key):  # type: ignore[arg-type]
                    return self._match_level(exchange, level, priority, sent_at=sent_at, received_at=received_at)
            return Match.NO if self._known_at(sent_at, received_at) else Match.UNSURE

    def _match_level(self, exchange: str, level: int, priority: int, *, sent_at: float, received_at: float) -> Match:
        """Say whether a message belongs to the level it came to: another copy of it has come to the one it belongs to.

        Dropped on knowledge that need not be quite as new: how many levels are subscribed changes only when the queue
        is made anew, and its name rests for a minute before.
        """
        levels = self._levels.get(exchange, 1)
        if Share(level=level, levels=levels).takes(priority):
            return Match.YES
        rest = quotas.QUEUE_NAME_REST_SECONDS
        if not self._known_at(sent_at - rest, received_at - rest):
            return Match.UNSURE
        return Match.YES if level >= levels else Match.NO

    def _known_at(self, sent_at: float, received_at: float) -> bool:
        """Whether what is known was read after that moment, in AWS's time or in ours."""
        return self._as_of >= sent_at or self._read_at >= received_at
