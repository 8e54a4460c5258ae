"""Which connections are this transport's: an app may have another broker, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kombu import Connection

__all__ = ("DRIVER", "is_ours")

#: ``Transport.driver_type`` of ``kombu_sns_sqs``.
DRIVER: Final = "sns-sqs"


def is_ours(connection: Connection) -> bool:
    """Whether a connection, open or not, is to ``sns-sqs://``."""
    return bool(connection.transport.driver_type == DRIVER)
