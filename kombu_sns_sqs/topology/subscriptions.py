"""Subscriptions of queues to topics: found again by the tag that keeps their ARN, made, and taken away.

A queue with priorities has one for each level, the lowest first wherever several are given.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Kind, NotFound, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue, Topic
from kombu_sns_sqs.topology.filters import share_policy
from kombu_sns_sqs.topology.levels import Share, share_of
from kombu_sns_sqs.topology.tags import QueueTags


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as it was read: its filter policy, None where it has none, and whose share that is of."""

    arn: str
    policy: str | None
    share: Share | None


class Subscriptions:
    """The subscriptions one process made or found. Safe for threads."""

    def __init__(self, *, control: ControlPlane, directory: Directory, options: Options) -> None:
        self._control = control
        self._directory = directory
        self._options = options
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def remember(self, queue: Queue, topic: Topic, arns: Sequence[str]) -> None:
        """Note the ARNs of a queue's subscriptions to an exchange."""
        with self._lock:
            self._known[queue.name, topic.exchange] = tuple(arns)

    def forget(
        self, *, queue: str | None = None, exchange: str | None = None
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        """Drop what is remembered of a queue, an exchange, or the pair, and return it."""
        with self._lock:
            gone = {
                pair: arns
                for pair, arns in self._known.items()
                if (queue is None or pair[0] == queue) and (exchange is None or pair[1] == exchange)
            }
            for pair in gone:
                del self._known[pair]
        return gone

    def known(self, queue: str) -> list[str]:
        """Give the ARNs that are remembered of a queue."""
        with self._lock:
            return [arn for pair, arns in self._known.items() if pair[0] == queue for arn in arns]

    def has(self, queue: str, exchange: str) -> bool:
        """Whether a queue's subscriptions to an exchange are remembered."""
        return (queue, exchange) in self._known

    def find(self, queue: Queue, topic: Topic, tags: QueueTags) -> list[str]:
        """Give the ARNs of a queue's subscriptions to a topic that should be there; none where there is none."""
        known = self._known.get((queue.name, topic.exchange))
        first = known[0] if known else tags.subscription(topic.exchange)
        if first is None or not first.startswith(topic.arn + ":"):
            return []
        return list(known or (first, *(f"{topic.arn}:{one}" for one in tags.upper_ids(topic.exchange))))

    def read(self, topic: Topic, arn: str, share: Share | None = None) -> Subscription | None:
        """Read a subscription; None where it is gone."""
        reply = self._control.call(topic.identity, "sns", "get_subscription_attributes", SubscriptionArn=arn)
        if reply.failure is None:
            return Subscription(arn=arn, policy=reply.value["Attributes"].get("FilterPolicy"), share=share)
        if reply.failure.kind is Kind.MISSING:
            return None
        raise exception_for(reply.failure)

    def check(self, topic: Topic, found: Sequence[str]) -> list[Subscription | None]:
        """Read a queue's subscriptions to a topic, None for each that is gone; nothing where the lowest level's is."""
        read = [self.read(topic, arn, share_of(level, len(found))) for level, arn in enumerate(found)]
        return read if read and read[0] is not None else []

    def assure(self, queue: Queue, topic: Topic, checked: Sequence[Subscription | None]) -> list[str]:
        """Make the subscriptions that are missing, that of the lowest level last, and give the ARNs of all.

        A message that comes to the lowest has then come to the level it belongs to as well. ``checked`` is what there
        is of each level. One that was there, with a filter, may turn up: only the tag that tells of it was lost.

        Raises:
            NotFound: the exchange does not exist.
        """
        arns = ["" if one is None else one.arn for one in checked]
        for level in range(len(arns) - 1, -1, -1):
            arns[level] = arns[level] or self._make(self._endpoint(queue, level), topic, share_of(level, len(arns)))
        return arns

    def _endpoint(self, queue: Queue, level: int) -> str:
        """Give the ARN of the SQS queue of a level."""
        if not level:
            return queue.arn
        return self._directory.queue_arn(self._directory.level_name(queue, level))

    def _make(self, endpoint: str, topic: Topic, share: Share | None) -> str:
        """Subscribe an SQS queue to a topic and return the ARN, with no filter but the one on the share of its level.

        Raises:
            NotFound: the exchange does not exist.
        """
        policy = share_policy(share) if self._options.filter_policies else None
        reply = self._subscribe(endpoint, topic, {} if policy is None else {"FilterPolicy": policy.json})
        if reply.failure is not None and policy is not None and not reply.failure.kind.passing:
            # The 201st policy of a topic: without it all is right, only dearer.
            reply = self._subscribe(endpoint, topic, {})
        if reply.failure is None:
            return str(reply.value["SubscriptionArn"])
        if reply.failure.kind is Kind.MISSING:
            self._directory.forget_topic(topic.exchange)
            raise NotFound(f"NOT_FOUND - no exchange {topic.exchange!r}")
        if reply.failure.kind.passing:
            raise exception_for(reply.failure)
        # Subscribed already with other attributes (a filter), and the tag that would have told is lost.
        for queue_arn, arn in self.of_topic(topic):
            if queue_arn == endpoint:
                return arn
        raise exception_for(reply.failure)

    def _subscribe(self, endpoint: str, topic: Topic, attributes: dict[str, str]) -> Reply:
        return self._control.call(
            topic.identity,
            "sns",
            "subscribe",
            TopicArn=topic.arn,
            Protocol="sqs",
            Endpoint=endpoint,
            Attributes={"RawMessageDelivery": "true", **attributes},
            ReturnSubscriptionArn=True,
        )

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
