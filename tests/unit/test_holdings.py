"""Which message is a copy of which."""

from __future__ import annotations

from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Content, Delivery
from kombu_sns_sqs.settling.holdings import Holdings, Verdict


def delivery(message_id: str = "m1", publish_id: str = "p1", handle: str = "h1", queue: str = "q") -> Delivery:
    """One receive of one message."""
    content = Content(
        body="", content_type=None, content_encoding=None, headers={}, properties={}, publish_id=publish_id
    )
    return Delivery(
        queue=queue,
        queue_url=f"https://{queue}",
        identity=Identity(),
        receipt_handle=handle,
        message_id=message_id,
        receive_count=1,
        sent_at=0.0,
        content=content,
    )


def admit(holdings: Holdings, arrived: Delivery, now: float = 0.0) -> Verdict:
    """Decide about an arrival."""
    return holdings.admit(arrived, now=now, lease_seconds=60)


def test_a_message_held_is_not_delivered_again_and_its_newer_receipt_counts() -> None:
    """The older receipt handle may not delete it any more."""
    holdings = Holdings()
    assert admit(holdings, delivery(handle="old")) is Verdict.NEW
    assert admit(holdings, delivery(handle="new"), now=70) is Verdict.HELD
    assert holdings.to_renew(latest=100, before=110) == []
    assert holdings.next_end() == 130
    lease = holdings.handled(delivery(handle="old"))
    assert lease is not None
    assert lease.receipt_handle == "new"


def test_another_message_of_the_same_publish_is_a_copy() -> None:
    """While the first is held, and after it was handled."""
    holdings = Holdings()
    admit(holdings, delivery("m1"))
    assert admit(holdings, delivery("m2")) is Verdict.COPY
    holdings.handled(delivery("m1"))
    assert admit(holdings, delivery("m3")) is Verdict.COPY
    assert admit(holdings, delivery("m1")) is Verdict.COPY


def test_the_twin_of_a_message_that_is_lost_takes_its_place() -> None:
    """It may be the only one that is left on SQS: its receipt is what settles both the task and itself."""
    holdings = Holdings()
    admit(holdings, delivery("m1", handle="h1"))
    holdings.to_renew(latest=60, before=60)[0].lost = True
    assert admit(holdings, delivery("m2", handle="h2"), now=70) is Verdict.HELD
    assert admit(holdings, delivery("m2", handle="h3"), now=75) is Verdict.HELD
    assert admit(holdings, delivery("m1", handle="h4"), now=80) is Verdict.COPY
    lease = holdings.handled(delivery("m1"))
    assert lease is not None
    assert (lease.receipt_handle, lease.lost, lease.ends_at) == ("h3", False, 135)


def test_what_a_message_goes_on_as_is_no_copy_of_it() -> None:
    """It may come before it is known that it was sent: to delete both would be to lose it."""
    holdings = Holdings()
    admit(holdings, delivery("m1"))
    holdings.moving(delivery("m1"))
    assert admit(holdings, delivery("m1", handle="again")) is Verdict.HELD
    assert admit(holdings, delivery("m2")) is Verdict.NEW
    assert holdings.drop(delivery("m1")) is None
    assert [held.message_id for held in holdings.everything()] == ["m2"]


def test_the_copies_of_a_fanout_are_not_copies_of_each_other() -> None:
    """One publish, two queues of one process: each gets its message."""
    holdings = Holdings()
    assert admit(holdings, delivery("m1", queue="a")) is Verdict.NEW
    assert admit(holdings, delivery("m2", queue="b")) is Verdict.NEW


def test_a_message_given_back_is_new_when_it_returns() -> None:
    """It was not handled."""
    holdings = Holdings()
    admit(holdings, delivery())
    holdings.drop(delivery())
    assert admit(holdings, delivery()) is Verdict.NEW


def test_messages_without_a_publish_id_are_told_apart_by_their_own() -> None:
    """Foreign ones have none."""
    holdings = Holdings()
    assert admit(holdings, delivery("m1", "")) is Verdict.NEW
    assert admit(holdings, delivery("m2", "")) is Verdict.NEW
    assert admit(holdings, delivery("m2", "")) is Verdict.HELD


def test_the_memory_of_handled_messages_is_bounded() -> None:
    """By queue; the oldest is forgotten first."""
    holdings = Holdings(memory=2)
    for number in range(3):
        holdings.handled(delivery(f"m{number}", f"p{number}"))
    assert admit(holdings, delivery("m0", "p0")) is Verdict.NEW
    assert admit(holdings, delivery("m2", "p2")) is Verdict.COPY


def test_leases_that_end_soon_are_found() -> None:
    """The next to end first; and not those that are being renewed, or lost."""
    holdings = Holdings()
    for number in (2, 0, 1):
        admit(holdings, delivery(f"m{number}", f"p{number}"), now=float(number))
    first, second, third = holdings.to_renew(latest=60, before=62)
    assert [lease.ends_at for lease in (first, second, third)] == [60, 61, 62]
    first.renewing, second.lost = True, True
    assert holdings.to_renew(latest=60, before=62) == []
    assert holdings.next_end() == 62


def test_leases_that_end_somewhat_later_wait_until_one_is_pressing() -> None:
    """So that they are renewed together."""
    holdings = Holdings()
    for number in range(3):
        admit(holdings, delivery(f"m{number}", f"p{number}"), now=float(number))
    assert holdings.to_renew(latest=59, before=62) == []
    assert len(holdings.to_renew(latest=60, before=62)) == 3


def test_a_request_that_is_sent_anyway_takes_the_next_to_end_along() -> None:
    """As many of its queue as it has room for: twelve are due, of which the second request takes eight more."""
    holdings = Holdings()
    for number in range(30):
        admit(holdings, delivery(f"m{number}", f"p{number}", queue="a"), now=float(number))
        admit(holdings, delivery(f"m{number}", f"q{number}", queue="b"), now=100.0)
    assert [lease.ends_at for lease in holdings.to_renew(latest=60, before=71)] == [60.0 + n for n in range(20)]


def test_only_who_holds_a_message_lets_go_of_it() -> None:
    """Another message of the same publish leaves the lease alone."""
    holdings = Holdings()
    admit(holdings, delivery("m1"))
    assert holdings.drop(delivery("m2")) is None
    assert len(holdings) == 1


def test_the_next_end_is_never_later_than_a_lease() -> None:
    """It may be earlier, when a message has left, until it is looked at."""
    holdings = Holdings()
    for number in range(2):
        admit(holdings, delivery(f"m{number}", f"p{number}"), now=float(number))
    holdings.drop(delivery("m0", "p0"))
    assert holdings.next_end() == 60
    assert holdings.to_renew(latest=60, before=61) == []
    assert holdings.next_end() == 61
    holdings.drop(delivery("m1", "p1"))
    assert holdings.to_renew(latest=61, before=61) == []
    assert holdings.next_end() is None
