"""Companion queues: the standard SQS queues in which messages wait that are due in more than 15 minutes.

A queue has one from when it is first needed until it is deleted itself. Whoever may not make it does without: a
message then hops in its own queue, or is left to Celery.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import companion_name
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind, NotFound, exception_for
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.attributes import encryption_attributes
from kombu_sns_sqs.topology.entities import COMPANION_TAG, Lifetime, Queue
from kombu_sns_sqs.topology.tags import tag_value

logger = logging.getLogger(__name__)

#: Seconds for which a companion that is not there is taken as not there. Shorter than the shortest wait in one.
ABSENT_SECONDS: Final = 240.0


@dataclass(frozen=True, slots=True)
class _Finding:
    companion: Queue | None
    #: Until when it is good, on the monotonic clock.
    until: float
    #: Whether making one was tried in vain.
    refused: bool


class Companions:
    """The companions of the queues one process uses. Safe for threads.

    Args:
        clock: the monotonic clock.
    """

    def __init__(self, *, control: ControlPlane, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self._control = control
        self._clock = clock
        self._options = options
        self._lock = threading.Lock()
        self._found: dict[str, _Finding] = {}

    @staticmethod
    def possible(queue: Queue) -> bool:
        """Whether a queue may have one: a temporary queue ends with its process, a predefined one is not ours."""
        return queue.lifetime is Lifetime.SHARED

    def known(self, queue: Queue) -> tuple[bool, Queue | None]:
        """Say, without asking, whether it is known if a queue has a companion, and which."""
        if not self.possible(queue):
            return True, None
        found = self._finding(queue)
        return found is not None, None if found is None else found.companion

    def settled(self, queue: Queue) -> bool:
        """Whether asking again, or making one, would change nothing about what is known."""
        if not self.possible(queue):
            return True
        found = self._finding(queue)
        if found is None:
            return False
        return found.companion is not None or self._options.topology != "create" or found.refused

    def _finding(self, queue: Queue) -> _Finding | None:
        found = self._found.get(queue.name)
        return found if found is not None and found.until > self._clock() else None

    def find(self, queue: Queue) -> Queue | None:
        """Give a queue's companion, None where there is none, or where it may not be asked for.

        Raises:
            Error: it could not be looked up.
        """
        known, companion = self.known(queue)
        if known:
            return companion
        reply = self._control.call(queue.identity, "sqs", "get_queue_url", QueueName=self._aws_name(queue))
        if reply.failure is not None and reply.failure.kind not in (Kind.MISSING, Kind.DENIED):
            raise exception_for(reply.failure)
        return self._note(queue, None if reply.failure is not None else str(reply.value["QueueUrl"]))

    def get(self, queue: Queue) -> Queue | None:
        """Give a queue's companion, made if need be; None where there can be none.

        Raises:
            Error: the service does not answer.
        """
        companion = self.find(queue)
        if companion is not None or self.settled(queue):
            return companion
        reply = self._control.call(
            queue.identity,
            "sqs",
            "create_queue",
            QueueName=self._aws_name(queue),
            Attributes=self._attributes(),
            tags={**self._options.queue_tags, COMPANION_TAG: tag_value(queue.name)},
        )
        if reply.failure is None:
            return self._note(queue, str(reply.value["QueueUrl"]))
        if reply.failure.kind.passing:
            raise exception_for(reply.failure)
        logger.warning(
            "no companion could be made for what is scheduled on queue %r: %s",
            queue.name,
            reply.failure,
            extra=fields("companion_refused", queue=queue.name, cause=reply.failure),
        )
        return self._note(queue, None, refused=True)

    def _attributes(self) -> dict[str, str]:
        return {
            **encryption_attributes(self._options.queue_attributes),
            "MessageRetentionPeriod": str(quotas.MAX_RETENTION_SECONDS),
        }

    def forget(self, queue: Queue) -> None:
        """Drop what is remembered: the companion is gone, or may be."""
        with self._lock:
            self._found.pop(queue.name, None)

    def delete(self, queue: Queue) -> None:
        """Delete a queue's companion with all that waits in it; one that is missing is no error."""
        self.forget(queue)
        companion = self.find(queue)
        if companion is not None:
            self._do(companion, "delete_queue")
        self.forget(queue)

    def purge(self, queue: Queue) -> None:
        """Remove all that waits in a queue's companion."""
        companion = self.find(queue)
        if companion is not None and not self._do(companion, "purge_queue"):
            self.forget(queue)

    def count(self, queue: Queue) -> int:
        """Count what is scheduled on a queue and not yet due, as far as SQS knows: in its companion and in itself."""
        self.forget(queue)
        companion = self.find(queue)
        delayed = "ApproximateNumberOfMessagesDelayed"
        counts = [self._counts(queue, url).get(delayed, 0) for url in queue.urls]
        if companion is not None:
            counts += self._counts(companion, companion.url).values()
        return sum(counts)

    def _counts(self, queue: Queue, url: str) -> dict[str, int]:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "Delayed", "NotVisible")]
        reply = self._control.call(queue.identity, "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=names)
        if reply.failure is not None:
            if reply.failure.kind is Kind.MISSING:
                raise NotFound(f"NOT_FOUND - no queue {queue.name!r}")
            raise exception_for(reply.failure)
        return {name: int(value) for name, value in (reply.value.get("Attributes") or {}).items()}

    def _do(self, companion: Queue, method: str) -> bool:
        """Call a method on a companion; False where it is gone."""
        reply = self._control.call(companion.identity, "sqs", method, QueueUrl=companion.url)
        # A purge within a minute of another is refused, and what the first one found is gone.
        if reply.failure is None or reply.failure.code == "PurgeQueueInProgress":
            return True
        if reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
        return False

    def _aws_name(self, queue: Queue) -> str:
        return companion_name(queue.name, prefix=self._options.queue_name_prefix)

    def _note(self, queue: Queue, url: str | None, *, refused: bool = False) -> Queue | None:
        companion = None if url is None else replace(queue, urls=(url,), arn="", ttl_ms=None)
        until = float("inf") if companion is not None else self._clock() + ABSENT_SECONDS
        with self._lock:
            self._found[queue.name] = _Finding(companion, until, refused)
        return companion
