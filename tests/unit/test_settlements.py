"""What becomes of leases, with a clock that is told what time it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Content, Delivery
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.losses import Loss, Losses, LostLease
from kombu_sns_sqs.settling.outbox import Verb
from kombu_sns_sqs.settling.settlements import Settlements

if TYPE_CHECKING:
    import pytest

    from kombu_sns_sqs.settling.outbox import Batch

STALE = Failure(kind=Kind.STALE_RECEIPT, code="ReceiptHandleIsInvalid")
CUT = Failure(kind=Kind.UNREACHABLE, code="OperationTimedOut")


def delivery(number: int = 1) -> Delivery:
    """A delivery; ``number`` is the message's id."""
    content = Content(
        body="", content_type=None, content_encoding=None, headers={}, properties={}, publish_id=f"p{number}"
    )
    return Delivery(
        queue="q",
        queue_url="https://sqs/q",
        identity=Identity(),
        receipt_handle=f"h{number}",
        message_id=f"m{number}",
        receive_count=1,
        sent_at=0.0,
        content=content,
    )


def make() -> Settlements:
    """Settlements with leases of a minute."""
    return Settlements(lease_seconds=60, ack_delay=0.05, chance=lambda: 1.0)


def asked(batches: list[Batch]) -> list[tuple[str, str]]:
    """Say what is asked of SQS: verb and receipt handle."""
    return [(target[0].value, entry.receipt_handle) for target, entries in batches for entry in entries]


def refuse(settlements: Settlements, batches: list[Batch], failure: Failure, now: float) -> None:
    """Let SQS carry out nothing."""
    for target, entries in batches:
        for entry in entries:
            settlements.failed(target, entry, failure, now)


def reasons(settlements: Settlements) -> list[Loss]:
    """Take the reasons of the leases lost."""
    return [loss.reason for loss in settlements.take_losses()]


def test_a_refused_renewal_is_a_lost_lease() -> None:
    """It is told once, with all that identifies the message, and not tried again."""
    settlements = make()
    settlements.hold(delivery(), 0)
    refuse(settlements, settlements.due(36), STALE, 36.1)
    (loss,) = settlements.take_losses()
    assert (loss.queue, loss.message_id, loss.publish_id, loss.reason) == ("q", "m1", "p1", Loss.REFUSED)
    assert loss.held_seconds == 36.1
    assert settlements.due(59) == []
    assert reasons(settlements) == []


def test_after_a_suspension_a_renewal_is_tried_all_the_same() -> None:
    """Where SQS carries it out nothing is lost."""
    settlements = make()
    settlements.hold(delivery(), 0)
    ((target, (entry,)),) = settlements.due(4000)
    settlements.done(target, entry)
    assert reasons(settlements) == []
    assert settlements.due(4035) == []
    assert asked(settlements.due(4036)) == [("renew", "h1")]


def test_after_a_suspension_a_renewal_that_is_refused_came_too_late() -> None:
    """It is not SQS that took the lease away."""
    settlements = make()
    settlements.hold(delivery(), 0)
    refuse(settlements, settlements.due(4000), STALE, 4000)
    assert reasons(settlements) == [Loss.LATE]


def test_a_message_settled_after_its_lease_has_ended_may_have_been_run_elsewhere() -> None:
    """The first thing after a suspension may be its ack: that is told, and the deletion is tried."""
    settlements = make()
    settlements.hold(delivery(), 0)
    settlements.ack(delivery(), 61)
    assert asked(settlements.due(61.1)) == [("delete", "h1")]
    assert reasons(settlements) == [Loss.LATE]


def test_a_deletion_that_leaves_too_late_is_told_too() -> None:
    """The process was suspended between the ack and its request."""
    settlements = make()
    settlements.hold(delivery(), 0)
    settlements.ack(delivery(), 20)
    assert reasons(settlements) == []
    settlements.due(90)
    assert reasons(settlements) == [Loss.LATE]


def test_the_ack_of_a_lost_message_deletes_it_if_nobody_has_it() -> None:
    """With an old receipt SQS does nothing; with the last one it saves the second run."""
    settlements = make()
    settlements.hold(delivery(), 0)
    refuse(settlements, settlements.due(36), STALE, 36.1)
    settlements.ack(delivery(), 37)
    assert asked(settlements.due(38)) == [("delete", "h1")]
    assert reasons(settlements) == [Loss.REFUSED]


def test_a_lost_message_is_not_given_back() -> None:
    """It is not ours to give: somebody else may be at work on it."""
    settlements = make()
    settlements.hold(delivery(), 0)
    refuse(settlements, settlements.due(36), STALE, 36.1)
    settlements.release(delivery(), 37)
    assert settlements.due(38) == []
    assert settlements.unsettled == 0


def test_what_is_out_of_reach_for_longer_than_its_lease_is_lost() -> None:
    """Not before: until then each renewal is tried again."""
    settlements = make()
    settlements.hold(delivery(), 0)
    now = 36.0
    while now < 300 and not settlements._losses:
        refuse(settlements, settlements.due(now), CUT, now)
        assert now >= 60 or not settlements._losses
        now += 0.5
    assert reasons(settlements) == [Loss.UNREACHABLE]
    assert settlements.unsettled == 0


def test_a_renewal_is_not_tried_again_when_the_message_was_given_back() -> None:
    """It would hide it from the others for a minute: neither when it fails after that, nor when it failed before."""
    for released_first in (True, False):
        settlements = make()
        settlements.hold(delivery(), 0)
        renewals = settlements.due(36)
        if released_first:
            settlements.release(delivery(), 36.05)
        refuse(settlements, renewals, CUT, 36.1)
        if not released_first:
            settlements.release(delivery(), 36.2)
        assert asked(settlements.due(55)) == [("release", "h1")]
        assert settlements.unsettled == 1


def test_no_renewal_waits_until_its_lease_has_ended() -> None:
    """However often it has failed: there is always half of what is left for another attempt."""
    settlements = make()
    settlements.hold(delivery(), 0)
    attempts, now = 0, 36.0
    while now < 59:
        refuse(settlements, settlements.due(now), CUT, now)
        attempts, now = attempts + 1, settlements.next_due() or 60
    assert attempts > 9
    assert settlements.due(59.9)


def test_a_newer_receipt_is_renewed_by_at_once() -> None:
    """The message came again while renewals by the older receipt failed: those wait for seconds by then."""
    settlements = make()
    settlements.hold(delivery(), 0)
    now = 36.0
    while now < 50:
        batches = settlements.due(now)
        refuse(settlements, batches, CUT, now)
        now = settlements.next_due() or 60
    batches = settlements.due(now)
    assert settlements.hold(delivery()._replace(receipt_handle="newer"), now) is Verdict.HELD
    refuse(settlements, batches, STALE, now)
    assert asked(settlements.due(now)) == [("renew", "newer")]


def test_a_renewal_that_was_slow_counts_from_when_it_was_asked_for() -> None:
    """SQS may have carried it out at once, and only the answer was late."""
    settlements = make()
    settlements.hold(delivery(), 0)
    ((target, (entry,)),) = settlements.due(36)
    settlements.done(target, entry)
    assert settlements.due(71) == []
    assert asked(settlements.due(72)) == [("renew", "h1")]


def test_what_was_given_out_longer_ago_than_a_lease_is_not_delivered() -> None:
    """The event loop stood still: the message is somebody else's now. It is told, and SQS is not."""
    settlements = make()
    assert settlements.hold(delivery(), 100, since=40) is Verdict.LAPSED
    assert reasons(settlements) == [Loss.LATE]
    assert settlements.due(101) == []
    assert len(settlements) == 0


def test_what_was_given_out_some_time_ago_is_renewed_the_sooner() -> None:
    """Its lease began when SQS gave it out."""
    settlements = make()
    assert settlements.hold(delivery(), 100, since=60) is Verdict.NEW
    assert asked(settlements.due(100)) == [(Verb.RENEW.value, "h1")]


def test_a_lost_lease_is_logged_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the hook does with it: the next one is told as well."""
    told: list[LostLease] = []

    def hook(lost: LostLease) -> None:
        told.append(lost)
        raise RuntimeError("a hook's own fault")

    losses = Losses(hook)
    lost = [LostLease.of(delivery(number), Loss.REFUSED, held_seconds=5) for number in range(2)]
    with caplog.at_level(logging.WARNING, "kombu_sns_sqs"):
        losses.report(lost)
    assert told == lost
    assert losses.counts == {"refused": 2, "unreachable": 0, "late": 0, "twelve hours": 0}
    messages = [record.getMessage() for record in caplog.records]
    assert sum("lost the lease of message m" in message for message in messages) == 2
    assert sum("on_lease_lost failed" in message for message in messages) == 2


def test_what_arrives_with_next_to_nothing_of_its_lease_left_is_not_delivered() -> None:
    """Its first renewal could come too late. With a little more it is delivered, and renewed at once."""
    settlements = make()
    assert settlements.hold(delivery(1), 100, since=45.9) is Verdict.LAPSED
    assert reasons(settlements) == [Loss.LATE]
    assert settlements.hold(delivery(2), 100, since=46.1) is Verdict.NEW
    assert asked(settlements.due(100)) == [("renew", "h2")]


def test_a_renewal_refused_before_the_deletion_has_left_is_a_lost_lease() -> None:
    """The task ended while its renewal was on the way: somebody else may have begun it. The deletion waits to know."""
    settlements = make()
    settlements.hold(delivery(), 0)
    renewals = settlements.due(36)
    settlements.ack(delivery(), 36.1)
    assert settlements.due(36.5) == []
    refuse(settlements, renewals, STALE, 36.6)
    assert reasons(settlements) == [Loss.REFUSED]
    assert settlements.due(36.6) == []
    assert asked(settlements.due(36.7)) == [("delete", "h1")]
    assert reasons(settlements) == []


def test_a_deletion_does_not_wait_for_a_renewal_that_is_carried_out_or_has_failed() -> None:
    """Longer than until that is known; and a renewal of what is settled is not tried again."""
    for failure in (None, CUT):
        settlements = make()
        settlements.hold(delivery(), 0)
        ((target, (entry,)),) = settlements.due(36)
        settlements.ack(delivery(), 36.1)
        if failure is None or not settlements.failed(target, entry, failure, 36.2):
            settlements.done(target, entry)
        settlements.due(36.2)
        assert asked(settlements.due(36.3)) == [("delete", "h1")]
        assert reasons(settlements) == []
        assert settlements.unsettled == 1


def test_a_deletion_waits_a_second_at_most_for_the_answer_to_a_renewal() -> None:
    """The connection may hang. A refusal that comes after the deletion has left tells nothing."""
    settlements = make()
    settlements.hold(delivery(), 0)
    renewals = settlements.due(36)
    settlements.ack(delivery(), 36.1)
    assert settlements.due(36.2) == []
    assert settlements.next_due() == 37.1
    settlements.due(37.1)
    assert asked(settlements.due(37.2)) == [("delete", "h1")]
    refuse(settlements, renewals, STALE, 38)
    assert reasons(settlements) == []


def test_what_is_given_back_waits_for_the_answer_to_its_renewal() -> None:
    """SQS might see the renewal last, which would hide the message from all others for a lease."""
    settlements = make()
    settlements.hold(delivery(), 0)
    ((target, (entry,)),) = settlements.due(36)
    settlements.release(delivery(), 36.1)
    assert settlements.due(36.2) == []
    settlements.done(target, entry)
    assert asked(settlements.due(36.3)) == [("release", "h1")]
