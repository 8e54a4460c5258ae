"""How a queue that exists differs from its declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kombu_sns_sqs.redelivery import NO_DEAD_LETTERS
from kombu_sns_sqs.topology.entities import Queue, QueueDeclaration
from kombu_sns_sqs.topology.tags import QueueTags, dead_letter_difference

__all__ = ("differences",)


def differences(
    declaration: QueueDeclaration,
    queue: Queue,
    attributes: Mapping[str, str],
    tags: Callable[[], QueueTags],
    *,
    known: bool,
) -> Iterator[str]:
    """Say how a queue differs; a declaration that says nothing of an argument does not differ in it.

    Args:
        declaration: what the queue is declared to be.
        queue: as far as this process knows it.
        attributes: those of SQS.
        tags: reads the queue's tags, which costs a call; asked only where the declaration has what they keep.
        known: whether the process knows all there is to know of the queue.
    """
    retention, actual = declaration.retention_seconds, attributes.get("MessageRetentionPeriod")
    if not known and retention is not None and actual and int(actual) > retention:
        yield f"it keeps messages for {actual} s, declared are {retention} s"
    if declaration.levels > 1:
        levels = len(queue.urls) if known else tags().levels
        if levels != declaration.levels:
            yield f"it has {levels} level(s) of priority and keeps them, declared are {declaration.levels}"
    if declaration.dead_letters not in (NO_DEAD_LETTERS, queue.dead_letters):
        difference = dead_letter_difference(declaration.dead_letters, tags())
        if difference is not None:
            yield difference
