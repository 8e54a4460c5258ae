"""The history of dead letters, as RabbitMQ writes it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Content, Delivery
from kombu_sns_sqs.wire import dead_letter, envelope
from kombu_sns_sqs.wire.deaths import Death, Reason

NOW = 1_800_000_000.5
THEN = dt.datetime(2027, 1, 15, 8, 0)  # noqa: DTZ001  # as AMQP clients read timestamps


def death(reason: Reason = Reason.REJECTED, queue: str = "q", **more: Any) -> Death:
    """The death of a message."""
    settings: dict[str, Any] = {
        "body": "hello",
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "headers": {},
        "properties": {},
        "exchange": "e",
        "routing_key": "k",
    }
    attributes = more.pop("attributes", {})
    system = more.pop("system", {})
    content = Content(**{**settings, **more})
    delivery = Delivery(
        queue=queue,
        queue_url=f"https://sqs/{queue}",
        identity=Identity(),
        receipt_handle="h",
        message_id="m",
        receive_count=1,
        sent_at=0.0,
        content=content,
        attributes=attributes,
        system_attributes=system,
    )
    return Death(delivery=delivery, reason=reason, at=NOW)


def entry(queue: str, reason: str, count: int = 1) -> dict[str, Any]:
    """A row of a history."""
    return {"queue": queue, "reason": reason, "count": count, "time": THEN, "exchange": "e", "routing-keys": ["k"]}


def test_the_first_death_is_told_twice() -> None:
    """As the first there is, and as one of the history."""
    assert death(headers={"mine": 1}).headers == {
        "mine": 1,
        "x-first-death-reason": "rejected",
        "x-first-death-queue": "q",
        "x-first-death-exchange": "e",
        "x-death": [entry("q", "rejected")],
    }


def test_the_same_death_again_counts_up_and_comes_first() -> None:
    """What is known of it stays."""
    history = [entry("other", "expired"), entry("q", "rejected", 4)]
    headers = death(headers={"x-death": history, "x-first-death-queue": "other"}).headers
    assert headers["x-death"] == [entry("q", "rejected", 5), entry("other", "expired")]
    assert headers["x-first-death-queue"] == "other"


def test_another_reason_is_another_death() -> None:
    """In the same queue."""
    headers = death(Reason.EXPIRED, headers={"x-death": [entry("q", "rejected")]}).headers
    assert headers["x-death"] == [entry("q", "expired"), entry("q", "rejected")]


@pytest.mark.parametrize(
    "history", ["", 7, [3, None], {"count": 1}, [{"queue": "q", "reason": "rejected", "count": "x"}]]
)
def test_a_history_somebody_has_invented_does_no_harm(history: Any) -> None:
    """It is a header like any other until then."""
    assert death(headers={"x-death": history}).headers["x-death"][0]["count"] == 1


def test_an_expiration_is_kept_in_the_history_and_nowhere_else() -> None:
    """The dead letter must not expire where it arrives."""
    died = death(Reason.EXPIRED, properties={"expiration": "2000", "priority": 3})
    assert died.headers["x-death"][0]["original-expiration"] == "2000"
    assert died.properties == {"priority": 3}


@pytest.mark.parametrize(
    ("reason", "history", "target", "ends"),
    [
        (Reason.EXPIRED, [], "q", True),
        (Reason.EXPIRED, [], "other", False),
        (Reason.REJECTED, [], "q", False),
        (Reason.DELIVERY_LIMIT, [], "q", True),
        (Reason.EXPIRED, [("other", "expired")], "other", True),
        (Reason.EXPIRED, [("other", "rejected")], "other", False),
        (Reason.EXPIRED, [("third", "rejected"), ("other", "expired")], "other", False),
        (Reason.EXPIRED, [], None, False),
        (Reason.EXPIRED, [("q", "expired")], None, True),
        (Reason.EXPIRED, [("other", "rejected"), ("q", "expired")], None, False),
        (Reason.REJECTED, [("q", "expired")], None, False),
    ],
)
def test_a_circle_without_a_reject_ends(
    reason: Reason, history: list[tuple[str, str]], target: str | None, ends: bool
) -> None:
    """With one, somebody decides; to an exchange it is seen on the second round."""
    headers = {"x-death": [entry(queue, why) for queue, why in history]}
    assert death(reason, headers=headers).ends_cycle(target) is ends


def test_a_dead_letter_is_read_as_it_was_written() -> None:
    """Body, type and history; its new exchange and key, and its own publish id."""
    letter = dead_letter.encode(
        death(body=b"\x00\xff", content_encoding="binary"),
        exchange="dead",
        routing_key="bad",
        publish_id="p",
        fifo=False,
    )
    content = envelope.decode(letter.body, letter.attributes)
    assert (content.body, content.exchange, content.routing_key, content.publish_id) == (
        b"\x00\xff",
        "dead",
        "bad",
        "p",
    )
    assert content.headers["x-death"] == [entry("q", "rejected")]
    assert letter.attributes["rk"]["StringValue"] == ".bad."


def test_a_foreign_message_keeps_its_text_and_gets_a_history() -> None:
    """Its key is the queue it came to."""
    foreign = death(body='{"Records": []}', exchange="", routing_key="", foreign=True)
    letter = dead_letter.encode(foreign, exchange="", routing_key="bad", publish_id="p", fifo=False)
    content = envelope.decode(letter.body, letter.attributes)
    assert content.body == '{"Records": []}'
    assert content.headers["x-death"][0]["routing-keys"] == ["q"]


def test_attributes_stay_as_far_as_there_is_room() -> None:
    """A stranger may have used all ten; an eleventh would cost the message."""
    own = {f"a{number}": {"DataType": "String", "StringValue": "x"} for number in range(10)}
    letter = dead_letter.encode(death(attributes=own), exchange="", routing_key="bad", publish_id="p", fifo=False)
    assert len(letter.attributes) == 10
    assert "kombu" in letter.attributes


def test_a_fifo_queue_gets_group_and_deduplication_id() -> None:
    """The message's own group where it had one."""
    plain = dead_letter.encode(death(), exchange="", routing_key="bad.fifo", publish_id="p", fifo=True)
    assert (plain.group_id, plain.deduplication_id) == ("default", "p")
    grouped = death(system={"MessageGroupId": "g"})
    letter = dead_letter.encode(grouped, exchange="", routing_key="bad.fifo", publish_id="p", fifo=True)
    assert letter.group_id == "g"
