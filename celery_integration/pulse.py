"""Whether a worker is alive, judged by a row of looks at it. Pure.

Silence is counted in looks and not by a clock: after a process stood still, or its machine was suspended, the first
look finds it as it was before, and that is no sign of illness.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kombu_sns_sqs import Health

__all__ = ("LOOKS", "Look", "Pulse")

#: How often to look, at least, before silence is taken for illness.
LOOKS: Final = 4
#: Seconds by which the thread that renews leases may be late on a machine that has too much to do.
_LATE: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen of a worker at a moment.

    Args:
        loop_turned: whether its main loop has turned since the last look.
        in_task: whether a task runs in the thread of the main loop, as in the solo pool: it cannot turn meanwhile.
        consuming: whether it is to consume: it does not before it has a broker, and no more when it stops.
        stopping: whether it stops.
        health: that of its connection.
    """

    loop_turned: bool
    in_task: bool = False
    consuming: bool = True
    stopping: bool = False
    health: Health = field(default_factory=Health)


class Pulse:
    """What is known from all looks so far.

    Args:
        patience: looks in a row without a sign of life after which something is taken to be ill.
    """

    def __init__(self, patience: int = LOOKS) -> None:
        self._patience = patience
        self._silent: dict[str, int] = {}
        self._answered_at: dict[str, float | None] = {}
        #: What is wrong; empty: nothing is.
        self.complaints: tuple[str, ...] = ()
        #: Whether the worker consumes, as far as is known.
        self.ready = False

    def take(self, look: Look) -> None:
        """Take in one more look."""
        signs = dict(self._signs(look))
        self._silent = {what: 0 if alive else self._silent.get(what, 0) + 1 for what, alive in signs.items()}
        self._answered_at = {one.queue: one.answered_at for one in look.health.queues}
        # A late thread has been silent for long already; the second look is for a machine that has just been resumed.
        limits = dict.fromkeys(signs, self._patience) | {_LEASES: 2}
        self.complaints = tuple(what for what, silent in self._silent.items() if silent >= limits[what])
        self.ready = look.consuming and look.health.connected and not (look.stopping or self.complaints)

    def _signs(self, look: Look) -> Iterator[tuple[str, bool]]:
        """Say of everything that should give a sign of life whether it has."""
        yield _LEASES, look.health.renewals_late < _LATE
        if look.stopping:
            return
        yield "the worker has no connection to its broker", look.consuming and look.health.connected
        if not look.consuming:
            return
        yield "the main loop stands still", look.loop_turned or look.in_task
        for one in look.health.queues:
            answered = one.answered_at is not None and one.answered_at != self._answered_at.get(one.queue, -math.inf)
            yield f"queue {one.queue!r} is not answered", answered or one.full or look.in_task


_LEASES: Final = "the thread that renews leases stands still"
