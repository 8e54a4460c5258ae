"""What a reject comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu_sns_sqs.settling.rejections import Rejections
from kombu_sns_sqs.wire.deaths import Reason
from tests.unit.test_deaths import death
from tests.unit.test_options import read

if TYPE_CHECKING:
    import pytest

    from kombu_sns_sqs.messages import Delivery

DELIVERY = death().delivery


class Notes:
    """Takes down what becomes of messages."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []

    def release(self, delivery: Delivery, *, delay: int = 0) -> None:
        """Given back."""
        self.taken.append(("released", delay))

    def bury(self, delivery: Delivery, reason: Reason) -> None:
        """Made a dead letter."""
        self.taken.append(("buried", reason))


def reject(*, requeue: bool, **options: Any) -> tuple[str, Any]:
    """Reject one message and say what came of it."""
    notes: Any = Notes()
    Rejections(settler=notes, dead_letters=notes, options=read(**options)).reject(DELIVERY, requeue=requeue)
    (outcome,) = notes.taken
    return outcome


def test_requeue_gives_back_at_once_or_after_its_back_off() -> None:
    """Whichever is asked for."""
    assert reject(requeue=True) == ("released", 0)
    assert reject(requeue=True, backoff_policy={1: 9}) == ("released", 9)


def test_without_requeue_it_is_a_dead_letter() -> None:
    """Whatever the back-off, unless it is for this very task."""
    assert reject(requeue=False, backoff_policy={1: 9}) == ("buried", Reason.REJECTED)
    assert reject(requeue=False, backoff_policy={1: 9}, backoff_tasks=["other"]) == ("buried", Reason.REJECTED)


def test_a_policy_that_raises_gives_back_at_once_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A reject must not fail for it: the caller is a worker's event loop."""

    def broken(count: int, delivery: Delivery) -> float:
        raise ZeroDivisionError

    assert reject(requeue=True, backoff_policy=broken) == ("released", 0)
    assert "backoff_policy failed for queue 'q'" in caplog.text
