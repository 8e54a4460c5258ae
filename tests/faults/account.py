"""The service as somebody else sees it, who knows nothing of this transport."""

from __future__ import annotations

import boto3


class Account:
    """What a stranger sees of the service, by clients of his own."""

    def __init__(self, endpoint_url: str, prefix: str) -> None:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.prefix = prefix
        self.sqs = boto3.client("sqs", endpoint_url=endpoint_url, region_name="us-east-1", **keys)
        self.sns = boto3.client("sns", endpoint_url=endpoint_url, region_name="us-east-1", **keys)

    def url(self, queue: str) -> str:
        """The URL of a queue."""
        return str(self.sqs.get_queue_url(QueueName=self.prefix + queue)["QueueUrl"])

    def messages(self, queue: str) -> int:
        """How many messages a queue has, those that somebody holds included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def tags(self, queue: str) -> dict[str, str]:
        """The tags of a queue."""
        return dict(self.sqs.list_queue_tags(QueueUrl=self.url(queue)).get("Tags") or {})

    def binding_tags(self, queue: str) -> list[str]:
        """What its binding tags say."""
        return sorted(value for key, value in self.tags(queue).items() if key.startswith("kombu:b:"))

    def subscriptions(self, queue: str) -> list[str]:
        """The ARNs of a queue's subscriptions."""
        rows = self.sns.get_paginator("list_subscriptions").paginate().build_full_result()["Subscriptions"]
        return [row["SubscriptionArn"] for row in rows if row["Endpoint"].endswith(f":{self.prefix}{queue}")]

    def policy(self, queue: str) -> str | None:
        """The filter policy of a queue's only subscription; None where it has none."""
        (arn,) = self.subscriptions(queue)
        policy = self.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"].get("FilterPolicy")
        return None if policy in (None, "", "{}") else str(policy)

    def all_subscriptions(self) -> set[str]:
        """The ARNs of the subscriptions of all queues under the prefix."""
        rows = self.sns.get_paginator("list_subscriptions").paginate().build_full_result()["Subscriptions"]
        return {row["SubscriptionArn"] for row in rows if f":{self.prefix}" in row["Endpoint"]}
