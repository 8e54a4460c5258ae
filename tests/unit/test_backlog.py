"""What waits to be sent in the background: its order, its bound, its requests."""

from __future__ import annotations

import math

from kombu_sns_sqs import quotas
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Outgoing
from kombu_sns_sqs.publishing.backlog import MAX_BYTES, MAX_PARCELS, Backlog
from kombu_sns_sqs.publishing.parcel import Destination, Parcel


def parcel(body: str = "x", *, exchange: str = "celeryev") -> Parcel:
    """A message on its way to a topic."""
    place = Destination(name=exchange, address=f"arn:{exchange}", identity=Identity(), topic=True)
    return Parcel.pack(Outgoing(body=body, attributes={}, publish_id=body), place)


def bodies(parcels: list[Parcel]) -> list[str]:
    """What they say."""
    return [one.message.body for one in parcels]


def test_a_request_is_due_when_the_oldest_has_waited_or_ten_are_there() -> None:
    """Whichever is first; the time that counts is the oldest's."""
    backlog = Backlog(delay=2.0)
    assert backlog.next_due() is None
    assert backlog.add(parcel(), now=10.0)
    assert not any(backlog.add(parcel(), now=11.0) for _ in range(8))
    assert backlog.next_due() == 12.0
    assert backlog.add(parcel(), now=11.0)
    assert backlog.next_due() == -math.inf


def test_batches_keep_the_order_and_hold_ten() -> None:
    """Twenty-three make three requests."""
    backlog = Backlog(delay=0)
    for number in range(23):
        backlog.add(parcel(str(number)), now=0.0)
    batches = [bodies(backlog.take_batch()) for _ in range(3)]
    assert [len(batch) for batch in batches] == [10, 10, 3]
    assert sum(batches, []) == [str(number) for number in range(23)]  # noqa: RUF017
    assert backlog.take_batch() == []
    assert not backlog


def test_a_request_holds_no_more_bytes_than_sns_takes_and_goes_to_one_topic() -> None:
    """What does not fit, or goes elsewhere, begins the next one."""
    backlog = Backlog(delay=60)
    third = "y" * (quotas.MAX_TOPIC_MESSAGE_BYTES // 3)
    for body in (third, third, third + "more", "small"):
        backlog.add(parcel(body), now=0.0)
    backlog.add(parcel("small", exchange="other"), now=0.0)
    assert backlog.next_due() == -math.inf
    assert [len(backlog.take_batch()) for _ in range(3)] == [2, 2, 1]


def test_what_is_put_back_goes_first_and_at_once() -> None:
    """In the order it had."""
    backlog = Backlog(delay=60)
    for number in range(12):
        backlog.add(parcel(str(number)), now=0.0)
    batch = backlog.take_batch()
    backlog.put_back(batch[4:])
    assert backlog.next_due() == -math.inf
    assert bodies(backlog.take_batch()) == [str(number) for number in range(4, 12)]


def test_it_is_full_by_number_or_by_bytes_and_makes_room_from_the_front() -> None:
    """Memory has a bound, whatever the size of the messages."""
    backlog = Backlog(delay=60)
    for number in range(MAX_PARCELS):
        assert not backlog.full
        backlog.add(parcel(str(number)), now=0.0)
    assert backlog.full
    assert len(backlog.make_room()) == 1
    assert bodies(backlog.take_batch())[0] == "1"
    large = Backlog(delay=60)
    while not large.full:
        large.add(parcel("z" * quotas.MAX_TOPIC_MESSAGE_BYTES), now=0.0)
    assert len(large) == MAX_BYTES // quotas.MAX_TOPIC_MESSAGE_BYTES
    assert len(large.make_room()) == 1
    assert not large.full
