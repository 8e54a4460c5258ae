"""Subscriptions of queues to topics: found again by the tag that keeps their ARN, made, and taken away."""

from __future__ import annotations

import threading

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind, NotFound, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue, Topic
from kombu_sns_sqs.topology.tags import QueueTags


class Subscriptions:
    """The subscriptions one process made or found. Safe for threads."""

    def __init__(self, *, control: ControlPlane, directory: Directory) -> None:
        self._control = control
        self._directory = directory
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], str] = {}

    def known(self, queue: str, exchange: str) -> str | None:
        """Give the ARN that is remembered for a queue and an exchange."""
        return self._known.get((queue, exchange))

    def remember(self, queue: Queue, topic: Topic, arn: str) -> None:
        """Note the ARN of a subscription."""
        with self._lock:
            self._known[queue.name, topic.exchange] = arn

    def forget(self, *, queue: str | None = None, exchange: str | None = None) -> dict[tuple[str, str], str]:
        """Drop what is remembered of a queue, an exchange, or the pair, and return it."""
        with self._lock:
            gone = {
                pair: arn
                for pair, arn in self._known.items()
                if (queue is None or pair[0] == queue) and (exchange is None or pair[1] == exchange)
            }
            for pair in gone:
                del self._known[pair]
        return gone

    def find(self, queue: Queue, topic: Topic, tags: QueueTags) -> tuple[str | None, str | None]:
        """Find a queue's subscription to a topic, and its filter policy; None, None where there is none."""
        arn = self.known(queue.name, topic.exchange) or tags.subscription(topic.exchange)
        if arn is None or not arn.startswith(topic.arn + ":"):
            return None, None
        return self.read(topic, arn)

    def read(self, topic: Topic, arn: str) -> tuple[str | None, str | None]:
        """Read a subscription: its ARN and its filter policy; None, None where it is gone."""
        reply = self._control.call(topic.identity, "sns", "get_subscription_attributes", SubscriptionArn=arn)
        if reply.failure is None:
            return arn, reply.value["Attributes"].get("FilterPolicy")
        if reply.failure.kind is Kind.MISSING:
            return None, None
        raise exception_for(reply.failure)

    def make(self, queue: Queue, topic: Topic) -> str:
        """Subscribe a queue to a topic, without a filter, and return the ARN.

        Raises:
            NotFound: the exchange does not exist.
        """
        reply = self._control.call(
            topic.identity,
            "sns",
            "subscribe",
            TopicArn=topic.arn,
            Protocol="sqs",
            Endpoint=queue.arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        if reply.failure is None:
            return str(reply.value["SubscriptionArn"])
        if reply.failure.kind is Kind.MISSING:
            self._directory.forget_topic(topic.exchange)
            raise NotFound(f"NOT_FOUND - no exchange {topic.exchange!r}")
        # Subscribed already with other attributes (a filter), and the tag that would have told is lost.
        for endpoint, arn in self.of_topic(topic):
            if endpoint == queue.arn:
                return arn
        raise exception_for(reply.failure)

    def remove(self, identity: Identity, arn: str) -> None:
        """Unsubscribe; what is gone already is no error."""
        reply = self._control.call(identity, "sns", "unsubscribe", SubscriptionArn=arn)
        if reply.failure is not None and reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)

    def of_topic(self, topic: Topic) -> list[tuple[str, str]]:
        """List (ARN of the queue, ARN of the subscription) for all queues subscribed to a topic."""
        rows = self._control.pages(
            topic.identity, "sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic.arn
        )
        return [
            (row["Endpoint"], row["SubscriptionArn"])
            for row in rows
            if row.get("Protocol") == "sqs" and row["SubscriptionArn"].startswith("arn:")
        ]
