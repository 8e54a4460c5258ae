"""What a connection of kombu's is underneath, and what it is asked beyond AMQP."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from kombu_sns_sqs.forgotten import give_back_when_forgotten
from kombu_sns_sqs.transport import Transport

if TYPE_CHECKING:
    from kombu import Connection

__all__ = ("drain", "open_transport")


def drain(connection: Connection) -> None:
    """Receive nothing more on a connection, and give back what the application has dropped: now, or as soon as it does.

    For one that stops, but has yet to end what it has begun: that stays under lease, and can be acked. What polls in
    flight still bring is given back. Without this an application holds until it closes the connection what it will not
    begin. All objects of the process are looked through.
    """
    transport = open_transport(connection)
    if transport is not None:
        transport.receiver.close()
        give_back_when_forgotten(transport.channels, transport.services.settler)
        gc.collect()


def open_transport(connection: Connection) -> Transport | None:
    """Give the transport of a connection that is open, None for another; it is not opened for that."""
    transport = connection._connection if connection.connected else None  # noqa: SLF001  # the property would connect
    return transport if isinstance(transport, Transport) else None
