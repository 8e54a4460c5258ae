"""Filter policies: wider than the bindings where need be, narrower never."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import AddressingError
from kombu_sns_sqs.topology.filters import compile_policy, policy_covers, routing_attributes, share_policy
from kombu_sns_sqs.topology.levels import Share, priority_attributes
from kombu_sns_sqs.topology.patterns import exchange_matches

word = st.sampled_from(["a", "b", "", "cc", 'q"', "ü", "\\"])
patterns = st.lists(st.one_of(word, st.sampled_from(["*", "#"])), max_size=5).map(".".join)
routing_keys = st.lists(st.one_of(word, st.sampled_from(["*", "x"])), max_size=6).map(".".join)
bindings = st.lists(st.tuples(st.sampled_from(["direct", "topic"]), patterns), min_size=1, max_size=5)


def evaluate(policy_json: str, attributes: dict[str, dict[str, str]]) -> bool:
    """Decide as SNS documents it: every key of the policy must find one condition of its list fulfilled."""
    policy: dict[str, list[Any]] = json.loads(policy_json)
    return all(
        any(fulfils(attributes.get(key), condition, any_at_all=bool(attributes)) for condition in conditions)
        for key, conditions in policy.items()
    )


def fulfils(attribute: dict[str, str] | None, condition: Any, *, any_at_all: bool) -> bool:
    """Decide one condition on one attribute: that it is not there counts only beside others."""
    if condition == {"exists": False}:
        return attribute is None and any_at_all
    if attribute is None:
        return False
    value = attribute["StringValue"]
    if isinstance(condition, str):
        return attribute["DataType"] == "String" and value == condition
    ((operator, operand),) = condition.items()
    if operator == "prefix":
        return value.startswith(operand)
    if operator == "suffix":
        return value.endswith(operand)
    assert operator == "numeric", f"no policy of ours uses {operator}"
    number = float(value)
    compare = {"=": number.__eq__, ">=": number.__ge__, "<=": number.__le__}
    return all(compare[relation](bound) for relation, bound in zip(operand[::2], operand[1::2], strict=True))


def passes(bound: list[tuple[str, str]], routing_key: str) -> bool:
    """Whether the policy compiled for the bindings lets a message with this key pass."""
    policy = compile_policy(bound)
    return policy is None or evaluate(policy.json, routing_attributes(routing_key))


@given(bound=bindings, routing_key=routing_keys)
@example(bound=[("topic", "a.#")], routing_key="a")
@example(bound=[("topic", ".#")], routing_key=".")
@example(bound=[("topic", "#.")], routing_key="a.")
@example(bound=[("direct", "")], routing_key="")
def test_whatever_a_binding_takes_passes_the_policy(bound: list[tuple[str, str]], routing_key: str) -> None:
    """A policy that withheld one message of a binding would lose it."""
    if any(exchange_matches(kind, key, routing_key) for kind, key in bound):
        assert passes(bound, routing_key)


@given(bound=bindings, routing_key=routing_keys)
@example(bound=[("topic", "a.*"), ("topic", "b.*.*")], routing_key="a.x.x")
@example(bound=[("topic", ".#")], routing_key="")
@example(bound=[("topic", "*"), ("topic", "a.b.#")], routing_key="x.x")
def test_an_exact_policy_lets_nothing_else_pass(bound: list[tuple[str, str]], routing_key: str) -> None:
    """What says it is exact is."""
    policy = compile_policy(bound)
    if policy is not None and policy.exact:
        taken = any(exchange_matches(kind, key, routing_key) for kind, key in bound)
        assert evaluate(policy.json, routing_attributes(routing_key)) is taken


@pytest.mark.parametrize(
    ("bound", "written", "exact"),
    [
        (["a.b"], {"rk": [".a.b."]}, True),
        (["b", "a"], {"rk": [".a.", ".b."]}, True),
        ([""], {"rk": [".."]}, True),
        (["a.#"], {"rk": [{"prefix": ".a."}]}, True),
        (["#.b"], {"rk": [{"suffix": ".b."}]}, True),
        (["a.*"], {"n": [{"numeric": ["=", 2]}], "rk": [{"prefix": ".a."}]}, True),
        (["a.*.#"], {"n": [{"numeric": [">=", 2]}], "rk": [{"prefix": ".a."}]}, True),
        (["*.*"], {"n": [{"numeric": ["=", 2]}]}, True),
        (["*.#"], {"n": [{"numeric": [">=", 1]}]}, True),
        (["a.*.ccc"], {"n": [{"numeric": ["=", 3]}], "rk": [{"suffix": ".ccc."}]}, False),
        (["*.b.*"], {"n": [{"numeric": ["=", 3]}]}, False),
        (["a.*", "a.#"], {"rk": [{"prefix": ".a."}]}, True),
        (["a.#", "a.b"], {"rk": [{"prefix": ".a."}]}, True),
        (
            ["a.*", "b.*.*"],
            {"n": [{"numeric": [">=", 2, "<=", 3]}], "rk": [{"prefix": ".a."}, {"prefix": ".b."}]},
            False,
        ),
        (["*", "*.*.*"], {"n": [{"numeric": ["=", 1]}, {"numeric": ["=", 3]}]}, True),
        (["*", "a.b"], {"n": [{"numeric": [">=", 1, "<=", 2]}]}, False),
        (['a."'], {"n": [{"numeric": ["=", 2]}], "rk": [{"prefix": ".a."}]}, False),
        (["a.ü.b.c"], {"n": [{"numeric": ["=", 4]}], "rk": [{"suffix": ".b.c."}]}, False),
    ],
)
def test_a_policy_is_as_narrow_as_its_operators_allow(bound: list[str], written: dict[str, Any], exact: bool) -> None:
    """Literal ends of the patterns, and the count of words where that tells more."""
    policy = compile_policy([("topic", key) for key in bound])
    assert policy is not None
    assert json.loads(policy.json) == written
    assert policy.exact is exact


@pytest.mark.parametrize(
    "bound",
    [
        [],
        [("fanout", "")],
        [("topic", "#")],
        [("topic", "a"), ("topic", "#")],
        [("topic", "#.#")],
        [("direct", "a"), ("direct", None)],
        [("headers", "a")],
        [("topic", "*"), ("topic", "*.*.#"), ("direct", "")],
    ],
)
def test_where_everything_may_be_wanted_there_is_no_filter(bound: list[tuple[str, str | None]]) -> None:
    """No filter is the policy that never withholds."""
    assert compile_policy(bound) is None


def test_wildcards_mean_nothing_in_a_direct_binding() -> None:
    """A direct exchange compares."""
    policy = compile_policy([("direct", "a.*"), ("direct", "#")])
    assert policy is not None
    assert json.loads(policy.json) == {"rk": [".#.", ".a.*."]}


@given(bound=bindings)
def test_the_same_bindings_make_the_same_policy_in_any_order(bound: list[tuple[str, str]]) -> None:
    """Two processes that derive the policy of one queue write one text."""
    policy, again = compile_policy(bound), compile_policy(reversed(bound + bound))
    assert (policy and policy.json) == (again and again.json)


@given(bound=st.lists(st.tuples(st.just("topic"), patterns), min_size=1, max_size=300))
def test_a_policy_keeps_the_limits_of_sns(bound: list[tuple[str, str]]) -> None:
    """Keys, combinations and bytes are those SNS accepts."""
    policy = compile_policy(bound)
    if policy is not None:
        written = json.loads(policy.json)
        combinations = 1
        for conditions in written.values():
            combinations *= len(conditions)
        assert combinations == policy.combinations <= quotas.MAX_FILTER_COMBINATIONS
        assert len(written) <= quotas.MAX_FILTER_KEYS
        assert len(policy.json.encode()) <= quotas.MAX_FILTER_BYTES


@pytest.mark.parametrize("count", [150, 151])
def test_more_keys_than_sns_takes_leave_a_wider_policy(count: int) -> None:
    """The 151st key of a queue makes the filter wider, not the declaration fail."""
    bound = [("direct", f"key{number}") for number in range(count)]
    policy = compile_policy(bound)
    assert policy is not None
    assert ("rk" in json.loads(policy.json)) is (count <= quotas.MAX_FILTER_COMBINATIONS)
    assert all(evaluate(policy.json, routing_attributes(key)) for _, key in bound)


def test_combinations_too_many_for_both_attributes_leave_one() -> None:
    """With 60 prefixes and three runs of counts, the prefixes alone still fit."""
    bound = [("topic", f"key{number}" + ".*" * (number % 3 * 2 + 1)) for number in range(60)]
    policy = compile_policy(bound)
    assert policy is not None
    assert json.loads(policy.json).keys() == {"rk"}
    assert not policy.exact


def test_more_than_a_policy_can_state_leaves_no_filter() -> None:
    """What is left when even the counts of words cover everything."""
    bound = [("topic", f"key{number}.#") for number in range(151)]
    policy = compile_policy(bound)
    assert policy is None or not {"rk"} & json.loads(policy.json).keys()


# -- a policy read back -------------------------------------------------------------------------------------


@given(bound=bindings, more=bindings)
def test_a_policy_covers_the_bindings_it_was_compiled_for_and_any_part_of_them(
    bound: list[tuple[str, str]], more: list[tuple[str, str]]
) -> None:
    """So it need not be written again."""
    policy = compile_policy(bound + more)
    assert policy_covers(policy and policy.json, bound)
    assert policy_covers(policy and policy.json, [])


@given(bound=bindings, other=bindings, routing_key=routing_keys)
def test_a_policy_that_is_said_to_cover_withholds_nothing(
    bound: list[tuple[str, str]], other: list[tuple[str, str]], routing_key: str
) -> None:
    """Whether it was compiled for these bindings or for others."""
    policy = compile_policy(other)
    if policy_covers(policy and policy.json, bound) and any(
        exchange_matches(kind, key, routing_key) for kind, key in bound
    ):
        assert passes(other, routing_key)


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_policy_covers_everything(nothing: str | None) -> None:
    """A subscription without a filter receives all there is."""
    assert policy_covers(nothing, [("fanout", ""), ("topic", "#"), ("direct", None)])


@pytest.mark.parametrize(
    "written",
    [
        "not json",
        "[]",
        '{"rk": ".a."}',
        '{"rk": []}',
        '{"rk": [".a."], "tenant": ["x"]}',
        '{"rk": [{"wildcard": ".a*"}, ".a."]}',
        '{"rk": [{"prefix": ".a.", "suffix": "."}]}',
        '{"rk": [".b."]}',
        '{"n": ["1"]}',
        '{"n": [{"numeric": ["<", 3]}]}',
        '{"n": [{"numeric": ["=", 2]}]}',
        '{"n": [{"numeric": [">=", 0, "<=", 0]}]}',
        '{"rk": [".a."], "n": [{"exists": true}]}',
    ],
)
def test_a_policy_that_withholds_or_cannot_be_read_covers_nothing(written: str) -> None:
    """It is rewritten rather than trusted."""
    assert not policy_covers(written, [("direct", "a")])


def test_a_filter_does_not_cover_a_binding_that_takes_everything() -> None:
    """A fanout binding, or one whose key is not known, needs the filter gone."""
    written = '{"rk":[{"prefix":"."}]}'
    assert policy_covers(written, [("direct", "a")])
    assert not policy_covers(written, [("direct", None)])
    assert not policy_covers(written, [("fanout", "a")])


# -- levels -------------------------------------------------------------------------------------------------

shares = st.integers(2, 10).flatmap(
    lambda levels: st.builds(Share, level=st.integers(0, levels - 1), levels=st.just(levels))
)


@given(bound=bindings, routing_key=routing_keys, share=shares, priority=st.integers(0, 12))
def test_a_level_is_sent_its_share_of_what_the_bindings_take(
    bound: list[tuple[str, str]], routing_key: str, share: Share, priority: int
) -> None:
    """All of that, and with a policy that speaks of the priority nothing that is another level's."""
    policy = compile_policy(bound, share)
    attributes = {**routing_attributes(routing_key), **priority_attributes(priority)}
    sent = policy is None or evaluate(policy.json, attributes)
    if share.takes(priority):
        without = compile_policy(bound)
        assert sent == (without is None or evaluate(without.json, attributes) or policy == share_policy(share))
    elif policy is not None:
        assert not sent


@given(bound=bindings | st.just([("fanout", "")]), share=shares, other=shares)
def test_a_policy_of_a_level_covers_that_level_alone(bound: list[tuple[str, str]], share: Share, other: Share) -> None:
    """Another level's, or one of a queue without levels, is written anew."""
    policy = compile_policy(bound, share)
    assert policy_covers(policy and policy.json, bound, share)
    if policy is not None and share.conditions != other.conditions:
        assert not policy_covers(policy.json, bound, other)
        assert not policy_covers(policy.json, bound)


def test_the_lowest_level_is_never_filtered_by_priority_alone() -> None:
    """That an attribute is not there does not match a message without any, which is what strangers publish."""
    lowest, upper = Share(level=0, levels=3), Share(level=1, levels=3)
    assert compile_policy([("fanout", "")], lowest) is None
    assert compile_policy([("topic", "#")], lowest) is None
    policy = compile_policy([("topic", "#")], upper)
    assert policy is not None
    assert json.loads(policy.json) == {"kombu-priority": [{"numeric": ["=", 1]}]}


def test_a_policy_of_a_level_keeps_to_the_limits() -> None:
    """Its conditions count towards the combinations; what does not fit any more is left to the level alone."""
    bound = [("direct", f"k{number}") for number in range(100)]
    assert compile_policy(bound) is not None
    assert (
        compile_policy(bound, Share(level=0, levels=3)) is None
        or compile_policy(bound, Share(level=0, levels=3)).combinations <= quotas.MAX_FILTER_COMBINATIONS
    )
    highest = compile_policy(bound, Share(level=2, levels=3))
    assert highest is not None
    assert json.loads(highest.json)["kombu-priority"] == [{"numeric": [">=", 2]}]


# -- attributes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "text", "count"), [("", "..", "0"), ("a", ".a.", "1"), ("a..b", ".a..b.", "3")])
def test_a_message_carries_its_key_between_dots_and_its_count_of_words(key: str, text: str, count: str) -> None:
    """The attribute is never empty, which SNS would refuse."""
    assert routing_attributes(key) == {
        "rk": {"DataType": "String", "StringValue": text},
        "n": {"DataType": "Number", "StringValue": count},
    }


@pytest.mark.parametrize("key", ["x" * 256, "a\0"])
def test_a_key_that_aws_would_refuse_is_refused_here(key: str) -> None:
    """The error comes before the request."""
    with pytest.raises(AddressingError, match="routing key"):
        routing_attributes(key)
