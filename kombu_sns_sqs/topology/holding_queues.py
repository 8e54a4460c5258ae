"""Holding queues: where messages are leased that are in hand for longer than the twelve hours SQS leases one.

A queue has one from the first time that such a message was handed over. Nothing but this transport reads it.
"""

from __future__ import annotations

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import holding_queue_name
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind, exception_for
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.attributes import encryption_attributes
from kombu_sns_sqs.topology.entities import Lifetime, Queue


class HoldingQueues:
    """Finds and makes them, for one process. May block."""

    def __init__(self, *, control: ControlPlane, options: Options) -> None:
        self._control = control
        self._options = options
        self._urls: dict[str, str] = {}

    def possible(self, queue: Queue) -> bool:
        """Whether a queue may have one.

        A FIFO queue may not, as its next message would be given out; nor may one that is not ours to add to, or that
        ends with its process.
        """
        return queue.lifetime is Lifetime.SHARED and not queue.fifo and self._options.topology == "create"

    def find(self, queue: Queue) -> str | None:
        """Give the URL of a queue's holding queue; None where there is none.

        Raises:
            Error: it could not be looked up.
        """
        url = self._urls.get(queue.name)
        if url is None:
            reply = self._control.call(queue.identity, "sqs", "get_queue_url", QueueName=self._aws_name(queue))
            if reply.failure is not None:
                if reply.failure.kind is Kind.MISSING:
                    return None
                raise exception_for(reply.failure)
            url = self._urls[queue.name] = str(reply.value["QueueUrl"])
        return url

    def get(self, queue: Queue) -> str:
        """Give the URL of a queue's holding queue, which is made if need be.

        Raises:
            Error: it could not be made.
        """
        url = self.find(queue)
        if url is None:
            created = self._control.ask(
                queue.identity,
                "sqs",
                "create_queue",
                QueueName=self._aws_name(queue),
                Attributes=self._attributes(),
                tags={key: str(value) for key, value in self._options.queue_tags.items()},
            )
            url = self._urls[queue.name] = str(created["QueueUrl"])
        return url

    def forget(self, queue: Queue) -> None:
        """Look it up again: it is gone, or may be."""
        self._urls.pop(queue.name, None)

    def _aws_name(self, queue: Queue) -> str:
        return holding_queue_name(queue.name, prefix=self._options.queue_name_prefix)

    def _attributes(self) -> dict[str, str]:
        inherited = encryption_attributes(self._options.queue_attributes)
        return {**inherited, "MessageRetentionPeriod": str(quotas.MAX_RETENTION_SECONDS)}
