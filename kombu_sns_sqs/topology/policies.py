"""The access policy of a queue: what lets SNS deliver to it.

A queue of ours gets its policy in CreateQueue and keeps it: one statement for all topics under the name prefix, so
that a new binding changes nothing. A changed policy takes up to 60 seconds to act, and SNS discards without a word
what the policy forbids. A queue that is not ours gets a statement added to what is there.

* https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
* https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from kombu_sns_sqs.addressing import check_prefix, digest
from kombu_sns_sqs.errors import NotEquivalent

__all__ = (
    "MAX_POLICY_BYTES",
    "MAX_POLICY_STATEMENTS",
    "Statement",
    "merge_statement",
    "partition_of",
    "sns_statement",
    "topics_arn",
)

#: Bytes of a queue's access policy, and statements in it.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
MAX_POLICY_BYTES: Final = 8_192
MAX_POLICY_STATEMENTS: Final = 20

_VERSION: Final = "2012-10-17"

#: How the names of a partition's regions begin; all others are of the partition ``aws``.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
_PARTITIONS: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)

#: One statement of a policy, as JSON has it.
Statement: TypeAlias = dict[str, Any]


def partition_of(region: str) -> str:
    """Name the partition a region belongs to, as ARNs have it."""
    return next((partition for head, partition in _PARTITIONS if region.startswith(head)), "aws")


def topics_arn(*, region: str, account_id: str, prefix: str = "") -> str:
    """Give the ARN pattern of all topics whose names begin with the prefix.

    Raises:
        AddressingError: the prefix cannot begin a name.
    """
    check_prefix(prefix)
    return f"arn:{partition_of(region)}:sns:{region}:{account_id}:{prefix}*"


def sns_statement(*, queue_arn: str, topics_arn: str, account_id: str) -> Statement:
    """State that SNS may send to a queue what comes from the given topics.

    Args:
        queue_arn: the one queue.
        topics_arn: ARN of one topic, or a pattern of :func:`topics_arn`.
        account_id: the account that owns the topics; with it another account's topic of a like name stays out.
    """
    allowed: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": topics_arn},
            "StringEquals": {"aws:SourceAccount": account_id},
        },
    }
    return {"Sid": f"KombuSns{digest(_canonical(allowed))[:16]}", **allowed}


def merge_statement(existing: str | None, statement: Statement) -> str | None:
    """Add a statement to a policy and keep all that is there.

    Args:
        existing: the policy as SQS gives it; None or empty where the queue has none.
        statement: what is to be allowed.

    Returns:
        The policy to set, or None where the statement is there already, under whatever Sid.

    Raises:
        NotEquivalent: the policy cannot be read, or has no room for one more statement.
    """
    policy: dict[str, Any] = _read(existing) if existing else {"Version": _VERSION, "Statement": []}
    present: list[Statement] = policy["Statement"]
    if any(_without_sid(one) == _without_sid(statement) for one in present):
        return None
    merged = json.dumps({**policy, "Statement": [*present, statement]}, separators=(",", ":"), ensure_ascii=False)
    size = len(merged.encode())
    if size > MAX_POLICY_BYTES or len(present) >= MAX_POLICY_STATEMENTS:
        raise NotEquivalent(
            f"the queue's access policy has no room for {len(present) + 1} statements in {size} bytes (SQS takes "
            f"{MAX_POLICY_STATEMENTS} in {MAX_POLICY_BYTES}): put a wider statement in it by hand"
        )
    return merged


def _read(existing: str) -> dict[str, Any]:
    """Read a policy; its statements are a list afterwards, as one alone may stand without it."""
    try:
        policy = json.loads(existing)
    except ValueError:
        policy = None
    statements = policy.get("Statement", []) if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
        raise NotEquivalent(f"the queue's access policy cannot be read, so nothing was added to it: {existing[:200]}")
    return {**policy, "Statement": statements}


def _without_sid(statement: Statement) -> str:
    return _canonical({key: value for key, value in statement.items() if key != "Sid"})


def _canonical(statement: Statement) -> str:
    return json.dumps(statement, separators=(",", ":"), sort_keys=True)
