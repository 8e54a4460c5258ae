"""What an event loop sends, and when somebody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.settling.holdings import Lease
from kombu_sns_sqs.settling.loans import Loans
from kombu_sns_sqs.settling.outbox import Entry, Verb
from tests.unit.scripted_client import delivery

if TYPE_CHECKING:
    from kombu_sns_sqs.settling.outbox import Batch


def batch(number: int = 1) -> Batch:
    """One message to delete."""
    one = delivery(number)
    return (Verb.DELETE, one.queue_url), [Entry(one, one.queue_url, one.receipt_handle)]


@pytest.mark.parametrize(("lease_seconds", "patience"), [(60, 2.0), (8, 1.0)])
def test_what_is_not_answered_is_sent_again_in_two_seconds_or_an_eighth_of_a_lease(
    lease_seconds: int, patience: float
) -> None:
    """Nobody renews these leases any more."""
    loans, lent = Loans(lease_seconds=lease_seconds), batch()
    loan = loans.lend(lent, 100.0)
    assert loans.next_due() == 100.0 + patience
    assert loans.take_back(100.0 + patience - 0.01) == []
    assert loans.take_back(100.0 + patience) == [lent]
    assert loans.next_due() is None
    assert not loans.returned(loan)


def test_what_was_answered_late_is_waited_for_longer_the_next_time() -> None:
    """A service that is slow is not asked everything twice; never for longer than a lease allows."""
    loans, waits = Loans(lease_seconds=60), []
    for _ in range(4):
        loan = loans.lend(batch(), 100.0)
        waits.append(loan.until - 100.0)
        loans.take_back(loan.until)
        loans.returned(loan)
    assert waits == [2.0, 4.0, 7.5, 7.5]


def test_a_lease_that_ends_soon_is_not_left_to_a_loop() -> None:
    """An eighth of a lease is left for the thread's own request."""
    loans, (target, entries) = Loans(lease_seconds=8), batch()
    entries[0].lease = Lease(delivery(1), "m1", "https://sqs/q", "h1", ends_at=100.5, since=92.5)
    assert loans.lend((target, entries), 100.0).until == 99.5


def test_what_is_answered_is_not_sent_again() -> None:
    """And one answer counts once."""
    loans = Loans(lease_seconds=60)
    first, second = loans.lend(batch(1), 100.0), loans.lend(batch(2), 101.0)
    assert loans.returned(first)
    assert not loans.returned(first)
    assert loans.next_due() == 103.0
    assert loans.take_back(200.0, everything=True) == [second.batch]
