"""What settings amount to, before anything is asked of AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu.transport.base import to_rabbitmq_queue_arguments

from kombu_sns_sqs.errors import OptionsError
from kombu_sns_sqs.option_reading import read_options
from kombu_sns_sqs.presentable import as_given
from kombu_sns_sqs.topology.entities import QueueDeclaration
from kombu_sns_sqs.transport import Transport

if TYPE_CHECKING:
    from kombu import Connection, Queue

    from kombu_sns_sqs.options import Options

__all__ = ("declaration_of", "options_of")


def options_of(connection: Connection) -> Options:
    """Read the options of a connection, which need not be open.

    Raises:
        OptionsError: the URL or an option is wrong, or the connection is to another broker.
    """
    transport = connection.transport
    if not isinstance(transport, Transport):
        raise OptionsError(f"the connection is to {transport.driver_type!r}: expected sns-sqs://")
    return read_options(transport.url, as_given(connection.transport_options or {}))


def declaration_of(queue: Queue) -> QueueDeclaration:
    """Read what a queue of kombu's, which need not be bound to a channel, would be declared as.

    Raises:
        NotEquivalent: an argument has a value that would be refused (406).
    """
    arguments = to_rabbitmq_queue_arguments(
        queue.queue_arguments or {},
        expires=queue.expires,
        message_ttl=queue.message_ttl,
        max_length=queue.max_length,
        max_length_bytes=queue.max_length_bytes,
        max_priority=queue.max_priority,
    )
    return QueueDeclaration.read(
        queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=arguments,
    )
