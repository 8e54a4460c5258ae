"""What a queue's arguments say about messages that are not acknowledged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.errors import NotEquivalent
from kombu_sns_sqs.redelivery import NO_DEAD_LETTERS, DeadLetterPolicy, dead_letter_queue_name
from kombu_sns_sqs.topology.tags import QueueTags, dead_letter_difference, dead_letter_tags


@pytest.mark.parametrize(
    ("arguments", "policy"),
    [
        ({}, NO_DEAD_LETTERS),
        ({"x-dead-letter-exchange": "dead"}, DeadLetterPolicy(exchange="dead")),
        (
            {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d"},
            DeadLetterPolicy(exchange="", routing_key="d"),
        ),
        ({"x-dead-letter-queue": "bad"}, DeadLetterPolicy(exchange="", routing_key="bad", queue="bad")),
        ({"x-max-receive-count": 3}, DeadLetterPolicy(exchange="", routing_key="q-dead", queue="q-dead", limit=3)),
        ({"x-delivery-limit": 3}, DeadLetterPolicy(exchange="", routing_key="q-dead", queue="q-dead", limit=4)),
        (
            {"x-max-receive-count": 1, "x-dead-letter-exchange": "dead"},
            DeadLetterPolicy(exchange="dead", limit=1),
        ),
        (
            {"x-max-receive-count": 1, "x-dead-letter-queue": "bad"},
            DeadLetterPolicy(exchange="", routing_key="bad", queue="bad", limit=1),
        ),
        (
            {"x-max-receive-count": 3, "x-delivery-limit": 2, "x-dead-letter-exchange": "d"},
            DeadLetterPolicy(exchange="d", limit=3),
        ),
    ],
)
def test_arguments_are_read(arguments: dict[str, Any], policy: DeadLetterPolicy) -> None:
    """A limit without a place for dead letters gets one; RabbitMQ's limit counts what comes back, one less."""
    assert DeadLetterPolicy.read("q", arguments) == policy


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-dead-letter-exchange": 1},
        {"x-dead-letter-queue": ""},
        {"x-dead-letter-queue": "q"},
        {"x-dead-letter-routing-key": "key"},
        {"x-dead-letter-exchange": "", "x-dead-letter-queue": "bad"},
        {"x-max-receive-count": 0},
        {"x-max-receive-count": 1001},
        {"x-max-receive-count": "3"},
        {"x-max-receive-count": True},
        {"x-delivery-limit": -1},
        {"x-max-receive-count": 3, "x-delivery-limit": 3},
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    """As RabbitMQ does, 406."""
    with pytest.raises(NotEquivalent, match="PRECONDITION_FAILED"):
        DeadLetterPolicy.read("q", arguments)


@pytest.mark.parametrize(
    ("limit", "backstop"), [(1, 10), (5, 50), (100, 1000), (500, 1000), (1000, 1000), (None, None)]
)
def test_the_backstop_is_well_above_the_limit(limit: int | None, backstop: int | None) -> None:
    """And where SQS still takes it."""
    assert DeadLetterPolicy(exchange="", routing_key="d", queue="d", limit=limit).backstop == backstop


def test_there_is_no_backstop_without_a_queue_of_ours() -> None:
    """An exchange of dead letters is nothing that SQS could move a message to."""
    assert DeadLetterPolicy(exchange="dead", limit=3).backstop is None


def test_the_dead_letter_queue_of_a_fifo_queue_is_one() -> None:
    """SQS takes no other."""
    assert dead_letter_queue_name("orders.fifo") == "orders-dead.fifo"
    assert dead_letter_queue_name("orders") == "orders-dead"


@given(st.text(max_size=20), st.none() | st.text(max_size=20), st.none() | st.integers(1, 1000))
def test_tags_keep_what_was_declared(exchange: str, key: str | None, limit: int | None) -> None:
    """Whatever characters the names have."""
    declared = DeadLetterPolicy(exchange=exchange, routing_key=key, limit=limit)
    found = QueueTags(tags=dead_letter_tags(declared))
    assert found.dead_letters == declared
    assert dead_letter_difference(declared, found) is None


def test_a_name_too_long_for_a_tag_is_not_kept_by_half() -> None:
    """A consumer that declared nothing must not send dead letters elsewhere."""
    assert dead_letter_tags(DeadLetterPolicy(exchange="ü" * 120, limit=3)) == {}


def test_tags_that_are_none_of_ours_say_nothing() -> None:
    """Whoever wrote them."""
    assert QueueTags(tags={"kombu:dlx": "=", "kombu:limit": "many"}).dead_letters == NO_DEAD_LETTERS
    assert QueueTags(tags={"kombu:limit": "0"}).dead_letters == NO_DEAD_LETTERS


def test_a_difference_is_named() -> None:
    """Both sides of it."""
    found = QueueTags(tags={"kombu:dlx": "old"})
    said = dead_letter_difference(DeadLetterPolicy(exchange="new", limit=3), found)
    assert said is not None
    assert "old" in said
    assert "new" in said
