"""``celery worker --disable-prefetch``: a message is fetched when a slot of the pool is free for it.

Celery does this for Redis alone, and says so in the log wherever else it is asked for. What it limits is the number of
tasks that a worker has reserved: running, or waiting for a slot.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks

from celery_integration.driver import DRIVER, is_ours

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("fetch_on_demand",)

#: The warning of Celery's that is not true here.
_IGNORED: Final = "worker_disable_prefetch is only supported for Redis brokers"


def fetch_on_demand(app: Celery) -> None:
    """Let ``worker_disable_prefetch`` have its effect with ``sns-sqs://``, in the workers of an app."""
    app.steps["consumer"].add(PrefetchOnDemand)
    logging.getLogger(Tasks.__module__).addFilter(_is_true)


class PrefetchOnDemand(bootsteps.StartStopStep):
    """Tells the channel of the tasks how many slots are free: in every pool, growing and shrinking ones included."""

    requires = (Tasks,)

    def include_if(self, parent: Any) -> bool:
        """Whether it was asked for."""
        return bool(parent.app.conf.worker_disable_prefetch)

    def start(self, parent: Any) -> None:
        """Put the condition over the consumers that are about to begin."""
        if is_ours(parent.connection):
            parent.task_consumer.channel.qos.fetch_on_demand(lambda: _slots(parent) - len(state.reserved_requests))


def _slots(consumer: Any) -> int:
    """How many tasks may be reserved at once; a pool that scales itself grows with what is reserved, to its limit."""
    scaler = consumer.controller.autoscaler
    return int(scaler.max_concurrency if scaler is not None else consumer.pool.num_processes)


def _is_true(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not (message.startswith(_IGNORED) and f"transport: {DRIVER}." in message)
