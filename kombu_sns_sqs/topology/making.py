"""Making SQS queues: names, attributes, tags, levels; and what to do when AWS has the name already, or still."""

from __future__ import annotations

import json
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Failure, Kind, exception_for
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.redelivery import DeadLetterPolicy
from kombu_sns_sqs.sweeping.life_sign import LifeSign
from kombu_sns_sqs.temporary_names import bears_uuid, parse_temporary, temporary_name_of, temporary_queue_name
from kombu_sns_sqs.topology.access import Access
from kombu_sns_sqs.topology.attributes import as_attribute
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import (
    LEVELS_TAG,
    NAME_TAG,
    OWNER_TAG,
    SIGN_TAG,
    TTL_TAG,
    Lifetime,
    Queue,
    QueueDeclaration,
)
from kombu_sns_sqs.topology.newness import Newness
from kombu_sns_sqs.topology.tags import dead_letter_tags, tag_value

logger = logging.getLogger(__name__)

#: Attempts to make a queue whose name was deleted a moment ago, and the seconds between them: together they outlast
#: the minute for which AWS bars the name.
_NAME_ATTEMPTS: Final = 14
_NAME_PAUSE: Final = quotas.QUEUE_NAME_REST_SECONDS / 12


def process_token() -> str:
    """Make a name for one process: what its temporary queues are marked with."""
    return f"{os.getpid():x}"[:5].rjust(5, "0") + secrets.token_hex(4)


class QueueMaker:
    """Makes the SQS queues that stand for a declared queue. Safe for threads."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        directory: Directory,
        access: Access,
        options: Options,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._control = control
        self._directory = directory
        self._access = access
        self._options = options
        self._sleep = sleep
        self.owner = process_token()
        self.newness = Newness.of(options, sleep=sleep)

    def make(self, declaration: QueueDeclaration, *, patient: bool = True) -> Queue:
        """Make a queue under the name that everybody finds it by.

        ``patient``: whether to wait until AWS lets go of a name that was deleted a moment ago.
        """
        aws_name = self._directory.aws_queue_name(declaration.name)
        temporary = declaration.lifetime is not Lifetime.SHARED and declaration.levels == 1
        if temporary and bears_uuid(declaration.name) and self._options.compat != "sqs":
            aws_name = temporary_name_of(declaration.name, prefix=self._options.queue_name_prefix)
        attempts = _NAME_ATTEMPTS if patient else 1
        lowest = self._make_level(declaration, aws_name, declaration.lifetime, {}, attempts=attempts)
        return self._made(declaration, aws_name, (lowest, *self.upper_levels(declaration, 1)), declaration.lifetime)

    def make_private(self, declaration: QueueDeclaration, tags: Mapping[str, str]) -> Queue:
        """Make a queue whose AWS name no other process, and no later one, can come upon; nor those of its levels."""
        names = [self._private_name(declaration) for _ in range(declaration.levels)]
        of_level = [tags, *({} for _ in names[1:])]
        urls = [
            self._make_level(declaration, aws_name, Lifetime.PRIVATE, own)
            for aws_name, own in zip(names, of_level, strict=True)
        ]
        return self._made(declaration, names[0], tuple(urls), Lifetime.PRIVATE)

    def make_again(self, queue: Queue, declaration: QueueDeclaration, tags: Mapping[str, str]) -> Queue:
        """Make a temporary queue that is gone, without waiting for a name that AWS bars."""
        if parse_temporary(queue.url.rpartition("/")[2], self._options.queue_name_prefix) is not None:
            return self.make_private(declaration, tags)
        return self.make(declaration, patient=False)

    def _private_name(self, declaration: QueueDeclaration) -> str:
        return temporary_queue_name(
            declaration.name,
            prefix=self._options.queue_name_prefix,
            owner=self.owner,
            created=int(time.time()),
            token=secrets.token_hex(4),
        )

    def _made(self, declaration: QueueDeclaration, aws_name: str, urls: tuple[str, ...], lifetime: Lifetime) -> Queue:
        return Queue(
            name=declaration.name,
            urls=urls,
            arn=self._directory.queue_arn(aws_name),
            identity=self._options.identity,
            lifetime=lifetime,
            ttl_ms=declaration.ttl_ms,
            dead_letters=declaration.dead_letters,
            lease_seconds=declaration.lease_seconds,
            complete=True,
        )

    def upper_levels(self, declaration: QueueDeclaration, first: int) -> tuple[str, ...]:
        """Make the priority levels from ``first`` up, or find them; return their URLs."""
        urls = []
        for level in range(first, declaration.levels):
            aws_name = self._directory.aws_queue_name(declaration.name, level)
            url = self._directory.url_of(aws_name)
            urls.append(url or self._make_level(declaration, aws_name, declaration.lifetime, {}))
        return tuple(urls)

    def _make_level(
        self,
        declaration: QueueDeclaration,
        aws_name: str,
        lifetime: Lifetime,
        tags: Mapping[str, str],
        *,
        attempts: int = _NAME_ATTEMPTS,
    ) -> str:
        attributes = self._attributes(declaration, aws_name)
        for attempt in range(1, attempts + 1):
            reply = self._control.call(
                self._options.identity,
                "sqs",
                "create_queue",
                QueueName=aws_name,
                Attributes=attributes,
                tags={**self._tags(declaration, lifetime), **tags},
            )
            if reply.failure is None:
                self.newness.begins()
                url = str(reply.value["QueueUrl"])
                self._access.policy_is(url, attributes["Policy"])
                return url
            if reply.failure.kind is not Kind.NAME_RESTS or attempt == attempts:
                break
            name = declaration.name
            told = fields("name_rests", queue=name)
            logger.warning("queue %r was deleted less than a minute ago: AWS bars its name, waiting", name, extra=told)
            self._sleep(_NAME_PAUSE * random.uniform(0.9, 1.2))
        return self._made_by_another(aws_name, reply.failure)

    def _made_by_another(self, aws_name: str, failure: Failure | None) -> str:
        """Find the queue another process has made meanwhile, perhaps with other attributes."""
        assert failure is not None  # noqa: S101  # the loop above ends with a failure
        url = None if failure.kind.passing else self._directory.url_of(aws_name)
        if url is None:
            raise exception_for(failure)
        return url

    def _tags(self, declaration: QueueDeclaration, lifetime: Lifetime) -> dict[str, str]:
        tags = {
            **self._options.queue_tags,
            NAME_TAG: tag_value(declaration.name),
            **dead_letter_tags(declaration.dead_letters),
        }
        if lifetime is not Lifetime.SHARED:
            tags[OWNER_TAG] = self.owner
            if self._options.sweep_period:
                tags[SIGN_TAG] = str(LifeSign(0, self._options.sweep_period))
        if declaration.levels > 1:
            tags[LEVELS_TAG] = str(declaration.levels)
        if declaration.ttl_ms is not None:
            tags[TTL_TAG] = str(declaration.ttl_ms)
        return {key: str(value) for key, value in tags.items()}

    def _attributes(self, declaration: QueueDeclaration, aws_name: str) -> dict[str, str]:
        """Give the attributes of a new queue."""
        given = {name: as_attribute(value) for name, value in self._options.queue_attributes.items()}
        wanted: dict[str, Any] = {
            "VisibilityTimeout": declaration.lease_seconds or self._options.visibility_timeout,
            **self._redrive_policy(declaration.dead_letters),
            **given,
            "Policy": self._access.of_new_queue(self._directory.queue_arn(aws_name), given.get("Policy")),
        }
        if declaration.retention_seconds is not None:
            wanted["MessageRetentionPeriod"] = declaration.retention_seconds
        if aws_name.endswith(quotas.FIFO_SUFFIX):
            wanted["FifoQueue"] = "true"
        return {key: str(value) for key, value in wanted.items()}

    def _redrive_policy(self, policy: DeadLetterPolicy) -> dict[str, str]:
        """Have SQS move what no consumer of ours does, to the dead-letter queue that was made before this one."""
        if policy.queue is None or policy.backstop is None:
            return {}
        target = self._directory.queue_arn(self._directory.aws_queue_name(policy.queue))
        return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": policy.backstop})}
