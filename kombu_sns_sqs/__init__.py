"""A kombu transport on Amazon SNS and SQS with the semantics of AMQP.

Exchanges are SNS topics, queues are SQS queues, bindings are subscriptions. In a Celery app set
``broker_url = "sns-sqs://"``; in plain kombu ``import kombu_sns_sqs`` makes the scheme known.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from kombu.transport import TRANSPORT_ALIASES

if TYPE_CHECKING:
    from kombu_sns_sqs.connections import drain
    from kombu_sns_sqs.errors import NotEquivalent, OptionsError
    from kombu_sns_sqs.logs import log_fields
    from kombu_sns_sqs.monitoring.hooks import Hooks
    from kombu_sns_sqs.options import Options
    from kombu_sns_sqs.registry import lost_leases, shutdown
    from kombu_sns_sqs.rehearsal import declaration_of, options_of
    from kombu_sns_sqs.scheduling import scheduled
    from kombu_sns_sqs.settling.losses import LostLease
    from kombu_sns_sqs.topology.entities import QueueDeclaration
    from kombu_sns_sqs.transport import Transport
    from kombu_sns_sqs.vitals import Health, QueueHealth, health

__all__ = (
    "Health",
    "Hooks",
    "LostLease",
    "NotEquivalent",
    "Options",
    "OptionsError",
    "QueueDeclaration",
    "QueueHealth",
    "Transport",
    "__version__",
    "declaration_of",
    "drain",
    "health",
    "log_fields",
    "lost_leases",
    "options_of",
    "scheduled",
    "shutdown",
)

__version__: Final = "0.1.0"

TRANSPORT_ALIASES.setdefault("sns-sqs", "kombu_sns_sqs.transport:Transport")

#: Kombu has no entry point for transports. It loads those of its serializers while it is imported itself, before
#: Celery resolves its broker; this one is JSON under a content type of ours, and its import is what counts.
serializer_entry_point: Final = (json.dumps, json.loads, "application/x-kombu-sns-sqs", "utf-8")

_LAZY: Final = {
    "Hooks": "kombu_sns_sqs.monitoring.hooks",
    "Health": "kombu_sns_sqs.vitals",
    "LostLease": "kombu_sns_sqs.settling.losses",
    "NotEquivalent": "kombu_sns_sqs.errors",
    "Options": "kombu_sns_sqs.options",
    "OptionsError": "kombu_sns_sqs.errors",
    "QueueDeclaration": "kombu_sns_sqs.topology.entities",
    "QueueHealth": "kombu_sns_sqs.vitals",
    "Transport": "kombu_sns_sqs.transport",
    "declaration_of": "kombu_sns_sqs.rehearsal",
    "drain": "kombu_sns_sqs.connections",
    "health": "kombu_sns_sqs.vitals",
    "log_fields": "kombu_sns_sqs.logs",
    "lost_leases": "kombu_sns_sqs.registry",
    "options_of": "kombu_sns_sqs.rehearsal",
    "scheduled": "kombu_sns_sqs.scheduling",
    "shutdown": "kombu_sns_sqs.registry",
}


def __getattr__(name: str) -> Any:
    # Kombu imports this module while it is half imported itself, so nothing that needs kombu may be imported here.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
