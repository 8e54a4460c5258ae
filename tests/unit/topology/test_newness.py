"""The first second of a queue."""

from __future__ import annotations

import pytest

from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.newness import Newness


class Time:
    """A clock, and who waits by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    """Virtual time."""
    return Time()


def test_nothing_is_waited_for_where_nothing_is_new(time: Time) -> None:
    """As ever but in the first second of a process."""
    newness = Newness(1, sleep=time.sleep, clock=lambda: time.now)
    newness.wait()
    assert time.waits == []


def test_the_newest_queue_is_waited_for_once(time: Time) -> None:
    """Others have aged meanwhile."""
    newness = Newness(1, sleep=time.sleep, clock=lambda: time.now)
    newness.begins()
    time.now += 0.5
    newness.begins()
    time.now += 0.25
    newness.wait()
    newness.wait()
    assert time.waits == [0.75]


def test_what_has_been_there_for_a_second_is_not_new(time: Time) -> None:
    """However long ago that was."""
    newness = Newness(1, sleep=time.sleep, clock=lambda: time.now)
    newness.begins()
    time.now += 2
    newness.wait()
    assert time.waits == []


@pytest.mark.parametrize(
    ("endpoint", "option", "seconds"),
    [
        (None, None, [1]),
        ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com", None, [1]),
        ("http://127.0.0.1:4566", None, []),
        ("http://localhost:4566", None, []),
        ("http://127.0.0.1:4566", 2, [2]),
        (None, 0, []),
    ],
)
def test_the_option_says_for_how_long_or_the_endpoint(
    time: Time, endpoint: str | None, option: float | None, seconds: list[float]
) -> None:
    """An emulator's queues can be used at once."""
    options = Options(identity=Identity(endpoint_url=endpoint), queue_settling=option)
    newness = Newness.of(options, sleep=time.sleep)
    newness.begins()
    newness.wait()
    assert [round(wait) for wait in time.waits] == seconds
