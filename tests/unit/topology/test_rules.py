"""Conditions of a filter policy on the routing key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.topology.patterns import words
from kombu_sns_sqs.topology.rules import Operator, Rule, dotted, parse_rule

keys = st.lists(st.sampled_from(["a", "b", ""]), max_size=4).map(".".join)
rules = st.builds(
    lambda operator, key: Rule(operator=operator, text=dotted(words(key))), st.sampled_from(Operator), keys
)


def fulfils(rule: Rule, key: str) -> bool:
    """Decide as SNS does."""
    text = dotted(words(key))
    decide = {Operator.EXACT: text.__eq__, Operator.PREFIX: text.startswith, Operator.SUFFIX: text.endswith}
    return bool(decide[rule.operator](rule.text))


def exact(text: str) -> Rule:
    """Require the whole."""
    return Rule(operator=Operator.EXACT, text=text)


def prefix(text: str) -> Rule:
    """Require the beginning."""
    return Rule(operator=Operator.PREFIX, text=text)


def suffix(text: str) -> Rule:
    """Require the end."""
    return Rule(operator=Operator.SUFFIX, text=text)


@pytest.mark.parametrize(
    ("rule", "other", "covers"),
    [
        (prefix(".a."), prefix(".a."), True),
        (prefix(".a."), prefix(".a.b."), True),
        (prefix(".a."), exact(".a.b."), True),
        (prefix(".a."), suffix(".a.b."), False),
        (prefix(".a.b."), prefix(".a."), False),
        (suffix(".a."), suffix(".b.a."), True),
        (suffix(".a."), exact(".b.a."), True),
        (suffix(".a."), suffix(".a.b."), False),
        (suffix(".a."), prefix(".b.a."), False),
        (exact(".a."), exact(".a."), True),
        (exact(".a."), prefix(".a."), False),
        (exact(".a."), exact(".a.b."), False),
    ],
)
def test_a_rule_covers_another_that_asks_for_more(rule: Rule, other: Rule, covers: bool) -> None:
    """A policy can leave out what another of its rules lets pass already."""
    assert rule.covers(other) is covers


@given(rule=rules, other=rules, key=keys)
def test_what_a_covered_rule_lets_pass_passes_the_covering_one(rule: Rule, other: Rule, key: str) -> None:
    """Leaving the covered rule out withholds nothing."""
    if rule.covers(other) and fulfils(other, key):
        assert fulfils(rule, key)


@given(rule=rules, key=keys)
def test_a_key_that_fulfils_a_rule_has_a_possible_count_of_words(rule: Rule, key: str) -> None:
    """Dropping the counts of a policy on this ground widens nothing."""
    if fulfils(rule, key):
        assert len(words(key)) in rule.possible_counts()


@given(rule=rules)
def test_a_rule_is_read_back_as_it_was_written(rule: Rule) -> None:
    """A policy on AWS tells which keys it lets pass."""
    assert parse_rule(rule.write()) == rule


@pytest.mark.parametrize(
    "written", [3, None, [".a."], {}, {"prefix": 3}, {"prefix": "a", "suffix": "b"}, {"exists": True}]
)
def test_a_rule_of_another_shape_is_not_read(written: object) -> None:
    """Guessing at it could withhold messages."""
    assert parse_rule(written) is None
