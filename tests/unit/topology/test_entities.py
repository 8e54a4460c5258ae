"""What a declaration says, and what stands for it on AWS."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import NotEquivalent
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.topology.entities import MAX_LEVELS, Lifetime, Queue, QueueDeclaration

#: As kombu and Celery make them; fixed, for the names of tests must not change from process to process.
UUID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
HEX = UUID.replace("-", "")


def read(name: str = "q", *, exclusive: bool = False, auto_delete: bool = False, **arguments: Any) -> QueueDeclaration:
    """Read a declaration; underscores of an argument are hyphens."""
    given_arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
    return QueueDeclaration.read(
        name, durable=True, exclusive=exclusive, auto_delete=auto_delete, arguments=given_arguments
    )


@pytest.mark.parametrize(
    ("name", "exclusive", "auto_delete", "lifetime"),
    [
        ("celery", False, False, Lifetime.SHARED),
        ("celeryev.fixed", False, True, Lifetime.SHARED),
        (f"celeryev.{UUID}", False, True, Lifetime.OWNED),
        (HEX, False, True, Lifetime.OWNED),
        (HEX, False, False, Lifetime.SHARED),
        ("mine", True, False, Lifetime.PRIVATE),
        (f"{UUID}.reply.celery.pidbox", True, True, Lifetime.OWNED),
        ("oid.reply.celery.pidbox", True, False, Lifetime.OWNED),
    ],
)
def test_what_ends_a_queue_follows_from_its_declaration(
    name: str, exclusive: bool, auto_delete: bool, lifetime: Lifetime
) -> None:
    """What others may declare, too, is left in place; what only one process can know of ends with it."""
    assert read(name, exclusive=exclusive, auto_delete=auto_delete).lifetime is lifetime


def test_a_reply_queue_ends_with_its_process_even_where_it_is_declared_to_last() -> None:
    """As Celery does with `control_queue_durable`: nobody comes upon its name again."""
    name = "8b0a1c9e-9e9b-4a41-8d8a-0f4f4f1e2d3c.reply.celery.pidbox"
    assert read(name, exclusive=False, auto_delete=False).lifetime is Lifetime.OWNED


@pytest.mark.parametrize(
    ("name", "takes_replies"),
    [
        ("oid.reply.celery.pidbox", True),
        ("oid.reply.my.namespace.pidbox", True),
        ("w1@host.celery.pidbox", False),
        ("reply.celery.pidbox", False),
        ("q", False),
    ],
)
def test_a_reply_queue_is_known_by_its_name(name: str, takes_replies: bool) -> None:
    """Kombu names it after the caller and the reply exchange."""
    assert read(name).takes_replies is takes_replies


@pytest.mark.parametrize("argument", ["x_message_ttl", "x_max_priority", "x_expires"])
@pytest.mark.parametrize("value", ["5", 1.5, -1, True, [1]])
def test_arguments_amqp_refuses_are_refused(argument: str, value: Any) -> None:
    """With 406 and the argument's name, as RabbitMQ does."""
    with pytest.raises(NotEquivalent, match=argument.replace("_", "-")):
        read(**{argument: value})


@pytest.mark.parametrize(("highest", "says"), [(256, "from 0 to 255"), (300, "from 0 to 255"), (11, "more than 10")])
def test_more_priorities_than_there_are_levels_are_refused(highest: int, says: str) -> None:
    """Over 255 as by RabbitMQ; from 11 since priorities beyond the tenth level would not be told apart."""
    with pytest.raises(NotEquivalent, match=says):
        read(x_max_priority=highest)
    assert read(x_max_priority=10).levels == MAX_LEVELS


def test_zero_is_a_time_to_live_but_no_expiry() -> None:
    """As in RabbitMQ."""
    assert read(x_message_ttl=0).ttl_ms == 0
    with pytest.raises(NotEquivalent, match="x-expires"):
        read(x_expires=0)


def test_arguments_without_effect_are_named() -> None:
    """So that nobody relies on them."""
    assert read(x_max_length=5, x_overflow="reject-publish").others == ("x-max-length", "x-overflow")
    assert read(x_message_ttl=5).others == ()


@given(ttl_ms=st.integers(0, 10**12))
def test_sqs_keeps_messages_as_long_as_they_live_or_longer(ttl_ms: int) -> None:
    """Rounded up, within what SQS takes: a message must not vanish before its time."""
    seconds = read(x_message_ttl=ttl_ms).retention_seconds
    assert seconds is not None
    assert quotas.MIN_RETENTION_SECONDS <= seconds <= quotas.MAX_RETENTION_SECONDS
    assert seconds * 1000 >= min(ttl_ms, quotas.MAX_RETENTION_SECONDS * 1000)


def test_sqs_keeps_what_is_to_be_a_dead_letter_as_long_as_it_can() -> None:
    """What it deletes of its own accord is dead-lettered by nobody."""
    assert read(x_message_ttl=1000, x_dead_letter_exchange="dead").retention_seconds == quotas.MAX_RETENTION_SECONDS
    assert read(x_dead_letter_exchange="dead").retention_seconds is None


@pytest.mark.parametrize("seconds", [1, 43_201, "60", True])
def test_a_lease_sqs_would_not_give_is_refused(seconds: Any) -> None:
    """From 2 to 43,200 seconds."""
    with pytest.raises(NotEquivalent, match="x-visibility-timeout"):
        read(x_visibility_timeout=seconds)


@given(max_priority=st.integers(0, 10), priority=st.integers(0, 255))
def test_every_priority_has_a_level(max_priority: int, priority: int) -> None:
    """Those above the queue's highest count as the highest, as in RabbitMQ."""
    levels = read(x_max_priority=max_priority).levels
    assert 1 <= levels <= MAX_LEVELS
    queue = Queue(name="q", urls=tuple(f"u{n}" for n in range(levels)), arn="arn:q", identity=Identity())
    assert queue.level_url(priority) == f"u{min(priority, levels - 1)}"


@pytest.mark.parametrize(
    ("lifetime", "lasting"),
    [
        (Lifetime.SHARED, True),
        (Lifetime.PREDEFINED, True),
        (Lifetime.OWNED, False),
        (Lifetime.PRIVATE, False),
    ],
)
def test_what_outlives_the_process_is_said(lifetime: Lifetime, lasting: bool) -> None:
    """The subscription of a lasting queue is remembered in a tag, its last polls are seen to their end."""
    assert Queue(name="q", urls=("u",), arn="a", identity=Identity(), lifetime=lifetime).lasting is lasting


def test_a_fifo_queue_is_known_by_arn_or_url() -> None:
    """A predefined one may be known by its URL alone."""
    assert Queue(name="q", urls=("https://sqs/1/x.fifo",), arn="", identity=Identity()).fifo
    assert Queue(name="q", urls=("u",), arn="arn:aws:sqs:r:1:x.fifo", identity=Identity()).fifo
    assert not Queue(name="q.fifo", urls=("u",), arn="arn:aws:sqs:r:1:x", identity=Identity()).fifo
