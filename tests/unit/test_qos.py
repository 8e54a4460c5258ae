"""Delivery tags, and the window they keep occupied."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.errors import NotEquivalent
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Content, Delivery
from kombu_sns_sqs.qos import QoS
from kombu_sns_sqs.receiving.window import Window

DELIVERY = Delivery(
    queue="q",
    queue_url="u",
    identity=Identity(),
    receipt_handle="h",
    message_id="m",
    receive_count=1,
    sent_at=0.0,
    content=Content(body="", content_type=None, content_encoding=None, headers={}, properties={}),
)


def make(count: int = 0) -> tuple[QoS, list[None]]:
    """Quality of service with that many messages in hand, and a list that grows whenever a slot comes free."""
    told: list[None] = []
    qos = QoS(window=Window(cap=1000), on_free=lambda: told.append(None))
    for _ in range(count):
        qos.append(DELIVERY, qos.next_tag())
    return qos, told


def test_tags_count_from_one() -> None:
    """0 means all of them in AMQP, and so is none."""
    qos, _ = make()
    assert [qos.next_tag() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(("tag", "taken", "left"), [(2, 2, 1), (0, 3, 0), (9, 3, 0)])
def test_multiple_takes_all_up_to_a_tag_and_zero_all_there_are(tag: int, taken: int, left: int) -> None:
    """As ``basic.ack`` has it."""
    qos, told = make(3)
    assert len(qos.take(tag, multiple=True)) == taken
    assert (len(qos), qos.window.in_hand) == (left, left)
    assert told


@pytest.mark.parametrize("tag", [0, 4, -1])
def test_an_unknown_tag_is_refused_and_changes_nothing(tag: int) -> None:
    """406, as RabbitMQ has it."""
    qos, told = make(3)
    with pytest.raises(NotEquivalent, match="unknown delivery tag") as caught:
        qos.take(tag)
    assert caught.value.reply_code == 406
    assert (len(qos), told) == (3, [])


def test_a_tag_is_settled_once() -> None:
    """The second time it is unknown."""
    qos, _ = make(1)
    qos.take(1)
    with pytest.raises(NotEquivalent):
        qos.take(1)


@given(count=st.integers(0, 20), limit=st.integers(0, 20))
def test_the_window_is_open_while_fewer_are_in_hand(count: int, limit: int) -> None:
    """A count of 0 means no limit but the cap."""
    qos, _ = make(count)
    qos.prefetch_count = limit
    assert qos.can_consume() is (limit == 0 or count < limit)


def test_a_wider_window_is_told_at_once() -> None:
    """Polls that were not allowed may begin."""
    qos, told = make(2)
    qos.prefetch_count = 2
    told.clear()
    qos.prefetch_count = 3
    assert told


def test_tags_may_be_taken_by_many_threads() -> None:
    """Each by exactly one of them."""
    qos, _ = make(1000)
    taken: list[int] = []

    def work() -> None:
        for tag in range(1, 1001):
            try:
                qos.take(tag)
            except NotEquivalent:
                continue
            taken.append(tag)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 1001))
    assert (len(qos), qos.window.in_hand) == (0, 0)
