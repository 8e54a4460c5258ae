"""A message with its address on it: ready to go alone, or in a batch with others to the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.operation import Operation, SendEntry
from kombu_sns_sqs.errors import MessageTooLarge
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import DEFAULT_GROUP, Outgoing
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire.trace import request_headers, system_attributes


class Destination(NamedTuple):
    """A queue or a topic.

    Args:
        name: of the queue or exchange in AMQP.
        address: the URL of a queue, the ARN of a topic.
        topic: whether it is a topic.
    """

    name: str
    address: str
    identity: Identity
    topic: bool

    @classmethod
    def of_queue(cls, queue: Queue, priority: int = 0) -> Destination:
        """Address a queue, or the level of it that a priority belongs to."""
        return cls(name=queue.name, address=queue.level_url(priority), identity=queue.identity, topic=False)

    @property
    def fifo(self) -> bool:
        """Whether the order of what is sent there is kept."""
        return self.address.endswith(quotas.FIFO_SUFFIX)

    @property
    def max_bytes(self) -> int:
        """What one request may carry."""
        return quotas.MAX_TOPIC_MESSAGE_BYTES if self.topic else quotas.MAX_MESSAGE_BYTES


class Parcel(NamedTuple):
    """One message on its way to one destination.

    Args:
        attributes: those of the message, and those its way needs.
        size: bytes as AWS counts them.
        delay_seconds: how long SQS keeps it first, 1 to 900; None: not at all.
    """

    message: Outgoing
    destination: Destination
    attributes: Mapping[str, Mapping[str, Any]]
    size: int
    delay_seconds: int | None = None

    @classmethod
    def pack(
        cls,
        message: Outgoing,
        destination: Destination,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        delay_seconds: int | None = None,
    ) -> Parcel:
        """Address a message; ``attributes`` are those its way needs beside its own.

        Raises:
            MessageTooLarge: the service would refuse it.
        """
        together = {**message.attributes, **attributes} if attributes else message.attributes
        size = len(message.body.encode()) + attrs.size(together)
        if size > destination.max_bytes:
            raise MessageTooLarge(
                f"the message takes {size} bytes with headers and attributes: {'SNS' if destination.topic else 'SQS'}"
                f" takes {destination.max_bytes}; compress it (compression='zlib'), or put the data elsewhere and send"
                " where it is"
            )
        return cls(
            message=message, destination=destination, attributes=together, size=size, delay_seconds=delay_seconds
        )

    def operation(self) -> Operation:
        """Make the request that carries this one alone."""
        place, message = self.destination, self.message
        group_id, deduplication_id = self.ordering
        if place.topic:
            return operations.publish(
                identity=place.identity,
                topic_arn=place.address,
                body=message.body,
                attributes=self.attributes,
                group_id=group_id,
                deduplication_id=deduplication_id,
                unsigned=request_headers([message.trace]),
            )
        return operations.send_message(
            identity=place.identity,
            queue_url=place.address,
            body=message.body,
            attributes=self.attributes,
            delay_seconds=self.delay_seconds,
            group_id=group_id,
            deduplication_id=deduplication_id,
            system_attributes=system_attributes(message.trace),
        )

    def entry(self, number: int) -> SendEntry:
        """Make the line of a batch that carries it."""
        group_id, deduplication_id = self.ordering
        return SendEntry(
            id=str(number),
            body=self.message.body,
            attributes=self.attributes,
            delay_seconds=self.delay_seconds,
            group_id=group_id,
            deduplication_id=deduplication_id,
            system_attributes=system_attributes(self.message.trace),
        )

    @property
    def ordering(self) -> tuple[str | None, str | None]:
        """The group and the deduplication id.

        A FIFO queue needs a group, on a standard one it means fairness. The id is the publish id and never the task's:
        a retried task has the same, and would be thrown away as a duplicate.
        """
        message = self.message
        if not self.destination.fifo:
            return message.group_id, None
        return message.group_id or DEFAULT_GROUP, message.deduplication_id or message.publish_id


def batch_operation(parcels: Sequence[Parcel]) -> Operation:
    """Make the request that carries several to one destination; its entries are numbered from 0."""
    place = parcels[0].destination
    entries = [parcel.entry(number) for number, parcel in enumerate(parcels)]
    if place.topic:
        trace = request_headers(parcel.message.trace for parcel in parcels)
        return operations.publish_batch(
            identity=place.identity, topic_arn=place.address, entries=entries, unsigned=trace
        )
    return operations.send_message_batch(identity=place.identity, queue_url=place.address, entries=entries)
