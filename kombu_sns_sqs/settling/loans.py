"""Batches that an event loop sends for the settling thread, and for how long its answers are waited for. Pure.

A loop may stand still from one moment to the next, for as long as a task inside it takes. What it has not had answered
in time the thread sends itself: to delete twice is to delete once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs.settling.outbox import Batch

#: For how long a loop's answer is waited for: so many seconds at first, and at most that part of a lease; a lease that
#: ends sooner has that part left.
_PATIENCE: Final = 2.0
_PATIENT_PART: Final = 0.125


@dataclass(frozen=True, slots=True, eq=False)
class Loan:
    """A batch that a loop sends.

    Args:
        until: when it is sent again, on the clock of its owner.
    """

    batch: Batch
    until: float


class Loans:
    """Not thread-safe: its owner holds the lock, and tells the time.

    Args:
        lease_seconds: the leases of the messages, which are renewed no more.
    """

    def __init__(self, *, lease_seconds: int) -> None:
        self._longest = lease_seconds * _PATIENT_PART
        self._patience = min(_PATIENCE, self._longest)
        self._out: set[Loan] = set()

    def lend(self, batch: Batch, now: float) -> Loan:
        """Give a batch away to be sent."""
        ends = [entry.lease.ends_at for entry in batch[1] if entry.lease is not None]
        loan = Loan(batch, min([now + self._patience, *(end - self._longest for end in ends)]))
        self._out.add(loan)
        return loan

    def returned(self, loan: Loan) -> bool:
        """Take in that there is an answer; False where it is not waited for any more."""
        if loan in self._out:
            self._out.remove(loan)
            return True
        # Late, because the service is slow, or the loop: what is slow must not be asked everything twice.
        self._patience = min(2 * self._patience, self._longest)
        return False

    def take_back(self, now: float, *, everything: bool = False) -> list[Batch]:
        """Hand out what is to be sent again; with ``everything`` all that is out."""
        late = [loan for loan in self._out if everything or loan.until <= now]
        self._out.difference_update(late)
        return [loan.batch for loan in late]

    def next_due(self) -> float | None:
        """When one is to be sent again; None with none out."""
        return min((loan.until for loan in self._out), default=None)
