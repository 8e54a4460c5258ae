"""Counts of words as conditions of a filter policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.topology.word_counts import MAX_WORDS, any_from, parse_counts, write_counts


@pytest.mark.parametrize(
    ("counts", "written"),
    [
        ({2}, [["=", 2]]),
        ({1, 2, 3}, [[">=", 1, "<=", 3]]),
        ({1, 3}, [["=", 1], ["=", 3]]),
        ({1} | any_from(4), [["=", 1], [">=", 4]]),
        ({3} | any_from(4), [[">=", 3]]),
        (any_from(0), [[">=", 0]]),
    ],
)
def test_a_set_of_counts_is_written_in_as_few_conditions_as_will_do(
    counts: set[int], written: list[list[str | int]]
) -> None:
    """Every condition counts towards the 150 combinations of a policy."""
    assert write_counts(frozenset(counts)) == [{"numeric": condition} for condition in written]


@given(counts=st.frozensets(st.integers(0, MAX_WORDS)))
def test_what_was_written_is_read_back(counts: frozenset[int]) -> None:
    """A policy on AWS tells which counts it lets pass."""
    assert parse_counts(write_counts(counts)) == counts


def test_no_routing_key_has_more_words_than_the_highest_count() -> None:
    """255 dots part 256 words."""
    assert len(("." * 255).split(".")) == MAX_WORDS
    assert max(any_from(0)) == MAX_WORDS


@pytest.mark.parametrize(
    "condition",
    [3, "3", {"numeric": ["<=", 3]}, {"numeric": ["=", "3"]}, {"numeric": [">=", 1, "<", 3]}, {"exists": True}, {}],
)
def test_a_condition_of_another_shape_is_not_read(condition: object) -> None:
    """Guessing at it could withhold messages."""
    assert parse_counts([{"numeric": ["=", 1]}, condition]) is None
