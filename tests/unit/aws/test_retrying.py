"""The back-off: bounded, growing, jittered."""

from __future__ import annotations

import pytest

from kombu_sns_sqs.aws.retrying import Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    """The first delay is bounded by the base."""
    backoff = Backoff(base=0.1, cap=1.0)
    assert [backoff.delay(attempt, lambda: 1.0) for attempt in range(1, 7)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1])


def test_the_jitter_is_full() -> None:
    """Anything from nothing to the bound, so that those who failed together do not return together."""
    backoff = Backoff(base=1.0, cap=8.0)
    assert backoff.delay(3, lambda: 0.0) == 0
    assert backoff.delay(3, lambda: 0.25) == 1


def test_days_of_failures_do_not_overflow() -> None:
    """A poller counts on."""
    assert Backoff().delay(1_000_000, lambda: 1.0) == 5.0


@pytest.mark.parametrize("numbers", [{"base": 0.0}, {"base": -1.0}, {"base": 2.0, "cap": 1.0}, {"attempts": 0}])
def test_numbers_out_of_range_are_refused(numbers: dict[str, float]) -> None:
    """At birth."""
    with pytest.raises(ValueError, match="needed"):
        Backoff(**numbers)  # type: ignore[arg-type]
