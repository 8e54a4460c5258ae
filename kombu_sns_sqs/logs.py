"""What a log line says to machines: the fields beside its text, under names that collide with nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, Final

from kombu_sns_sqs.errors import Failure

__all__ = ("PREFIX", "Seldom", "fields", "log_fields")

#: Every field begins so: a ``LogRecord`` has names of its own, and refuses extra ones that are the same.
PREFIX: Final = "sns_sqs_"
#: Seconds in which one line speaks for all of its kind.
_ONE_LINE_SECONDS: Final = 60.0
#: Kinds that are remembered; more than that are queues by the thousand.
_KINDS: Final = 1000


def fields(event: str, *, cause: object = None, **values: Any) -> dict[str, Any]:
    """Give the fields of a log line, for the argument ``extra``.

    Args:
        event: what has happened, in a word; docs/monitoring.md lists them.
        cause: a failure or an exception: it becomes ``error``, and of a failure also ``action`` and ``status``.
        values: the rest, by their names without the prefix.
    """
    told = {"event": event, **values}
    if isinstance(cause, Failure):
        told.update(error=cause.code, action=cause.action, status=cause.status)
    elif isinstance(cause, BaseException):
        told.update(error=type(cause).__name__)
    return {f"{PREFIX}{name}": value for name, value in told.items()}


#: The same, under a name that says what it is of where the module's name does not.
log_fields: Final = fields


class Seldom:
    """Lets one line of a kind through in a minute, and counts those that it holds back."""

    def __init__(self, seconds: float = _ONE_LINE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def count(self, kind: Hashable) -> int:
        """Give how many there were since the last line of that kind, this one included; 0: say nothing now."""
        # Without a lock, which a forked child might find taken: two threads at once cost a line too many at worst.
        now = self._clock()
        until, held_back = self._kinds.pop(kind, (now, 0))
        if now < until:
            self._kinds[kind] = until, held_back + 1
            return 0
        if len(self._kinds) >= _KINDS:
            self._kinds.clear()
        self._kinds[kind] = now + self._seconds, 0
        return held_back + 1
