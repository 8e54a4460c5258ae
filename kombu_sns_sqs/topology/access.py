"""The access policies of queues: one of our own is made open to SNS; of others, whatever else a policy says stays."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import NotEquivalent
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Lifetime, Queue, Topic
from kombu_sns_sqs.topology.policies import Statement, merge_statement, sns_statement, topics_arn

logger = logging.getLogger(__name__)


class Access:
    """Opens queues to SNS. Safe for threads."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        directory: Directory,
        options: Options,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._control = control
        self._directory = directory
        self._options = options
        self._sleep = sleep
        self._lock = threading.Lock()
        self._policies: dict[str, str] = {}

    def of_new_queue(self, queue_arn: str, given: str | None = None) -> str:
        """Write the policy that a queue is made with, so that nothing has to settle when it is bound.

        It lets in our topics, and as many predefined ones as have room; ``given`` is what the options say beside that.
        """
        policy = given or ""
        for topic in ("", *(exchange.arn for exchange in self._options.predefined_exchanges)):
            try:
                policy = merge_statement(policy, self._statement(queue_arn, topic)) or policy
            except NotEquivalent:
                break  # To the others it is opened when it is bound to one of them.
        return policy

    def policy_is(self, url: str, policy: str | None) -> None:
        """Note the access policy of a queue as it was read, or written."""
        with self._lock:
            self._policies[url] = policy or ""

    def forget(self, queue: Queue) -> None:
        """Drop what is remembered of a queue."""
        with self._lock:
            for url in queue.urls:
                self._policies.pop(url, None)

    def _statement(self, queue_arn: str, topic_arn: str) -> Statement:
        """State what lets a topic's messages in: all of ours have one, which is that of no topic, too."""
        account = self._directory.account_id()
        ours = topics_arn(region=self._directory.region, account_id=account, prefix=self._options.queue_name_prefix)
        if topic_arn and not topic_arn.startswith(ours[:-1]):
            return sns_statement(queue_arn=queue_arn, topics_arn=topic_arn, account_id=topic_arn.split(":")[4])
        return sns_statement(queue_arn=queue_arn, topics_arn=ours, account_id=account)

    def open(self, queue: Queue, topic: Topic) -> None:
        """Let SNS deliver a topic's messages to a queue, and wait until that acts: it discards what a policy forbids.

        Raises:
            NotEquivalent: ``topology='validate'`` and it is not open, or the policy cannot be read or has no room.
        """
        if queue.lifetime is Lifetime.PREDEFINED:
            return
        merged = merge_statement(self._policy(queue) or None, self._statement(queue.arn, topic.arn))
        if merged is None:
            return
        if self._options.topology == "validate":
            raise NotEquivalent(
                f"PRECONDITION_FAILED - the access policy of queue {queue.name!r} does not let SNS deliver"
            )
        attributes = {"Policy": merged}
        self._control.ask(queue.identity, "sqs", "set_queue_attributes", QueueUrl=queue.url, Attributes=attributes)
        logger.warning(
            "queue %r was not made for topic %s: its access policy now lets SNS in; waiting %d s for that to act",
            queue.name,
            topic.arn,
            self._options.policy_settling,
            extra=fields("access_opened", queue=queue.name, seconds=self._options.policy_settling),
        )
        self._sleep(self._options.policy_settling)
        self.policy_is(queue.url, merged)

    def _policy(self, queue: Queue) -> str:
        with self._lock:
            known = self._policies.get(queue.url)
        if known is not None:
            return known
        answer = self._control.ask(
            queue.identity, "sqs", "get_queue_attributes", QueueUrl=queue.url, AttributeNames=["Policy"]
        )
        policy = str((answer.get("Attributes") or {}).get("Policy") or "")
        self.policy_is(queue.url, policy)
        return policy
