"""How old an answer is when it is read: a task of the solo pool, or a suspended machine, may lie in between. Pure.

AWS stamps its answers, in its own time. An answer that is read at once shows what that time is on our clock; from then
on the stamp of any other shows how long it has been lying there.
"""

from __future__ import annotations

from typing import Final

from kombu_sns_sqs import quotas

#: How far two clocks may drift apart, in seconds per second, before the comparison is taken to be off.
_DRIFT: Final = 0.001
#: A poll is answered in so many seconds. Until one was read in that time nothing is known of AWS's.
_LONGEST: Final = quotas.MAX_WAIT_SECONDS + 5


class AnswerAge:
    """Reckons when SQS gave out what an answer brings. Not thread-safe."""

    def __init__(self) -> None:
        #: AWS's time less ours, as the freshest answer showed it; and when that was.
        self._offset: float | None = None
        self._since = 0.0

    def given_out_at(self, date: float | None, *, asked_at: float, now: float) -> float:
        """Say when an answer was made, on the clock of ``asked_at`` and ``now``; ``now`` where that is not known.

        That is up to a second too early, as AWS stamps whole seconds: a lease must not be taken to last for longer than
        it does. Never before it was asked for, whatever the stamps say: a wall clock that is set back misleads nobody.
        """
        if date is None:
            return now
        if self._offset is None and now > asked_at + _LONGEST:
            return asked_at + _LONGEST
        shown = date - now
        known = shown if self._offset is None else self._offset - (now - self._since) * _DRIFT
        self._offset, self._since = max(shown, known), now
        return max(asked_at, now - (self._offset - shown))
