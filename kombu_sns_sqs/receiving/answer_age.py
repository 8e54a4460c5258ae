"""How old an answer is when it is read: a task of the solo pool, or a suspended machine, may lie in between. Pure.

AWS stamps its answers, in its own time and in whole seconds. Each was made between its request and its reading, so each
tells between which bounds AWS's clock is ahead of ours; what all of them leave open tells when any of them was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs import quotas

#: How far two clocks may drift apart, in seconds per second: by so much what is known grows old.
_DRIFT: Final = 0.001
#: A stamp is up to so many seconds older than the answer: what is less than a second is cut off.
_CUT: Final = 1.0
#: A poll is answered in so many seconds; one that was read later has been lying there.
_LONGEST: Final = quotas.MAX_WAIT_SECONDS + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What is known of a poll before it is answered.

    Args:
        asked_at: when its request was made, on the clock of leases.
        wait_seconds: for how long SQS waits for a message before it answers that there is none.
        lease_seconds: the visibility timeout asked for.
    """

    asked_at: float
    wait_seconds: float
    lease_seconds: float


class AnswerAge:
    """Reckons when SQS gave out what an answer brings. Not thread-safe."""

    def __init__(self) -> None:
        #: AWS's time less ours, at least and less than; and when that was known.
        self._least: float | None = None
        self._most = 0.0
        self._since = 0.0

    def given_out_at(self, poll: Poll, date: float | None, *, empty: bool, now: float) -> float:
        """Say when the answer to a poll was made, at the earliest, on the clock of ``now``.

        Never later than it was: a lease must not be taken to last for longer than it does. Earlier by two seconds at
        most, one for its own stamp and one for those it is compared with, and what the fastest of these were under way;
        where none was fast, not before the poll. But what may have been made just now is never taken to be older than
        half a lease. ``empty``: it brings nothing.
        """
        made_after = poll.asked_at
        if empty and made_after + poll.wait_seconds <= now:  # Else it is not as AWS answers.
            made_after += poll.wait_seconds
        earliest, latest = made_after, now
        if date is not None:
            least, most = self._learn(date - now, date + _CUT - made_after, now)
            earliest, latest = min(now, max(made_after, date - most)), date + _CUT - least
        if now <= min(latest, poll.asked_at + _LONGEST):
            return max(earliest, now - poll.lease_seconds / 2)
        return earliest

    def _learn(self, least: float, most: float, now: float) -> tuple[float, float]:
        """Take in what an answer tells of AWS's time less ours; say what is known of it."""
        if self._least is not None:
            drift = (now - self._since) * _DRIFT
            known_least, known_most = self._least - drift, self._most + drift
            # Where both cannot be, a clock was set: what was known before is worth nothing.
            if least <= known_most and known_least <= most:
                least, most = max(least, known_least), min(most, known_most)
        self._least, self._most, self._since = least, most, now
        return least, most
