"""The access policy of a queue that was there before: SNS is let in, whatever else the policy says stays."""

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
from kombu_sns_sqs.topology.entities import Lifetime, Queue
from kombu_sns_sqs.topology.policies import merge_statement, sns_statement, topics_arn

logger = logging.getLogger(__name__)


class Access:
    """Opens queues to SNS. A queue of our own is made open; this is for all others. Safe for threads."""

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

    def policy_is(self, queue: Queue, policy: str | None) -> None:
        """Note the access policy of a queue as it was read."""
        with self._lock:
            self._policies[queue.name] = policy or ""

    def forget(self, queue: Queue) -> None:
        """Drop what is remembered of a queue."""
        with self._lock:
            self._policies.pop(queue.name, None)

    def open(self, queue: Queue) -> None:
        """Let SNS deliver to a queue, and wait until that acts: SNS discards what a policy forbids.

        Raises:
            NotEquivalent: ``topology='validate'`` and it is not open, or the policy cannot be read or has no room.
        """
        if queue.lifetime is Lifetime.PREDEFINED:
            return
        account = self._directory.account_id()
        topics = topics_arn(region=self._directory.region, account_id=account, prefix=self._options.queue_name_prefix)
        policy = self._policy(queue)
        statement = sns_statement(queue_arn=queue.arn, topics_arn=topics, account_id=account)
        merged = merge_statement(policy or None, statement)
        if merged is None:
            return
        if self._options.topology == "validate":
            raise NotEquivalent(
                f"PRECONDITION_FAILED - the access policy of queue {queue.name!r} does not let SNS deliver"
            )
        attributes = {"Policy": merged}
        self._control.ask(queue.identity, "sqs", "set_queue_attributes", QueueUrl=queue.url, Attributes=attributes)
        logger.warning(
            "queue %r was not made by this transport: its access policy now lets SNS in; waiting %d s for that to act",
            queue.name,
            self._options.policy_settling,
            extra=fields("access_opened", queue=queue.name, seconds=self._options.policy_settling),
        )
        self._sleep(self._options.policy_settling)
        self.policy_is(queue, merged)

    def _policy(self, queue: Queue) -> str:
        with self._lock:
            known = self._policies.get(queue.name)
        if known is not None:
            return known
        answer = self._control.ask(
            queue.identity, "sqs", "get_queue_attributes", QueueUrl=queue.url, AttributeNames=["Policy"]
        )
        policy = str((answer.get("Attributes") or {}).get("Policy") or "")
        self.policy_is(queue, policy)
        return policy
