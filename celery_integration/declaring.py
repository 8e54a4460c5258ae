"""Publications that do not prepare to declare what is declared.

With every task Celery names its queue as one to declare, and kombu remembers which it has. But it looks there last,
when it has made a copy of the queue, bound that to the channel and wrapped a retry around: an eighth of what a task of
a group costs its sender, and a tenth of a ``delay()``. Here the first thing is to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu import Producer

from celery_integration.driver import DRIVER

if TYPE_CHECKING:
    from kombu import Exchange, Queue

__all__ = ("look_before_declaring",)

_declare = Producer.maybe_declare  # tests/upstream says when kombu looks first itself


def look_before_declaring() -> None:
    """Let producers of ``sns-sqs://`` pass over what their connection has declared; nothing else about it changes."""
    Producer.maybe_declare = _maybe_declare


def _maybe_declare(self: Producer, entity: Exchange | Queue | None, *args: Any, **kwargs: Any) -> bool | None:
    if entity and _is_declared(entity, self.channel):
        return False
    declared: bool | None = _declare(self, entity, *args, **kwargs)
    return declared


def _is_declared(entity: Exchange | Queue, channel: Any) -> bool:
    connection: Any = getattr(channel, "connection", None)
    return (
        getattr(connection, "driver_type", None) == DRIVER
        and entity.can_cache_declaration
        # Kombu keeps hashes and no names.
        and hash(entity) in connection.client.declared_entities
        # One that is bound to a channel of before has kombu bind it to this one.
        and not (entity.is_bound and entity.channel is not channel)
    )
