"""The brokers the conformance suite runs on, the oracle first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kombu import Connection

from .base import Broker
from .emulators import Emulator, Localstack, Ministack, Moto
from .rabbitmq import RabbitMQ

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BROKERS", "Broker", "Emulator", "open_connection"]

#: Every broker by its name.
BROKERS: dict[str, type[Broker]] = {kind.name: kind for kind in (RabbitMQ, Ministack, Moto, Localstack)}


def open_connection(url: str, transport_options: Mapping[str, Any]) -> Connection:
    """A new kombu connection, not yet established."""
    if url.startswith("sns-sqs:") and "kombu_sns_sqs" not in sys.modules:
        # Plain kombu learns the scheme from this import; Celery does it by an entry point.
        __import__("kombu_sns_sqs")
    return Connection(url, transport_options=dict(transport_options))
