"""What is on the service, as boto3 lists it: the demo shows it, and checks that nothing temporary stays."""

from __future__ import annotations

from collections import defaultdict

import boto3
from rich.tree import Tree


def queues() -> list[str]:
    """Names of all SQS queues."""
    urls = boto3.client("sqs").list_queues().get("QueueUrls", [])
    return sorted(url.rpartition("/")[2] for url in urls)


def subscriptions() -> dict[str, list[tuple[str, str]]]:
    """(queue, filter policy) of all subscriptions, by topic."""
    sns = boto3.client("sns")
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for topic in sns.list_topics()["Topics"]:
        name = topic["TopicArn"].rpartition(":")[2]
        for row in sns.list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"]:
            attributes = sns.get_subscription_attributes(SubscriptionArn=row["SubscriptionArn"])["Attributes"]
            found[name].append((row["Endpoint"].rpartition(":")[2], attributes.get("FilterPolicy", "")))
        found[name].sort()
    return found


def tree(title: str) -> Tree:
    """Draw topics with the queues subscribed to them, then the queues no topic feeds."""
    drawn, fed = Tree(f"[bold]{title}"), set()
    for topic, rows in sorted(subscriptions().items()):
        branch = drawn.add(f"[cyan]topic[/] {topic}")
        for queue, policy in rows:
            fed.add(queue)
            branch.add(f"[green]queue[/] {queue}" + (f"  [dim]filter {policy}" if policy not in ("", "{}") else ""))
    alone = [queue for queue in queues() if queue not in fed]
    if alone:
        branch = drawn.add("[dim]no topic: reached through the default exchange")
        for queue in alone:
            branch.add(f"[green]queue[/] {queue}")
    return drawn
