"""What a connection of kombu's is underneath, and what it is asked beyond AMQP."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from kombu_sns_sqs.forgotten import give_back_when_forgotten
from kombu_sns_sqs.transport import Transport

if TYPE_CHECKING:
    from kombu import Connection

__all__ = ("give_back_dropped", "open_transport")


def give_back_dropped(connection: Connection) -> None:
    """Give back what the application was handed and has dropped without settling it: now, or as soon as it does.

    An application that stops may never begin what it has, and otherwise holds it until the connection is closed. What
    somebody still has in hand stays under lease, and can be acked. All objects of the process are looked through.
    """
    transport = open_transport(connection)
    if transport is not None:
        give_back_when_forgotten(transport.channels, transport.services.settler)
        gc.collect()


def open_transport(connection: Connection) -> Transport | None:
    """Give the transport of a connection that is open, None for another; it is not opened for that."""
    transport = connection._connection if connection.connected else None  # noqa: SLF001  # the property would connect
    return transport if isinstance(transport, Transport) else None
