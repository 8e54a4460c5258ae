"""Where a dead letter goes: to the exchange its queue was declared with, or to SQS's own dead-letter queue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind, NotFound, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.redelivery import NO_DEAD_LETTERS, DeadLetterPolicy
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Lifetime, Queue
from kombu_sns_sqs.wire.deaths import Death, Reason

#: Seconds for which the answer about a queue's redrive policy and tags is used again.
_REMEMBERED_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a dead letter is sent, and as what.

    Args:
        address: a queue URL, or the ARN of a topic.
        exchange: the exchange it is published to, as its envelope says; empty for a queue.
        routing_key: the key it is published with.
    """

    address: str
    identity: Identity
    exchange: str
    routing_key: str

    @property
    def fifo(self) -> bool:
        """Whether the order of what arrives there is kept."""
        return self.address.endswith(quotas.FIFO_SUFFIX)


@dataclass(frozen=True, slots=True)
class _Found:
    """What AWS has said about a queue that was declared without dead letters."""

    policy: DeadLetterPolicy
    redrive_url: str | None
    until: float


class DeadLetterTargets:
    """Finds targets; may block. Safe for threads.

    Args:
        complete: finds out the priority levels of a queue this process did not declare.
        asks: whether AWS is asked about a queue that was declared without dead letters; else it has none.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        directory: Directory,
        binder: Binder,
        complete: Callable[[Queue], Queue],
        asks: bool,
    ) -> None:
        self._control = control
        self._directory = directory
        self._binder = binder
        self._complete = complete
        self._asks = asks
        self._lock = threading.Lock()
        self._found: dict[str, _Found] = {}

    def surely_none(self, death: Death) -> bool:
        """Whether it is known, without a call, that a dead letter has nowhere to go: AMQP discards it then."""
        if death.delivery.dead_letters.exchange is not None:
            return False
        found = self._remembered(death.delivery.queue_url)
        if found is None:
            return not self._asks
        return found.policy.exchange is None and (found.redrive_url is None or death.reason is Reason.EXPIRED)

    def find(self, death: Death) -> Target | None:
        """Give the target of a dead letter; None: it has none, or RabbitMQ would end a circle here.

        Raises:
            Error: AWS could not be asked, or the target does not exist.
        """
        policy = death.delivery.dead_letters
        if policy.exchange is not None:
            return self._declared(death, policy)
        found = self._ask(death)
        if found.policy.exchange is not None:
            return self._declared(death, found.policy)
        if found.redrive_url is None or death.reason is Reason.EXPIRED:
            return None
        name = found.redrive_url.rpartition("/")[2]
        return Target(address=found.redrive_url, identity=death.delivery.identity, exchange="", routing_key=name)

    def forget(self, target: Target) -> None:
        """Look a target up again: it is not where it was."""
        if target.exchange:
            self._directory.forget_topic(target.exchange)
        else:
            self._directory.forget_queue(target.routing_key)

    def _declared(self, death: Death, policy: DeadLetterPolicy) -> Target | None:
        key = death.routing_key if policy.routing_key is None else policy.routing_key
        if policy.exchange:
            if death.ends_cycle(None):
                return None
            arn, identity = self._directory.topic_address(policy.exchange)
            return Target(address=arn, identity=identity, exchange=policy.exchange, routing_key=key)
        if death.ends_cycle(key):
            return None
        queue = self._directory.find_queue(key)
        if queue is None:
            raise NotFound(f"NOT_FOUND - no queue {key!r}")
        priority = death.delivery.content.priority
        url = self._complete(queue).level_url(priority) if priority else queue.url
        return Target(address=url, identity=queue.identity, exchange="", routing_key=key)

    # -- what AWS knows --------------------------------------------------------------------------------------

    def _remembered(self, url: str) -> _Found | None:
        with self._lock:
            found = self._found.get(url)
        return found if found is not None and time.monotonic() < found.until else None

    def _ask(self, death: Death) -> _Found:
        """Ask for a queue's redrive policy, which others set, and for its tags: others may have declared it."""
        url = death.delivery.queue_url
        found = self._remembered(url)
        if found is None and self._asks:
            queue = self._directory.find_queue(death.queue)
            policy = NO_DEAD_LETTERS
            if queue is not None and queue.lifetime is not Lifetime.PREDEFINED:
                policy = self._binder.tags(queue).dead_letters
            redrive_url = self._redrive_url(url, death.delivery.identity)
            found = _Found(policy, redrive_url, time.monotonic() + _REMEMBERED_SECONDS)
            with self._lock:
                self._found[url] = found
        return found or _Found(NO_DEAD_LETTERS, None, 0.0)

    def _redrive_url(self, url: str, identity: Identity) -> str | None:
        reply = self._control.call(
            identity, "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["RedrivePolicy"]
        )
        if reply.failure is not None:
            if reply.failure.kind is Kind.MISSING:
                return None
            raise exception_for(reply.failure)
        policy = (reply.value.get("Attributes") or {}).get("RedrivePolicy")
        if not policy:
            return None
        arn = str(json.loads(policy)["deadLetterTargetArn"])
        account, name = arn.split(":")[4:6]
        answer = self._control.ask(identity, "sqs", "get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)
        return str(answer["QueueUrl"])
