"""When a message is due, and the hops it takes until then."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.addressing import companion_name, queue_name
from kombu_sns_sqs.delay import SPARE_SECONDS, TOLERANCE, Due, Step, due_of, next_step, relative_seconds
from kombu_sns_sqs.errors import MessageError
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.temporary_names import temporary_prefix
from kombu_sns_sqs.topology.entities import Queue

TASK = {"task": "t", "id": "1"}
#: 2030-01-01T00:00:00Z.
NEW_YEAR = 1_893_456_000.0
SIXTY_DAYS = 60 * 86_400


@pytest.mark.parametrize(
    "eta",
    [
        "2030-01-01T00:00:00+00:00",
        "2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00",
        "2030-01-01T02:00:00+02:00",
        datetime(2030, 1, 1, tzinfo=timezone.utc),
    ],
)
def test_a_tasks_eta_is_when_it_is_due(eta: Any) -> None:
    """Whatever the time zone; without one it is in UTC, as Celery takes it."""
    assert due_of({**TASK, "eta": eta}) == Due(at=NEW_YEAR, eta=True)


@pytest.mark.parametrize("eta", [None, "", "tomorrow", 5, {"a": 1}, "2030-13-01T00:00:00Z"])
def test_what_is_no_time_is_left_to_celery(eta: Any) -> None:
    """Celery says what is wrong with it."""
    assert due_of({**TASK, "eta": eta}) is None


def test_only_tasks_have_an_eta() -> None:
    """A header of that name in somebody's own message means whatever he likes."""
    assert due_of({"eta": "2030-01-01T00:00:00Z"}) is None


@pytest.mark.parametrize("at", [True, "5", math.nan, math.inf, [1]])
def test_an_envelope_that_says_nonsense_delays_nothing(at: Any) -> None:
    """It may be anybody's."""
    assert due_of({}, at) is None


@pytest.mark.parametrize(
    ("headers", "properties", "seconds"),
    [
        ({"x-delay": 1500}, {}, 1.5),
        ({"x-delay": "1500"}, {}, 1.5),
        ({}, {"DelaySeconds": 3}, 3),
        ({}, {"delay_seconds": 3.5}, 3.5),
        ({"x-delay": 1500}, {"DelaySeconds": 3}, 3),
        ({"x-delay": 0}, {}, None),
        ({}, {}, None),
    ],
)
def test_a_message_may_ask_for_a_delay(headers: Any, properties: Any, seconds: float | None) -> None:
    """Under the names that other brokers have for it."""
    assert relative_seconds(headers, properties) == seconds


@pytest.mark.parametrize("delay", ["soon", -1, math.inf, math.nan, [1]])
def test_a_delay_that_is_none_is_refused(delay: Any) -> None:
    """By whoever publishes, and not by SQS."""
    with pytest.raises(MessageError, match="x-delay"):
        relative_seconds({"x-delay": delay}, {})


@given(
    wait=st.floats(0, SIXTY_DAYS),
    takes_delay=st.booleans(),
    eta=st.booleans(),
    late=st.lists(st.floats(0, SPARE_SECONDS), min_size=1, max_size=50),
)
def test_no_wait_is_too_long_and_none_ends_early(wait: float, takes_delay: bool, eta: bool, late: list[float]) -> None:
    """However late each look into the companion: a queue that takes delays has its message in time."""
    now, hops = 0.0, 0
    while True:
        step = next_step(wait - now, eta=eta, takes_delay=takes_delay, has_companion=True)
        assert step is not None
        now += step.delay_seconds
        if not step.companion:
            break
        hops += 1
        # A companion of the other kind is polled all the time.
        now += late[hops % len(late)] if takes_delay else 0.0
    assert now >= wait - (TOLERANCE if eta else 0)
    assert now <= max(wait, 0) + 1
    assert hops <= wait / SPARE_SECONDS + 1


@given(wait=st.floats(0, SIXTY_DAYS), eta=st.booleans())
def test_without_a_companion_a_message_hops_in_its_queue(wait: float, eta: bool) -> None:
    """15 minutes at a time, and one that takes no delay keeps nothing."""
    step = next_step(wait, eta=eta, takes_delay=True, has_companion=False)
    assert step is not None
    assert (step.companion, step.delay_seconds) == (False, min(900, math.floor(wait) if eta else math.ceil(wait)))
    if wait > TOLERANCE:
        assert next_step(wait, eta=eta, takes_delay=False, has_companion=False) is None


def test_hops_are_as_few_as_sqs_allows() -> None:
    """30 days are 2,880 quarters of an hour, the last of them in the queue itself."""
    left, hops = 30 * 86_400.0, 0
    while (step := next_step(left, eta=True, takes_delay=True, has_companion=True)) and step.companion:
        left, hops = left - step.delay_seconds, hops + 1
    assert (hops, left) == (2879, 900)


@pytest.mark.parametrize("seconds", [-1, 901])
def test_a_step_sqs_would_refuse_cannot_be_made(seconds: int) -> None:
    """0 to 900 seconds."""
    with pytest.raises(ValueError, match=str(seconds)):
        Step(companion=False, delay_seconds=seconds)


@pytest.mark.parametrize(
    ("name", "ttl_ms", "takes"), [("q", None, True), ("q.fifo", None, False), ("q", 60_000, False)]
)
def test_which_queues_take_a_delay(name: str, ttl_ms: int | None, takes: bool) -> None:
    """No FIFO queue, and none whose short retention might end the message before it is due."""
    queue = Queue(name=name, urls=(f"http://sqs/{name}",), arn=f"arn:{name}", identity=Identity(), ttl_ms=ttl_ms)
    assert queue.takes_delay is takes


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=60
)


@given(one=NAMES, other=NAMES, level=st.integers(0, 9), prefix=st.sampled_from(["", "p-"]))
def test_no_queue_or_companion_has_the_name_of_a_companion(one: str, other: str, level: int, prefix: str) -> None:
    """Not the queue that is called as the companion is, either."""
    companion = companion_name(one, prefix=prefix)
    assert companion != queue_name(other, prefix=prefix, level=level)
    assert companion != queue_name(companion, prefix=prefix)
    assert (companion == companion_name(other, prefix=prefix)) == (one == other)
    assert len(companion) <= 80
    assert not companion.endswith(".fifo")


def test_a_companion_cannot_be_taken_for_a_temporary_queue() -> None:
    """A sweeper knows those by how their names begin."""
    assert not companion_name("kombu-tmp-q").startswith(temporary_prefix())
    assert companion_name("q.fifo") != companion_name("q")
