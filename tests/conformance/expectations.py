"""Looking into queues."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .waiting import PATIENCE, PAUSE

if TYPE_CHECKING:
    from kombu import Connection, Queue


class Expectation:
    """Takes messages out of queues and compares them with what should be there."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds

    def __call__(self, *expected: tuple[Queue, list[Any]]) -> None:
        """Exactly these bodies arrive in these queues, in any order, and none besides by the time all has settled."""
        found: list[list[Any]] = [[] for _ in expected]
        deadline = time.monotonic() + PATIENCE
        while any(len(bodies) < len(wanted) for bodies, (_, wanted) in zip(found, expected, strict=True)):
            if time.monotonic() > deadline:
                break
            _look(found, expected)
        settled = time.monotonic() + self._settle_seconds
        while time.monotonic() < settled:
            _look(found, expected)
        for bodies, (queue, wanted) in zip(found, expected, strict=True):
            assert sorted(bodies, key=repr) == sorted(wanted, key=repr), queue.name


def _look(found: list[list[Any]], expected: tuple[tuple[Queue, list[Any]], ...]) -> None:
    for bodies, (queue, _) in zip(found, expected, strict=True):
        while (message := queue.get(no_ack=True)) is not None:
            bodies.append(message.payload)
    time.sleep(PAUSE)


def reply_code(error: BaseException) -> int:
    """The AMQP reply code of a channel error."""
    return int(getattr(error, "reply_code", 0) or 0)


def error_code_of_passive_declare(connection: Connection, queue: str) -> int:
    """The reply code with which a passive declare of a queue fails, 0 if it does not."""
    channel = connection.channel()
    try:
        channel.queue_declare(queue=queue, passive=True)
    except connection.channel_errors as error:
        return reply_code(error)
    channel.close()
    return 0
