"""The tags of a queue, as they are read back."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs import quotas
from kombu_sns_sqs.topology.bindings import binding_tag
from kombu_sns_sqs.topology.tags import MAX_OUR_TAGS, QueueTags, subscription_tag, tag_value, unnamed_key_tag

#: Short enough for any two of them to be kept whole in one tag, escaped.
NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=10
)
ALLOWED = set(string.ascii_letters + string.digits + " _.:/=+-@")


@given(bindings=st.sets(st.tuples(NAMES, NAMES), max_size=8))
def test_bindings_are_read_back_as_they_were_written(bindings: set[tuple[str, str]]) -> None:
    """Whatever the names and keys are, beside tags of others."""
    written = dict(binding_tag(exchange, key) for exchange, key in bindings)
    tags = QueueTags(tags={"cost-centre": "7", "kombu:name": "q", **written})
    assert {(binding.exchange, binding.routing_key) for _, binding in tags.bindings} == bindings
    assert tags.exchanges == {exchange for exchange, _ in bindings}
    for exchange, _ in bindings:
        expected = {key for source, key in bindings if source == exchange}
        assert {binding.routing_key for _, binding in tags.bindings_to(exchange)} == expected


@given(exchange=NAMES, other=NAMES)
def test_a_subscription_is_found_by_its_exchange_alone(exchange: str, other: str) -> None:
    """And never taken for that of another."""
    tags = QueueTags(tags={subscription_tag(exchange): "arn:s"})
    assert tags.subscription(exchange) == "arn:s"
    assert tags.subscriptions == ["arn:s"]
    assert tags.subscription(other) == ("arn:s" if other == exchange else None)


@given(exchange=NAMES)
def test_a_binding_without_room_for_its_key_takes_everything_from_its_exchange(exchange: str) -> None:
    """The exchange is known, the key is not."""
    key, value = unnamed_key_tag(exchange)
    ((_, binding),) = QueueTags(tags={key: value}).bindings_to(exchange)
    assert binding.routing_key is None
    assert key not in dict([binding_tag(exchange, "")])


@given(exchange=NAMES, routing_key=NAMES)
def test_every_tag_is_one_that_aws_takes(exchange: str, routing_key: str) -> None:
    """By its length and its characters."""
    rows = [binding_tag(exchange, routing_key), unnamed_key_tag(exchange), (subscription_tag(exchange), "")]
    for key, value in [*rows, ("kombu:name", tag_value(exchange))]:
        assert len(key) <= quotas.MAX_TAG_KEY
        assert len(value) <= quotas.MAX_TAG_VALUE
        assert set(key + value) <= ALLOWED


def test_room_for_tags_of_the_company_is_kept() -> None:
    """Ten of the fifty."""
    assert MAX_OUR_TAGS == 40
    assert not QueueTags(tags={str(number): "" for number in range(39)}).full
    assert QueueTags(tags={str(number): "" for number in range(40)}).full


def test_tags_somebody_has_spoilt_say_nothing() -> None:
    """They are read as what is there without them."""
    tags = QueueTags(tags={"kombu:levels": "many", "kombu:ttl": "-5"})
    assert (tags.levels, tags.ttl_ms, tags.bindings) == (1, None, [])
    assert QueueTags(tags={"kombu:levels": "3", "kombu:ttl": "0"}).levels == 3
    assert QueueTags(tags={"kombu:ttl": "0"}).ttl_ms == 0


def test_a_binding_tag_somebody_has_spoilt_may_mean_any_binding() -> None:
    """So nothing that arrives is dropped for it."""
    tags = QueueTags(tags={"kombu:b:x": "e%zz:?"})
    ((_, binding),) = tags.bindings_to("whatever")
    assert (binding.exchange, binding.routing_key) == (None, None)
