"""One message, out: which request carries it, and what is said when it cannot be carried.

The default exchange is a SendMessage to the queue that the routing key names. Any other exchange is one Publish to its
topic, however many queues are bound; except that replies of remote control go straight to the queue that kombu names
after them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import is_reply_exchange, reply_queue_name
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import Client
from kombu_sns_sqs.aws.operation import Operation
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Kind, MessageTooLarge, NotFound, exception_for
from kombu_sns_sqs.messages import DEFAULT_GROUP, Outgoing
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.publishing.postponing import Postponing
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.filters import routing_attributes
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire import envelope

logger = logging.getLogger(__name__)


class Publisher:
    """Sends messages for all connections of one process. Safe for threads; returns when AWS has the message.

    Args:
        client: a blocking client.
        directory: where queues and exchanges are.
        complete: finds out the priority levels of a queue this process did not declare.
        postponing: sends what is not due yet.
        options: the form of the envelope.
    """

    def __init__(
        self,
        *,
        client: Client,
        directory: Directory,
        complete: Callable[[Queue], Queue],
        postponing: Postponing,
        options: Options,
    ) -> None:
        self._client = client
        self._directory = directory
        self._complete = complete
        self._postponing = postponing
        self._options = options
        #: Messages that had nowhere to go.
        self.dropped = 0

    def publish(self, message: Mapping[str, Any], exchange: str, routing_key: str) -> None:
        """Publish a message as ``Channel.prepare_message`` made it.

        Raises:
            MessageError: AWS would refuse it.
            NotFound: the exchange does not exist.
            Error: it could not be sent; whether AWS has it is unknown after :class:`Unreachable`.
        """
        outgoing = envelope.encode(
            message,
            exchange=exchange,
            routing_key=routing_key,
            publish_id=uuid4().hex,
            compat=self._options.compat,
            due=self._postponing.due(message, exchange=exchange),
        )
        if not exchange:
            self._send(outgoing, routing_key)
        elif is_reply_exchange(exchange):
            self._send(outgoing, reply_queue_name(exchange, routing_key), reply=True)
        else:
            self._publish(outgoing, exchange, routing_key)

    def _send(self, message: Outgoing, name: str, *, reply: bool = False) -> None:
        _check_size(message, message.attributes, quotas.MAX_MESSAGE_BYTES, "SQS")
        for _ in range(2):
            queue = self._directory.find_queue(name)
            if queue is None:
                self._drop(name, reply=reply)
                return
            outcome = self._call(self._send_operation(message, queue))
            if outcome.failure is None:
                return
            if outcome.failure.kind is not Kind.MISSING:
                raise exception_for(outcome.failure)
            self._directory.forget_queue(name)
            self._postponing.forget(queue)
        self._drop(name, reply=reply)

    def _send_operation(self, message: Outgoing, queue: Queue) -> Operation:
        if message.due is not None:
            return self._postponing.send_operation(message, queue, **_ordering(message, fifo=queue.fifo))
        if message.priority > 0:
            queue = self._complete(queue)
        return operations.send_message(
            identity=queue.identity,
            queue_url=queue.level_url(message.priority),
            body=message.body,
            attributes=message.attributes,
            **_ordering(message, fifo=queue.fifo),
        )

    def _publish(self, message: Outgoing, exchange: str, routing_key: str) -> None:
        attributes = {**message.attributes, **routing_attributes(routing_key)}
        _check_size(message, attributes, quotas.MAX_TOPIC_MESSAGE_BYTES, "SNS")
        arn, identity = self._directory.topic_address(exchange)
        outcome = self._call(
            operations.publish(
                identity=identity,
                topic_arn=arn,
                body=message.body,
                attributes=attributes,
                **_ordering(message, fifo=arn.endswith(quotas.FIFO_SUFFIX)),
            )
        )
        if outcome.failure is None:
            return
        if outcome.failure.kind is Kind.MISSING:
            self._directory.forget_topic(exchange)
            raise NotFound(f"NOT_FOUND - no exchange {exchange!r}")
        raise exception_for(outcome.failure)

    def _call(self, operation: Operation) -> Reply:
        answers: list[Reply] = []
        self._client.call(operation).then(answers.append)
        return answers[0]

    def _drop(self, name: str, *, reply: bool) -> None:
        """Do as AMQP's default exchange does with a queue that is not there, but not without a word."""
        self.dropped += 1
        level = logging.DEBUG if reply else logging.WARNING
        logger.log(level, "a message was dropped: there is no queue %r", name)


def _ordering(message: Outgoing, *, fifo: bool) -> dict[str, Any]:
    """Give group and deduplication id: a FIFO queue needs both, on a standard one a group means fairness.

    The deduplication id is the publish id, never the task id: a task that is retried has the same id, and would be
    thrown away for being a duplicate.
    """
    if not fifo:
        return {"group_id": message.group_id}
    return {
        "group_id": message.group_id or DEFAULT_GROUP,
        "deduplication_id": message.deduplication_id or message.publish_id,
    }


def _check_size(message: Outgoing, attributes: Mapping[str, Mapping[str, Any]], limit: int, service: str) -> None:
    size = len(message.body.encode()) + attrs.size(attributes)
    if size > limit:
        raise MessageTooLarge(
            f"the message takes {size} bytes with headers and attributes: {service} takes {limit}; compress it"
            " (compression='zlib'), or put the data elsewhere and send where it is"
        )
