"""How long a message stays away that is given back."""

from __future__ import annotations

from typing import Any

import pytest

from kombu_sns_sqs.backoff import BackoffTable, ExponentialBackoff, Retries
from kombu_sns_sqs.errors import OptionsError
from tests.unit.test_deaths import death
from tests.unit.test_options import read


def delays(policy: Any, *counts: int, chance: float = 0.5) -> list[int]:
    """What a policy says at some receive counts."""
    retries = Retries(policy=policy)
    return [retries.delay(death().delivery._replace(receive_count=count), lambda: chance) for count in counts]


def test_without_a_policy_a_message_is_back_at_once() -> None:
    """As in AMQP."""
    assert delays(None, 1, 5) == [0, 0]


def test_a_table_says_it_by_receive_count() -> None:
    """The last row that was reached holds."""
    assert delays(BackoffTable(((2, 10), (4, 30))), 1, 2, 3, 4, 100) == [0, 10, 10, 30, 30]


def test_an_exponential_back_off_grows_to_its_cap() -> None:
    """However often; with jitter it is a part of that."""
    steady = ExponentialBackoff(base=2, factor=3, cap=50, jitter=False)
    assert delays(steady, 1, 2, 3, 4, 5, 100_000) == [2, 6, 18, 50, 50, 50]
    assert delays(ExponentialBackoff(base=2, factor=3, cap=50), 1, 3, chance=0.5) == [1, 9]


def test_a_callable_is_asked_with_count_and_delivery() -> None:
    """What it says is kept to what SQS takes."""
    assert delays(lambda count, delivery: count * len(delivery.queue), 1, 7) == [1, 7]
    assert delays(lambda count, delivery: 1e9, 1) == [43_200]
    assert delays(lambda count, delivery: -1, 1) == [0]


def test_tasks_limit_it_to_themselves() -> None:
    """And only where they are listed does a reject for good become a retry."""
    flaky = death(headers={"task": "app.flaky"}).delivery
    other = death(headers={"task": "app.other"}).delivery
    listed = Retries(policy=BackoffTable(((1, 10),)), tasks=frozenset({"app.flaky"}))
    assert (listed.delay(flaky, lambda: 0), listed.delay(other, lambda: 0)) == (10, 0)
    assert (listed.instead_of_rejecting(flaky), listed.instead_of_rejecting(other)) == (True, False)
    assert not Retries(policy=BackoffTable(((1, 10),))).instead_of_rejecting(flaky)
    assert not Retries(tasks=frozenset({"app.flaky"})).instead_of_rejecting(flaky)


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({1: 10, 2: 20}, BackoffTable(((1, 10), (2, 20)))),
        ({"2": 20, "1": 10}, BackoffTable(((1, 10), (2, 20)))),
        ({"base": 5, "cap": 100}, ExponentialBackoff(base=5, cap=100)),
        ({"base": 5, "jitter": False}, ExponentialBackoff(base=5, jitter=False)),
        ("exponential", ExponentialBackoff()),
        (max, max),
    ],
)
def test_the_option_takes_tables_numbers_and_callables(given: Any, policy: Any) -> None:
    """And makes a value that can be compared."""
    assert read(backoff_policy=given).backoff_policy == policy
    assert hash(read(backoff_policy=given)) == hash(read(backoff_policy=given))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("linear", "'exponential'"),
        ({}, "must be a table"),
        (3, "must be a table"),
        ({"bsae": 3}, "must be a table"),
        ({0: 3}, "receive counts from 1"),
        ({1: 43_201}, "from 0 to 43200"),
        ({1: "soon"}, "number of seconds"),
        ({"base": 0}, "0 < base"),
        ({"cap": 50_000}, "43200"),
        ({"factor": 0.5}, "factor >= 1"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_at_once(given: Any, says: str) -> None:
    """When the connection is made, not when the first task fails."""
    with pytest.raises(OptionsError, match=says):
        read(backoff_policy=given)


def test_a_predefined_queue_may_have_its_own() -> None:
    """Under the names of kombu's sqs; what it does not set is as for all."""
    options = read(
        backoff_policy={1: 1},
        backoff_tasks=["a"],
        predefined_queues={
            "one": {"url": "u1", "backoff_policy": {1: 5}, "backoff_tasks": ["b"]},
            "two": {"url": "u2"},
        },
    )
    assert options.retries_of("one") == Retries(policy=BackoffTable(((1, 5),)), tasks=frozenset({"b"}))
    assert (
        options.retries_of("two")
        == options.retries_of("any")
        == Retries(policy=BackoffTable(((1, 1),)), tasks=frozenset({"a"}))
    )
    with pytest.raises(OptionsError, match="list of names"):
        read(predefined_queues={"one": {"url": "u", "backoff_tasks": 3}})
