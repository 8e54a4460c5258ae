"""How old an answer may be when it is read."""

from __future__ import annotations

from kombu_sns_sqs.receiving.attendance import Attendance


def test_an_answer_to_an_attended_poll_is_new() -> None:
    """However long the poll was."""
    attendance = Attendance(lease_seconds=60)
    assert attendance.age(asked_at=10.0, now=35.0) == 0.0


def test_a_short_absence_goes_unnoticed() -> None:
    """Renewals are early enough for it."""
    attendance = Attendance(lease_seconds=60)
    attendance.back(left_at=20.0, now=25.0)
    assert attendance.age(asked_at=10.0, now=25.0) == 0.0


def test_an_answer_is_at_most_as_old_as_the_absence_and_what_came_after() -> None:
    """It may have come in its first moment."""
    attendance = Attendance(lease_seconds=60)
    attendance.back(left_at=20.0, now=40.0)
    assert attendance.age(asked_at=10.0, now=41.0) == 21.0


def test_a_poll_begun_after_the_absence_knows_nothing_of_it() -> None:
    """Its answer was waited for."""
    attendance = Attendance(lease_seconds=60)
    attendance.back(left_at=20.0, now=400.0)
    assert attendance.age(asked_at=400.0, now=420.0) == 0.0


def test_beyond_half_a_lease_an_answer_is_not_trusted() -> None:
    """What it holds may have been received elsewhere when its renewal gets there."""
    attendance = Attendance(lease_seconds=60)
    attendance.back(left_at=20.0, now=51.0)
    assert attendance.age(asked_at=10.0, now=51.0) is None
