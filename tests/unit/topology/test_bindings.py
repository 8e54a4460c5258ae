"""Bindings kept as tags of a queue."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.errors import AddressingError
from kombu_sns_sqs.topology.bindings import Binding, binding_tag, parse_binding_tag

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=255).filter(
    lambda text: len(text.encode()) <= 255
)
exchanges = st.one_of(st.sampled_from(["e", "reply.celery.pidbox", "=@x", "a:b", " "]), texts).filter(bool)
keys = st.one_of(st.sampled_from(["", "a.b", "a.*.#", "=2A", ":", "ü"]), texts)


@given(exchange=exchanges, key=keys)
def test_a_tag_has_only_what_sqs_takes(exchange: str, key: str) -> None:
    """Characters and lengths of key and value are those of a queue's tags."""
    tag, value = binding_tag(exchange, key)
    assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,128}", tag)
    assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,256}", value)


@given(exchange=exchanges, key=keys)
def test_a_binding_is_read_back_or_known_to_be_uncertain(exchange: str, key: str) -> None:
    """A tag never tells another binding than the one it was made of."""
    binding = parse_binding_tag(*binding_tag(exchange, key))
    assert binding is not None
    assert binding.concerns(exchange)
    assert not binding.concerns(f"{exchange}-other")
    assert binding.routing_key in (key, None)
    assert binding.exchange in (exchange, None)


@pytest.mark.parametrize("key", ["", "a.b.c", "a.*.#", "=2A:=", "schlüssel", "x" * 245])
def test_an_ordinary_binding_is_read_back_whole(key: str) -> None:
    """Escapes and the separator inside a key do not mislead."""
    assert parse_binding_tag(*binding_tag("orders:v", key)) == Binding(exchange="orders:v", routing_key=key)


def test_a_binding_whose_key_finds_no_room_is_known_with_its_exchange() -> None:
    """Then whatever arrives from that exchange is to be delivered."""
    binding = parse_binding_tag(*binding_tag("e" * 100, "*" * 100))
    assert binding == Binding(exchange="e" * 100, routing_key=None)


def test_a_binding_whose_exchange_finds_no_room_is_known_by_a_hash() -> None:
    """The exchange can still be told from another."""
    binding = parse_binding_tag(*binding_tag("ü" * 100, "k"))
    assert binding is not None
    assert (binding.exchange, binding.routing_key) == (None, None)
    assert binding.concerns("ü" * 100)
    assert not binding.concerns("ö" * 100)


@given(one=st.tuples(exchanges, keys), other=st.tuples(exchanges, keys))
def test_two_bindings_write_two_tags_and_the_same_binding_one(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Tags add up without reading first."""
    assert (binding_tag(*one)[0] == binding_tag(*other)[0]) == (one == other)


def test_the_tag_of_a_binding_does_not_change_from_release_to_release() -> None:
    """Bindings outlive the process that made them."""
    assert binding_tag("orders", "eu.*") == ("kombu:b:dsfngesnujfmloot55k56uhe6v", "orders:eu.=2A")


def test_a_tag_about_something_else_is_no_binding() -> None:
    """A queue carries the tags of its company as well."""
    assert parse_binding_tag("cost-centre", "orders:eu") is None


@pytest.mark.parametrize("value", ["a=zz:b", "a*:b", "=FF:b", "a:b:c", "a=2a:b"])
def test_a_tag_that_cannot_be_read_may_be_any_binding(value: str) -> None:
    """Where it is not known for certain what is bound, nothing may be dropped."""
    binding = parse_binding_tag("kombu:b:x", value)
    assert binding == Binding(exchange=None, routing_key=None)
    assert binding.concerns("anything")


def test_a_binding_that_amqp_does_not_know_is_refused() -> None:
    """An exchange without a name has no bindings of its own, and a key has at most 255 bytes."""
    with pytest.raises(AddressingError, match="exchange name"):
        binding_tag("", "k")
    with pytest.raises(AddressingError, match="routing key"):
        binding_tag("e", "k" * 256)
