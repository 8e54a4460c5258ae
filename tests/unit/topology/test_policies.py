"""The access policy of a queue."""

from __future__ import annotations

import json

import pytest

from kombu_sns_sqs.errors import AddressingError, NotEquivalent
from kombu_sns_sqs.topology.policies import (
    MAX_POLICY_STATEMENTS,
    merge_statement,
    partition_of,
    sns_statement,
    topics_arn,
)

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:app-celery"
TOPICS = "arn:aws:sns:eu-central-1:123456789012:app-*"
STATEMENT = sns_statement(queue_arn=QUEUE, topics_arn=TOPICS, account_id="123456789012")
FOREIGN = {"Sid": "theirs", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE}


def test_a_queue_of_ours_takes_what_sns_sends_from_our_topics() -> None:
    """One statement for all topics of the prefix, those of the account alone."""
    policy = json.loads(merge_statement(None, STATEMENT) or "")
    (statement,) = policy["Statement"]
    assert statement.pop("Sid").isalnum()
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
        "Condition": {"ArnLike": {"aws:SourceArn": TOPICS}, "StringEquals": {"aws:SourceAccount": "123456789012"}},
    }
    assert policy["Version"] == "2012-10-17"


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-central-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_an_arn_names_the_partition_of_its_region(region: str, partition: str) -> None:
    """China, GovCloud and the sovereign clouds have ARNs of their own."""
    assert partition_of(region) == partition
    assert topics_arn(region=region, account_id="1", prefix="app-") == f"arn:{partition}:sns:{region}:1:app-*"


def test_the_partitions_are_those_botocore_knows() -> None:
    """A region of the installed botocore is placed as botocore places it."""
    import botocore.session  # noqa: PLC0415 - what is assumed of botocore is asked of botocore

    session = botocore.session.get_session()
    regions = {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sqs", partition_name=partition)
    }
    assert regions
    assert {region: partition_of(region) for region in regions} == regions


def test_a_prefix_cannot_smuggle_a_wildcard_into_the_policy() -> None:
    """The prefix is held to the characters of a name."""
    with pytest.raises(AddressingError):
        topics_arn(region="eu-central-1", account_id="1", prefix="*")


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_queue_without_a_policy_gets_one(nothing: str | None) -> None:
    """Then the statement is all there is."""
    merged = merge_statement(nothing, STATEMENT)
    assert merged is not None
    assert json.loads(merged)["Statement"] == [STATEMENT]


@pytest.mark.parametrize("statements", [[FOREIGN], FOREIGN])
def test_what_is_in_a_policy_stays_in_it(statements: object) -> None:
    """Not ours to judge, not ours to lose; one statement alone may stand without a list."""
    existing = {"Version": "2008-10-17", "Id": "theirs", "Statement": statements}
    merged = merge_statement(json.dumps(existing), STATEMENT)
    assert merged is not None
    assert json.loads(merged) == {"Version": "2008-10-17", "Id": "theirs", "Statement": [FOREIGN, STATEMENT]}


@pytest.mark.parametrize("sid", ["KombuSns", "theirs"])
def test_a_statement_that_is_there_already_is_not_added(sid: str) -> None:
    """A change would take up to a minute to act, for nothing."""
    existing = json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN, {**STATEMENT, "Sid": sid}]})
    assert merge_statement(existing, STATEMENT) is None


def test_statements_for_two_topics_stand_side_by_side() -> None:
    """Their Sids differ, as SQS demands within one policy."""
    other = sns_statement(queue_arn=QUEUE, topics_arn=TOPICS.replace("app-", "b-"), account_id="123456789012")
    merged = merge_statement(merge_statement(None, STATEMENT), other)
    assert merged is not None
    assert len({statement["Sid"] for statement in json.loads(merged)["Statement"]}) == 2


@pytest.mark.parametrize("unreadable", ["{", "[]", '"x"', '{"Statement": "x"}', '{"Statement": ["x"]}'])
def test_a_policy_that_cannot_be_read_is_left_alone(unreadable: str) -> None:
    """Writing over it could lock its owner out."""
    with pytest.raises(NotEquivalent, match="cannot be read"):
        merge_statement(unreadable, STATEMENT)


@pytest.mark.parametrize(
    "statements", [[FOREIGN] * MAX_POLICY_STATEMENTS, [{**FOREIGN, "Sid": "x" * 7_900}]], ids=["statements", "bytes"]
)
def test_a_full_policy_is_an_error_that_says_so(statements: list[object]) -> None:
    """SQS would refuse the longer one, and deliver nothing from the new topic."""
    with pytest.raises(NotEquivalent, match="no room"):
        merge_statement(json.dumps({"Statement": statements}), STATEMENT)
