"""Which routing keys a binding takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.topology.patterns import exchange_matches, matches, words

patterns = st.lists(st.sampled_from(["a", "b", "", "*", "#", "a*"]), max_size=7).map(".".join)
keys = st.lists(st.sampled_from(["a", "b", "", "c", "a*", "#"]), max_size=7).map(".".join)

#: (pattern, key, taken), every line as RabbitMQ 3.10 answers it.
TABLE = [
    ("a.b", "a.b", True),
    ("a.b", "a.b.c", False),
    ("a.*", "a.b", True),
    ("a.*", "a", False),
    ("a.*", "a.", True),
    ("a.*", "a.b.c", False),
    ("*", "", False),
    ("*", "a", True),
    ("*.*", ".", True),
    ("a.#", "a", True),
    ("a.#", "a.b.c", True),
    ("a.#", "ab", False),
    ("#", "", True),
    ("#", "a.b", True),
    ("#.b", "b", True),
    ("#.b", "a.b", True),
    ("#.b", "a.b.c", False),
    ("a.#.c", "a.c", True),
    ("a.#.c", "a.b.b.c", True),
    ("#.#", "", True),
    ("#.*", "", False),
    ("*.#", "a", True),
    ("a.*.#.c", "a.c", False),
    ("a.*.#.c", "a.b.c", True),
    ("", "", True),
    ("", "a", False),
    ("", ".", False),
    ("a.", "a.", True),
    ("a.", "a", False),
    (".#", "", False),
    (".#", ".", True),
    ("a*", "ab", False),
    ("a*", "a*", True),
    ("a#.b", "a.b", False),
    ("A", "a", False),
]


@pytest.mark.parametrize(("pattern", "key", "taken"), TABLE)
def test_a_topic_binding_takes_what_rabbitmq_lets_it_take(pattern: str, key: str, taken: bool) -> None:
    """The table was compared with a RabbitMQ node."""
    assert matches(pattern, key) is taken


def by_definition(pattern: list[str], key: list[str]) -> bool:
    """Match the way the specification puts it: word by word, trying every length for a ``#``."""
    if not pattern:
        return not key
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(by_definition(rest, key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and first in ("*", key[0]) and by_definition(rest, key[1:])


@given(pattern=patterns, key=keys)
def test_every_pattern_matches_by_its_definition(pattern: str, key: str) -> None:
    """The fast matcher and the plain recursive one agree."""
    assert matches(pattern, key) is by_definition(words(pattern), words(key))


@given(key=keys)
def test_a_pattern_without_wildcards_takes_its_own_key_alone(key: str) -> None:
    """A topic exchange can stand in for a direct one."""
    literal = re.sub(r"[*#]", "x", key)
    assert matches(literal, literal)
    assert not matches(literal, f"{literal}.more")


def test_a_pattern_of_many_wildcards_is_decided_at_once() -> None:
    """No pattern makes the matcher try every way to split a key: 2**120 of them would never end."""
    assert not matches(".".join(["#", "a"] * 60), ".".join(["a"] * 120 + ["b"]))


@pytest.mark.parametrize(
    ("exchange_type", "binding_key", "key", "routed"),
    [
        ("direct", "a.b", "a.b", True),
        ("direct", "a.*", "a.b", False),
        ("direct", "a.*", "a.*", True),
        ("direct", "", "", True),
        ("topic", "a.*", "a.b", True),
        ("topic", "a.*", "b.b", False),
        ("fanout", "whatever", "else", True),
    ],
)
def test_each_type_of_exchange_routes_in_its_own_way(
    exchange_type: str, binding_key: str, key: str, routed: bool
) -> None:
    """Direct compares, topic matches, fanout does not look."""
    assert exchange_matches(exchange_type, binding_key, key) is routed


def test_an_unknown_type_of_exchange_is_refused() -> None:
    """A headers exchange must not silently route like another."""
    with pytest.raises(ValueError, match="headers"):
        exchange_matches("headers", "a", "a")
