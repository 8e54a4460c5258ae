"""Which level of a queue a message through an exchange belongs to, as filters and consumers see it."""

from __future__ import annotations

import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs import quotas
from kombu_sns_sqs.topology.entities import MAX_LEVELS
from kombu_sns_sqs.topology.levels import Share, pack_ids, priority_attributes, priority_of, share_of, unpack_ids
from kombu_sns_sqs.topology.tags import QueueTags, subscription_tag, upper_tag


@given(levels=st.integers(1, MAX_LEVELS), priority=st.integers(-1, 1000))
def test_every_message_belongs_to_one_level(levels: int, priority: int) -> None:
    """That of its priority, or the highest; also as it is read from what a publish carries."""
    seen = priority_of(priority_attributes(priority))
    takers = [level for level in range(levels) if Share(level=level, levels=levels).takes(seen)]
    assert takers == [max(0, min(priority, levels - 1))]


@pytest.mark.parametrize("written", ["", "-1", "1.5", "high", "²"])
def test_what_a_stranger_may_write_is_the_lowest_priority(written: str) -> None:
    """Nothing that can arrive may raise."""
    assert priority_of({"kombu-priority": {"DataType": "String", "StringValue": written}}) == 0
    assert priority_of({"kombu-priority": {"DataType": "Binary", "BinaryValue": b"9"}}) == 0


def test_a_message_without_a_priority_carries_nothing_for_it() -> None:
    """Nor has a queue without levels a share."""
    assert priority_attributes(0) == {}
    assert priority_attributes(3) == {"kombu-priority": {"DataType": "Number", "StringValue": "3"}}
    assert share_of(0, 1) is None


@given(ids=st.lists(st.uuids(), max_size=MAX_LEVELS - 1))
def test_subscriptions_of_all_levels_are_read_back_from_one_tag(ids: list[uuid.UUID]) -> None:
    """Nine of them fit; they are found by their exchange, and among all subscriptions."""
    topic = "arn:aws:sns:us-east-1:000000000000:e"
    written = pack_ids([f"{topic}:{one}" for one in ids])
    assert len(written) <= quotas.MAX_TAG_VALUE
    assert set(written) <= set(string.ascii_letters + string.digits + "+/")
    assert unpack_ids(written) == [str(one) for one in ids]
    tags = QueueTags(tags={subscription_tag("e"): f"{topic}:lowest", upper_tag("e"): written})
    assert tags.upper_ids("e") == [str(one) for one in ids]
    assert tags.upper_ids("other") == []
    assert tags.subscriptions == [f"{topic}:lowest", *(f"{topic}:{one}" for one in ids)]


@pytest.mark.parametrize("written", ["x", "not base64 at all", "A" * 23, "=" * 22])
def test_a_tag_that_cannot_be_read_tells_of_no_level(written: str) -> None:
    """Then the lowest level's subscription alone is known."""
    assert unpack_ids(written) == []


def test_the_id_of_a_subscription_has_to_be_a_uuid() -> None:
    """As those of SNS are."""
    with pytest.raises(ValueError, match="UUID"):
        pack_ids(["arn:aws:sns:us-east-1:000000000000:e:seven"])
